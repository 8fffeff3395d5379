//! Who runs the installation: the first account where only this machine comes near, who enters the
//! setup code elsewhere, and whom the command line names.

use annals_domain::{
    identity::{User, UserCommand},
    kernel::{EmailAddress, UserId},
    operations::{GrantedBy, Operatorship, OperatorshipCommand, Reason},
};
use annals_eventstore::{ClaimKey, StoreError};

use super::{Done, Identity, IdentityRefusal, done::remember, sign_in::holder, tokens};
use crate::bus::{CommandError, Context, Work};

/// Held by whoever became the operator first: from then on the setup code opens nothing.
pub(crate) fn first_operator() -> ClaimKey {
    ClaimKey::plain(super::OPERATOR_CLAIMS, "first-account")
}

impl Identity {
    /// Lets the user with this address use the tools of the installation (`annals grant`).
    ///
    /// # Errors
    /// [`IdentityRefusal::NoSuchAccount`].
    pub async fn grant_operator(
        &self,
        context: &Context,
        email: &EmailAddress,
        reason: Reason,
    ) -> Result<Done<UserId>, CommandError> {
        let (this, email) = (self.clone(), email.clone());
        let outcome = self
            .bus
            .transact(context, "GrantOperator", move |work| {
                let (this, email, reason) = (this.clone(), email.clone(), reason.clone());
                Box::pin(async move {
                    let user_id = this.account_at(work, &email).await?;
                    if work.claim_holder(&first_operator()).await?.is_none() {
                        work.take_claim(first_operator(), user_id);
                    }
                    grant(work, user_id, GrantedBy::CommandLine, reason).await?;
                    remember(work, &user_id);
                    Ok(user_id)
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Takes that right back (`annals revoke`).
    ///
    /// # Errors
    /// [`IdentityRefusal::NoSuchAccount`].
    pub async fn revoke_operator(
        &self,
        context: &Context,
        email: &EmailAddress,
        reason: Reason,
    ) -> Result<Done<UserId>, CommandError> {
        let (this, email) = (self.clone(), email.clone());
        let outcome = self
            .bus
            .transact(context, "RevokeOperator", move |work| {
                let (this, email, reason) = (this.clone(), email.clone(), reason.clone());
                Box::pin(async move {
                    let user_id = this.account_at(work, &email).await?;
                    if work.load::<User>(user_id).await?.operator {
                        work.execute::<User>(user_id, UserCommand::RevokeOperator).await?;
                        let revoke = OperatorshipCommand::Revoke { reason };
                        work.execute::<Operatorship>(user_id, revoke).await?;
                    }
                    remember(work, &user_id);
                    Ok(user_id)
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Makes a signed-in user the operator who enters the setup code of an installation that has none yet.
    ///
    /// # Errors
    /// [`IdentityRefusal::WrongSetupCode`], also once there was an operator.
    pub async fn redeem_setup_code(
        &self,
        context: &Context,
        user_id: UserId,
        code: &str,
    ) -> Result<Done<()>, CommandError> {
        let is_right = tokens::is_setup_code(self.bus.store(), code);
        let outcome = self
            .bus
            .transact(context, "RedeemSetupCode", move |work| {
                Box::pin(async move {
                    if !is_right || work.claim_holder(&first_operator()).await?.is_some() {
                        return Err(CommandError::refused(IdentityRefusal::WrongSetupCode));
                    }
                    work.take_claim(first_operator(), user_id);
                    let reason = Reason::parse("entered the setup code").expect("is a reason");
                    grant(work, user_id, GrantedBy::SetupCode, reason).await?;
                    remember(work, &());
                    Ok(())
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// The setup code, as long as nobody ever was the operator.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn setup_code(&self) -> Result<Option<String>, StoreError> {
        let holder = self.bus.store().claim_holder(&first_operator()).await?;
        Ok(holder.is_none().then(|| tokens::setup_code(self.bus.store())))
    }

    /// The operator with this address, if its account is one.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn operator_at(&self, email: &EmailAddress) -> Result<Option<UserId>, CommandError> {
        let claim = self.email_claim(&email.canonical());
        let Some(user_id) = holder(self.bus.store().claim_holder(&claim).await?)? else { return Ok(None) };
        Ok(self.is_operator(user_id).await?.then_some(user_id))
    }

    async fn account_at(&self, work: &mut Work, email: &EmailAddress) -> Result<UserId, CommandError> {
        let claim = self.email_claim(&email.canonical());
        holder(work.claim_holder(&claim).await?)?
            .ok_or_else(|| CommandError::refused(IdentityRefusal::NoSuchAccount))
    }
}

/// Both sides of it: the user who may, and why they may. Nothing for who is the operator already.
async fn grant(work: &mut Work, user_id: UserId, by: GrantedBy, reason: Reason) -> Result<(), CommandError> {
    if work.load::<User>(user_id).await?.operator {
        return Ok(());
    }
    work.execute::<User>(user_id, UserCommand::GrantOperator).await?;
    work.execute::<Operatorship>(user_id, OperatorshipCommand::Grant { by, reason }).await
}
