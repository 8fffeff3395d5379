//! What a signed-in person changes about their account, and its end.

use std::sync::Arc;

use annals_domain::{
    identity::{
        ApiKey, ApiKeyCommand, Organization, OrganizationCommand, Password, Profile, User, UserCommand,
        UserError, UserSettings,
    },
    kernel::{EmailAddress, InvitationId, OrganizationId, SessionId, UserId},
};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{
    Done, Identity, IdentityRefusal, api_keys::release_keys, done::remember, sign_in::holder, signed_in_as,
    tokens,
};
use crate::bus::{CommandError, Context, Work};

/// A change of password: what it was, what it becomes.
#[derive(Clone)]
pub struct PasswordChange {
    pub current: String,
    pub new: Password,
    /// The session that asks: it stays, all others end.
    pub keep_session: Option<SessionId>,
}

/// How a profile or settings come out of what they were.
pub trait Change<T>: Fn(T) -> Result<T, CommandError> + Clone + Send + Sync + 'static {}

impl<T, F: Fn(T) -> Result<T, CommandError> + Clone + Send + Sync + 'static> Change<T> for F {}

impl Identity {
    /// Changes the profile; `change` gets what it is at the version that the change is made on.
    ///
    /// # Errors
    /// What `change` refuses, a stale `If-Match`, or a log that can't be reached.
    pub async fn change_profile(
        &self,
        context: &Context,
        user_id: UserId,
        change: impl Change<Profile>,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "ChangeProfile", move |work| {
                let change = change.clone();
                Box::pin(async move {
                    let profile = change(work.load::<User>(user_id).await?.profile())?;
                    work.execute::<User>(user_id, UserCommand::ChangeProfile { profile }).await
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Changes time zone, language or preferences, as [`Identity::change_profile`].
    ///
    /// # Errors
    /// As [`Identity::change_profile`].
    pub async fn change_settings(
        &self,
        context: &Context,
        user_id: UserId,
        change: impl Change<UserSettings>,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "ChangeSettings", move |work| {
                let change = change.clone();
                Box::pin(async move {
                    let settings = change(work.load::<User>(user_id).await?.settings())?;
                    work.execute::<User>(user_id, UserCommand::ChangeSettings { settings }).await
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// A new password for whoever knows the current one; ends the other sessions.
    ///
    /// # Errors
    /// [`IdentityRefusal::WrongPassword`], or a log that can't be reached.
    pub async fn change_password(
        &self,
        context: &Context,
        user_id: UserId,
        command: PasswordChange,
    ) -> Result<Done<()>, CommandError> {
        let (this, hash) = (self.clone(), Arc::new(OnceCell::new()));
        let outcome = self
            .bus
            .transact(context, "ChangePassword", move |work| {
                let (this, command, hash) = (this.clone(), command.clone(), Arc::clone(&hash));
                Box::pin(async move {
                    this.verify(work, user_id, command.current, "currentPassword").await?;
                    let new = command.new.expose().to_string();
                    let password_hash = hash.get_or_init(|| this.hasher.hash(new)).await.clone();
                    let keep_session = command.keep_session;
                    let change = UserCommand::ChangePassword { password_hash, keep_session };
                    work.execute::<User>(user_id, change).await
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Asks for another mail address: a token goes to it by mail.
    ///
    /// # Errors
    /// [`IdentityRefusal::WrongPassword`], [`IdentityRefusal::EmailTaken`], [`UserError::SameAddress`].
    pub async fn request_email_change(
        &self,
        context: &Context,
        user_id: UserId,
        address: EmailAddress,
        password: String,
    ) -> Result<Done<()>, CommandError> {
        let this = self.clone();
        let request_id = Uuid::now_v7();
        let outcome = self
            .bus
            .transact(context, "RequestEmailChange", move |work| {
                let (this, address, password) = (this.clone(), address.clone(), password.clone());
                Box::pin(async move {
                    this.verify(work, user_id, password, "password").await?;
                    let claim = this.email_claim(&address.canonical());
                    if holder(work.claim_holder(&claim).await?)?.is_some_and(|other| other != user_id) {
                        return Err(CommandError::refused(IdentityRefusal::EmailTaken));
                    }
                    let token = tokens::email_change_token(this.bus.store(), user_id, request_id);
                    let request = UserCommand::RequestEmailChange {
                        request_id,
                        address,
                        token_digest: tokens::digest(&token),
                        now: work.now(),
                    };
                    work.execute::<User>(user_id, request).await
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// The new address is the user's once the token that was mailed to it comes back.
    ///
    /// # Errors
    /// [`UserError::NoSuchEmailChange`]; [`IdentityRefusal::EmailTaken`] if somebody was faster.
    pub async fn confirm_email_change(
        &self,
        context: &Context,
        token: String,
    ) -> Result<Done<UserId>, CommandError> {
        let user_id = tokens::email_change_of(&token)
            .ok_or_else(|| CommandError::refused(UserError::NoSuchEmailChange))?;
        let context = signed_in_as(context, user_id, None);
        let this = self.clone();
        let outcome = self
            .bus
            .transact(&context, "ConfirmEmailChange", move |work| {
                let (this, token_digest) = (this.clone(), tokens::digest(&token));
                Box::pin(async move { this.confirming(work, user_id, token_digest).await })
            })
            .await?;
        Done::of(outcome)
    }

    async fn confirming(
        &self,
        work: &mut Work,
        user_id: UserId,
        token_digest: String,
    ) -> Result<UserId, CommandError> {
        let before = work.load::<User>(user_id).await?.email().map(EmailAddress::canonical);
        let confirm = UserCommand::ConfirmEmailChange { token_digest, now: work.now() };
        // Whoever made up a token learns nothing of whether there is such a user.
        work.execute::<User>(user_id, confirm).await.map_err(|error| match error {
            CommandError::Refused(_) => CommandError::refused(UserError::NoSuchEmailChange),
            other => other,
        })?;
        let after = work.load::<User>(user_id).await?.email().map(EmailAddress::canonical);
        if before != after {
            if let Some(address) = after {
                let claim = self.email_claim(&address);
                if work.claim_holder(&claim).await?.is_some() {
                    return Err(CommandError::refused(IdentityRefusal::EmailTaken));
                }
                work.take_claim(claim, user_id);
            }
            if let Some(address) = before {
                work.release_claim(self.email_claim(&address), user_id);
            }
        }
        remember(work, &user_id);
        Ok(user_id)
    }

    /// Ends an account: leaves or closes its organizations, revokes its keys, frees its address and
    /// destroys the keys of what was personal or secret. One append: all of it or nothing.
    ///
    /// # Errors
    /// [`annals_domain::identity::OrganizationError::OwnerMustTransfer`] while the user owns an
    /// organization with other members.
    pub async fn delete_account(&self, context: &Context, user_id: UserId) -> Result<Done<()>, CommandError> {
        // The client's address would be sealed under the key that this destroys.
        let context = Context { client: None, ..context.clone() };
        let this = self.clone();
        let outcome = self
            .bus
            .transact(&context, "DeleteAccount", move |work| {
                let this = this.clone();
                Box::pin(async move { this.deleting(work, user_id).await })
            })
            .await?;
        Done::of(outcome)
    }

    async fn deleting(&self, work: &mut Work, user_id: UserId) -> Result<(), CommandError> {
        let user = work.load::<User>(user_id).await?;
        for organization_id in user.organizations.iter().copied() {
            leave_for_good(work, user_id, organization_id).await?;
        }
        for key in user.api_keys.iter().copied() {
            work.execute::<ApiKey>(key, ApiKeyCommand::Revoke { by: user_id }).await?;
            work.forget(ApiKey::secrets(key).as_str());
        }
        work.execute::<User>(user_id, UserCommand::Delete).await?;
        if let Some(address) = user.email() {
            work.release_claim(self.email_claim(&address.canonical()), user_id);
        }
        self.release_external(work, &user, None);
        work.forget(format!("user:{user_id}"));
        work.forget(User::secrets(user_id).as_str());
        Ok(())
    }

    /// Whether the password is the user's at the version that the work relies on.
    async fn verify(
        &self,
        work: &mut Work,
        user_id: UserId,
        password: String,
        field: &'static str,
    ) -> Result<(), CommandError> {
        let user = work.load::<User>(user_id).await?;
        if user.is_active() && !user.has_password() {
            return Err(CommandError::refused(IdentityRefusal::NoPassword));
        }
        let phc = user.password_hash().map(str::to_string);
        match self.hasher.verify(password, phc).await {
            true => Ok(()),
            false => Err(CommandError::refused(IdentityRefusal::WrongPassword { field })),
        }
    }
}

/// Takes a member out of an organization because their account goes; a sole member's closes.
async fn leave_for_good(
    work: &mut Work,
    user_id: UserId,
    organization_id: OrganizationId,
) -> Result<(), CommandError> {
    let before = work.load::<Organization>(organization_id).await?;
    work.execute::<Organization>(organization_id, OrganizationCommand::DeleteMember { user_id }).await?;
    if !work.load::<Organization>(organization_id).await?.is_open() {
        for invitation in before.invitations.keys() {
            forget_invitation(work, *invitation);
        }
    }
    work.execute::<User>(user_id, UserCommand::LeaveOrganization { organization_id }).await?;
    release_keys(work, user_id, organization_id).await
}

/// Nobody needs the address or the token of an invitation that is not open any more.
pub(super) fn forget_invitation(work: &mut Work, invitation: InvitationId) {
    work.forget(annals_domain::kernel::Subject::invitation(invitation).as_str());
    work.forget(Organization::invitation_secrets(invitation).as_str());
}
