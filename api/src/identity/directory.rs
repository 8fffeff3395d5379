use annals_commands::identity::Identity;
use annals_domain::kernel::{ApiKeyId, OrganizationId, Role, SessionId, TierName, UserId};
use async_trait::async_trait;

use crate::http::{
    ApiError,
    caller::{Directory, KeyHolder},
};

/// The edge's questions about who calls, answered from the node's cache of aggregates.
pub struct IdentityDirectory {
    identity: Identity,
}

impl IdentityDirectory {
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

#[async_trait]
impl Directory for IdentityDirectory {
    async fn session_is_alive(&self, session: SessionId, user: UserId) -> Result<bool, ApiError> {
        Ok(self.identity.session_is_alive(session, user).await?)
    }

    async fn membership(&self, organization: OrganizationId, user: UserId) -> Result<Option<Role>, ApiError> {
        Ok(self.identity.role_in(organization, user).await?)
    }

    async fn tier(&self, organization: OrganizationId) -> Result<TierName, ApiError> {
        Ok(self.identity.tier_of(organization).await?)
    }

    async fn api_key(&self, key: &str) -> Result<Option<KeyHolder>, ApiError> {
        let access = self.identity.key_access(key).await?;
        Ok(access.map(|access| KeyHolder {
            id: access.api_key_id,
            creator: access.creator,
            organization_id: access.organization_id,
            scopes: access.scopes.iter().map(|scope| scope.as_str().to_string()).collect(),
        }))
    }

    async fn api_key_is_active(&self, key: ApiKeyId) -> Result<bool, ApiError> {
        Ok(self.identity.key_is_active(key).await?)
    }

    async fn is_operator(&self, user: UserId) -> Result<bool, ApiError> {
        Ok(self.identity.is_operator(user).await?)
    }
}
