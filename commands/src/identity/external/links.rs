//! Taking a way in away.

use annals_domain::{
    identity::{User, UserCommand},
    kernel::{ExternalIdentityId, UserId},
};

use super::external_claim;
use crate::{
    bus::{CommandError, Context, Work},
    identity::{Done, Identity, done::remember},
};

impl Identity {
    /// An account at another provider does not lead in any more; it may be linked elsewhere.
    ///
    /// # Errors
    /// [`annals_domain::identity::UserError::NoSuchExternalIdentity`], `OnlyWayIn`.
    pub async fn unlink_external_identity(
        &self,
        context: &Context,
        user_id: UserId,
        external_identity_id: ExternalIdentityId,
    ) -> Result<Done<()>, CommandError> {
        let this = self.clone();
        let outcome = self
            .bus
            .transact(context, "UnlinkExternalIdentity", move |work| {
                let this = this.clone();
                Box::pin(async move {
                    let user = work.load::<User>(user_id).await?;
                    let unlink = UserCommand::UnlinkExternalIdentity { external_identity_id };
                    work.execute::<User>(user_id, unlink).await?;
                    this.release_external(work, &user, Some(external_identity_id));
                    remember(work, &());
                    Ok(())
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Frees one of a user's linked accounts, or all of them.
    pub(in crate::identity) fn release_external(
        &self,
        work: &mut Work,
        user: &User,
        only: Option<ExternalIdentityId>,
    ) {
        let linked = user.external_identities.iter();
        for (_, linked) in linked.filter(|(id, _)| only.is_none_or(|only| only == **id)) {
            if let Some(account) = linked.account.get() {
                let claim =
                    external_claim(self.bus.store(), linked.issuer.as_str(), account.subject.as_str());
                work.release_claim(claim, user.id);
            }
        }
    }
}
