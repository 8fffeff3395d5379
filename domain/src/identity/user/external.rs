//! Accounts at other providers with which a person signs in here.

use serde::{Deserialize, Serialize};

use super::{User, UserError, UserEvent};
use crate::{
    identity::{ExternalAccount, Issuer, ProviderName},
    kernel::{ExternalIdentityId, Personal},
};

/// An account that is linked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExternalIdentity {
    pub provider: ProviderName,
    pub issuer: Issuer,
    pub account: Personal<ExternalAccount>,
}

impl User {
    pub const EXTERNAL_IDENTITIES_MAX: usize = 20;

    /// Whether there is a password to sign in with.
    pub fn has_password(&self) -> bool {
        self.password_hash().is_some()
    }

    pub(super) fn link(
        &self,
        external_identity_id: ExternalIdentityId,
        provider: ProviderName,
        issuer: Issuer,
        account: ExternalAccount,
    ) -> Result<Option<UserEvent>, UserError> {
        let of_issuer = self.external_identities.values().find(|linked| linked.issuer == issuer);
        match of_issuer.and_then(|linked| linked.account.get()) {
            Some(linked) if linked.subject == account.subject => return Ok(None),
            Some(_) => return Err(UserError::LinkedDifferently { issuer: issuer.as_str().to_string() }),
            None => {}
        }
        if self.external_identities.len() >= Self::EXTERNAL_IDENTITIES_MAX {
            return Err(UserError::TooManyExternalIdentities { max: Self::EXTERNAL_IDENTITIES_MAX });
        }
        let account = Personal::new(self.id, account);
        Ok(Some(UserEvent::ExternalIdentityLinked { external_identity_id, provider, issuer, account }))
    }

    pub(super) fn unlink(&self, external_identity_id: ExternalIdentityId) -> Result<UserEvent, UserError> {
        if !self.external_identities.contains_key(&external_identity_id) {
            return Err(UserError::NoSuchExternalIdentity);
        }
        if !self.has_password() && self.external_identities.len() == 1 {
            return Err(UserError::OnlyWayIn);
        }
        Ok(UserEvent::ExternalIdentityUnlinked { external_identity_id })
    }
}
