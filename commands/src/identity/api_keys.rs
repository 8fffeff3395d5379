//! API keys: made and revoked by their creator.

use annals_domain::{
    identity::{
        ApiKey, ApiKeyCommand, ApiKeyError, ApiKeyName, Held, Holdings, HoldingsCommand, Organization, Scope,
        User, UserCommand,
    },
    kernel::{ApiKeyId, OrganizationId, Quota, UserId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Done, Identity, IdentityRefusal, done::remember_sealed, tokens};
use crate::{
    bus::{CommandError, Context, Work},
    tiers,
};

/// `scopes` are checked against the policy by who knows it, before.
#[derive(Clone, Debug)]
pub struct CreateApiKey {
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub name: ApiKeyName,
    pub scopes: Vec<Scope>,
}

/// A key, which is shown this once.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedApiKey {
    pub api_key_id: ApiKeyId,
    pub key: String,
}

impl Identity {
    /// A new key for what its creator may do in the organization, cut to its scopes.
    ///
    /// # Errors
    /// [`IdentityRefusal::NotAMember`], too many keys, or more than the organization's tier has.
    pub async fn create_api_key(
        &self,
        context: &Context,
        command: CreateApiKey,
    ) -> Result<Done<CreatedApiKey>, CommandError> {
        let api_key_id = ApiKeyId::new(Uuid::now_v7());
        let created = CreatedApiKey { api_key_id, key: tokens::new_api_key(api_key_id) };
        let outcome = self
            .bus
            .transact(context, "CreateApiKey", move |work| {
                let (command, created) = (command.clone(), created.clone());
                Box::pin(async move {
                    let CreateApiKey { user_id, organization_id, name, scopes } = command;
                    let organization = work.load::<Organization>(organization_id).await?;
                    organization
                        .role_of(user_id)
                        .ok_or_else(|| CommandError::refused(IdentityRefusal::NotAMember))?;
                    let digest = tokens::digest(&created.key);
                    let create =
                        ApiKeyCommand::Create { api_key_id, user_id, organization_id, name, scopes, digest };
                    work.execute::<ApiKey>(api_key_id, create).await?;
                    work.execute::<User>(user_id, UserCommand::AddApiKey { api_key_id }).await?;
                    let allowance = tiers::allowance(work, organization_id, Quota::ApiKeys).await?;
                    let add = HoldingsCommand::Add { held: Held::ApiKey(api_key_id), allowance };
                    work.execute::<Holdings>(organization_id, add).await?;
                    remember_sealed(work, &created);
                    Ok(created)
                })
            })
            .await?;
        Done::of(outcome)
    }

    /// Revokes a key of the caller in the organization that they are signed in to.
    ///
    /// # Errors
    /// [`ApiKeyError::NotFound`], also for somebody else's.
    pub async fn revoke_api_key(
        &self,
        context: &Context,
        user_id: UserId,
        organization_id: OrganizationId,
        api_key_id: ApiKeyId,
    ) -> Result<Done<()>, CommandError> {
        let outcome = self
            .bus
            .transact(context, "RevokeApiKey", move |work| {
                Box::pin(async move {
                    if work.load::<ApiKey>(api_key_id).await?.organization_id != organization_id {
                        return Err(CommandError::refused(ApiKeyError::NotFound));
                    }
                    work.execute::<ApiKey>(api_key_id, ApiKeyCommand::Revoke { by: user_id }).await?;
                    work.execute::<User>(user_id, UserCommand::RemoveApiKey { api_key_id }).await?;
                    let remove = HoldingsCommand::Remove { held: Held::ApiKey(api_key_id) };
                    work.execute::<Holdings>(organization_id, remove).await?;
                    work.forget(ApiKey::secrets(api_key_id).as_str());
                    Ok(())
                })
            })
            .await?;
        Done::of(outcome)
    }
}

/// The keys of somebody who leaves open nothing of the organization any more, and count no longer.
pub(super) async fn release_keys(
    work: &mut Work,
    user_id: UserId,
    organization_id: OrganizationId,
) -> Result<(), CommandError> {
    for api_key_id in work.load::<User>(user_id).await?.api_keys.iter().copied() {
        let remove = HoldingsCommand::Remove { held: Held::ApiKey(api_key_id) };
        work.execute::<Holdings>(organization_id, remove).await?;
    }
    Ok(())
}

/// The keys of somebody who comes back open what they opened, and count again, whatever the tier has.
pub(super) async fn count_keys_again(
    work: &mut Work,
    user_id: UserId,
    organization_id: OrganizationId,
) -> Result<(), CommandError> {
    for api_key_id in work.load::<User>(user_id).await?.api_keys.iter().copied() {
        let key = work.load::<ApiKey>(api_key_id).await?;
        if key.organization_id == organization_id && key.is_active() {
            let note = HoldingsCommand::Note { held: Held::ApiKey(api_key_id) };
            work.execute::<Holdings>(organization_id, note).await?;
        }
    }
    Ok(())
}
