//! Who may come in: sessions and keys, checked against the aggregates that this node knows.
//!
//! A revocation or a demotion holds at once on the node that wrote it, and within a moment on the
//! others; commands that matter decide at asserted versions besides (invariant 9). Who was let in on one
//! node is let in on all of them at once.

use annals_domain::{
    identity::{ApiKey, ApiKeyCommand, Organization, Scope, Session, User},
    kernel::{ApiKeyId, OrganizationId, Role, SessionId, UserId},
};
use annals_eventstore::{Actor, ActorKind, Source};

use super::{Identity, tokens};
use crate::bus::{CommandError, Context};

/// Who is behind an API key.
#[derive(Clone, Debug)]
pub struct KeyAccess {
    pub api_key_id: ApiKeyId,
    pub creator: UserId,
    pub organization_id: OrganizationId,
    /// Empty: all its creator may do.
    pub scopes: Vec<Scope>,
}

impl Identity {
    /// Whether the session is the user's, and neither revoked, expired nor ended by a change of password.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn session_is_alive(
        &self,
        session_id: SessionId,
        user_id: UserId,
    ) -> Result<bool, CommandError> {
        let now = self.bus.now();
        let alive = move |session: &Session| session.user_id == user_id && session.is_alive(now);
        let Some(session) = self.bus.load_admitting(session_id, alive).await? else { return Ok(false) };
        // It may have been opened after a change of password that this node has not heard of.
        let honours = move |user: &User| user.honours_session(session_id, session.epoch);
        Ok(self.bus.load_admitting(user_id, honours).await?.is_some())
    }

    /// The user's role in the organization, if they are a member.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn role_in(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<Option<Role>, CommandError> {
        let is_member = move |organization: &Organization| organization.role_of(user_id).is_some();
        let organization = self.bus.load_admitting(organization_id, is_member).await?;
        Ok(organization.and_then(|organization| organization.role_of(user_id)))
    }

    /// Whether the user may use the tools of the installation.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn is_operator(&self, user_id: UserId) -> Result<bool, CommandError> {
        Ok(self.bus.load::<User>(user_id).await?.state.operator)
    }

    /// Who is behind an API key, if it is one of ours and active. Notes its use, at most once an hour.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn key_access(&self, key: &str) -> Result<Option<KeyAccess>, CommandError> {
        let Some(api_key_id) = tokens::api_key_of(key) else { return Ok(None) };
        let digest = tokens::digest(key);
        let matches = move |key: &ApiKey| key.digest().is_some_and(|known| tokens::same(known, &digest));
        let Some(api_key) = self.bus.load_admitting(api_key_id, matches).await? else { return Ok(None) };
        if !self.bus.load::<User>(api_key.user_id).await?.state.is_active() {
            return Ok(None);
        }
        if api_key.use_is_news(self.bus.now()) {
            self.note_use(&api_key).await;
        }
        let ApiKey { user_id: creator, organization_id, ref scopes, .. } = *api_key;
        Ok(Some(KeyAccess { api_key_id, creator, organization_id, scopes: scopes.clone() }))
    }

    /// Whether a key that was good still is: not revoked, its creator still there.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn key_is_active(&self, api_key_id: ApiKeyId) -> Result<bool, CommandError> {
        let api_key = self.bus.load::<ApiKey>(api_key_id).await?.state;
        Ok(api_key.is_active() && self.bus.load::<User>(api_key.user_id).await?.state.is_active())
    }

    /// The call goes on even if this can't be noted.
    async fn note_use(&self, api_key: &ApiKey) {
        let actor = Actor { kind: ActorKind::ApiKey, id: Some(api_key.id.to_string()) };
        let context = Context::new(actor, Some(api_key.organization_id.uuid()), Source::Api);
        let command = ApiKeyCommand::NoteUse { now: self.bus.now() };
        let noted = self.bus.execute::<ApiKey>(&context, "NoteApiKeyUse", api_key.id, command).await;
        if let Err(error) = noted {
            tracing::warn!(api_key.id = %api_key.id, %error, "the use of an api key could not be noted");
        }
    }
}
