//! Who runs the installation.

use annals_domain::{
    identity::{User, UserCommand},
    kernel::{EmailAddress, UserId},
};

use super::{Done, Identity, IdentityRefusal, done::remember, sign_in::holder};
use crate::bus::{CommandError, Context};

impl Identity {
    /// Lets the user with this address use the tools of the installation (`annals grant`).
    ///
    /// # Errors
    /// [`IdentityRefusal::NoSuchAccount`].
    pub async fn grant_operator(
        &self,
        context: &Context,
        email: &EmailAddress,
    ) -> Result<Done<UserId>, CommandError> {
        self.set_operator(context, "GrantOperator", email, UserCommand::GrantOperator).await
    }

    /// Takes that right back (`annals revoke`).
    ///
    /// # Errors
    /// [`IdentityRefusal::NoSuchAccount`].
    pub async fn revoke_operator(
        &self,
        context: &Context,
        email: &EmailAddress,
    ) -> Result<Done<UserId>, CommandError> {
        self.set_operator(context, "RevokeOperator", email, UserCommand::RevokeOperator).await
    }

    async fn set_operator(
        &self,
        context: &Context,
        name: &'static str,
        email: &EmailAddress,
        command: UserCommand,
    ) -> Result<Done<UserId>, CommandError> {
        let claim = self.email_claim(&email.canonical());
        let outcome = self
            .bus
            .transact(context, name, move |work| {
                let (claim, command) = (claim.clone(), command.clone());
                Box::pin(async move {
                    let user_id = holder(work.claim_holder(&claim).await?)?
                        .ok_or_else(|| CommandError::refused(IdentityRefusal::NoSuchAccount))?;
                    work.execute::<User>(user_id, command).await?;
                    remember(work, &user_id);
                    Ok(user_id)
                })
            })
            .await?;
        Done::of(outcome)
    }
}
