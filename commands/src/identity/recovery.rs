//! Links that go to the account's own address: to verify it, and to set a new password.

use std::sync::Arc;

use annals_domain::{
    identity::{Password, User, UserCommand, UserError, VerificationOccasion},
    kernel::{EmailAddress, UserId},
};
use tokio::sync::OnceCell;

use super::{Done, Identity, IdentityRefusal, done::remember, sign_in::holder, signed_in_as, tokens};
use crate::bus::{CommandError, Context, Work};

impl Identity {
    /// Mails a link to set a new password, if there is an account with this address and none was mailed
    /// within the last minute. The answer is the same either way.
    ///
    /// # Errors
    /// If the log can't be reached.
    pub async fn request_password_reset(
        &self,
        context: &Context,
        email: EmailAddress,
    ) -> Result<(), CommandError> {
        let claim = self.email_claim(&email.canonical());
        // Nobody is signed in: what is recorded of the client is the account's, whose mailbox this fills.
        let context = match holder(self.bus.store().claim_holder(&claim).await?)? {
            Some(user_id) => Context { client_subject: Some(format!("user:{user_id}")), ..context.clone() },
            None => context.clone(),
        };
        let this = self.clone();
        self.bus
            .transact(&context, "RequestPasswordReset", move |work| {
                let (this, claim) = (this.clone(), claim.clone());
                Box::pin(async move {
                    let Some(user_id) = holder(work.claim_holder(&claim).await?)? else { return Ok(()) };
                    let request_id = work.new_id();
                    let token = tokens::password_reset_token(this.bus.store(), user_id, request_id);
                    let token_digest = tokens::digest(&token);
                    let request =
                        UserCommand::RequestPasswordReset { request_id, token_digest, now: work.now() };
                    work.execute::<User>(user_id, request).await
                })
            })
            .await?;
        Ok(())
    }

    /// Sets a new password with the token that was mailed; every session of the account ends.
    ///
    /// # Errors
    /// [`UserError::NoSuchPasswordReset`] for a token that is made up, used, replaced or too old;
    /// [`IdentityRefusal::UnfitPassword`].
    pub async fn reset_password(
        &self,
        context: &Context,
        token: String,
        password: String,
    ) -> Result<Done<UserId>, CommandError> {
        let no_such_reset = || CommandError::refused(UserError::NoSuchPasswordReset);
        let user_id = tokens::password_reset_of(&token).ok_or_else(no_such_reset)?;
        let context = signed_in_as(context, user_id, None);
        let (this, hash) = (self.clone(), Arc::new(OnceCell::new()));
        let outcome = self
            .bus
            .transact(&context, "ResetPassword", move |work| {
                let (this, password, hash) = (this.clone(), password.clone(), Arc::clone(&hash));
                let token_digest = tokens::digest(&token);
                Box::pin(async move {
                    let user = work.load::<User>(user_id).await?;
                    // Before the hash, which takes long, and before a word on the password.
                    let email = user.email().filter(|_| user.awaits_reset(&token_digest, work.now()));
                    let email = email.ok_or_else(no_such_reset)?;
                    let password = Password::parse(&password, email)
                        .map_err(|fault| CommandError::refused(IdentityRefusal::UnfitPassword(fault)))?;
                    let new = password.expose().to_string();
                    let password_hash = hash.get_or_init(|| this.hasher.hash(new)).await.clone();
                    let reset = UserCommand::ResetPassword { token_digest, password_hash, now: work.now() };
                    work.execute::<User>(user_id, reset).await?;
                    remember(work, &user_id);
                    Ok(user_id)
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Mails another link to verify the account's address.
    ///
    /// # Errors
    /// [`UserError::AlreadyVerified`], [`UserError::VerificationJustSent`].
    pub async fn request_verification(
        &self,
        context: &Context,
        user_id: UserId,
    ) -> Result<Done<()>, CommandError> {
        let this = self.clone();
        let outcome = self
            .bus
            .transact(context, "RequestEmailVerification", move |work| {
                let this = this.clone();
                Box::pin(async move { this.ask_to_verify(work, user_id, VerificationOccasion::Asked).await })
            })
            .await?;
        Done::of(outcome)
    }

    pub(super) async fn ask_to_verify(
        &self,
        work: &mut Work,
        user_id: UserId,
        occasion: VerificationOccasion,
    ) -> Result<(), CommandError> {
        let request_id = work.new_id();
        let token = tokens::verification_token(self.bus.store(), user_id, request_id);
        let (token_digest, now) = (tokens::digest(&token), work.now());
        let ask = UserCommand::RequestEmailVerification { request_id, occasion, token_digest, now };
        work.execute::<User>(user_id, ask).await
    }

    /// The account's address is verified with the token that was mailed to it.
    ///
    /// # Errors
    /// [`UserError::NoSuchVerification`] for a token that is made up, used, replaced or too old.
    pub async fn verify_email(&self, context: &Context, token: String) -> Result<Done<UserId>, CommandError> {
        let no_such_verification = || CommandError::refused(UserError::NoSuchVerification);
        let user_id = tokens::verification_of(&token).ok_or_else(no_such_verification)?;
        let context = signed_in_as(context, user_id, None);
        let outcome = self
            .bus
            .transact(&context, "VerifyEmail", move |work| {
                let token_digest = tokens::digest(&token);
                Box::pin(async move {
                    let verify = UserCommand::VerifyEmail { token_digest, now: work.now() };
                    // Whoever made up a token learns nothing of whether there is such a user.
                    work.execute::<User>(user_id, verify).await.map_err(|error| match error {
                        CommandError::Refused(_) => no_such_verification(),
                        other => other,
                    })?;
                    remember(work, &user_id);
                    Ok(user_id)
                })
            })
            .await?;
        Done::of(outcome)
    }
}
