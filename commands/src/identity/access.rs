//! Who may come in: sessions and keys, checked against the aggregates that this node knows.
//!
//! A revocation or a demotion holds at once on the node that wrote it, and within a moment on the
//! others; commands that matter decide at asserted versions besides (invariant 9).

use annals_domain::{
    identity::{ApiKey, ApiKeyCommand, Organization, Scope, Session, User},
    kernel::{ApiKeyId, OrganizationId, Role, SessionId, UserId},
};
use annals_eventstore::{Actor, ActorKind, Source};
use uuid::Uuid;

use super::{Identity, tokens};
use crate::bus::{CommandError, Context};

/// What a session gives access to, as of now.
#[derive(Clone, Debug)]
pub struct Access {
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub role: Role,
    /// May use the tools of the installation.
    pub operator: bool,
}

/// What an API key gives access to, as of now.
#[derive(Clone, Debug)]
pub struct KeyAccess {
    pub api_key_id: ApiKeyId,
    pub access: Access,
    /// Empty: all its creator may do.
    pub scopes: Vec<Scope>,
}

impl Identity {
    /// What a live session of this user gives in this organization; `None` if it has ended or the
    /// user is no member.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn session_access(
        &self,
        session_id: SessionId,
        user_id: UserId,
        organization_id: OrganizationId,
    ) -> Result<Option<Access>, CommandError> {
        let session = self.bus.load::<Session>(session_id).await?.state;
        if session.user_id != user_id || !session.is_alive(self.bus.now()) {
            return Ok(None);
        }
        let user = self.bus.load::<User>(user_id).await?.state;
        if !user.honours_session(session_id, session.epoch) {
            return Ok(None);
        }
        self.access_of(&user, organization_id).await
    }

    /// What an API key gives, and notes its use (at most once an hour).
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn key_access(&self, key: &str) -> Result<Option<KeyAccess>, CommandError> {
        let Some(api_key_id) = tokens::api_key_of(key) else { return Ok(None) };
        let api_key = self.bus.load::<ApiKey>(api_key_id).await?.state;
        let digest = tokens::digest(key);
        if !api_key.digest().is_some_and(|known| tokens::same(known, &digest)) {
            return Ok(None);
        }
        let user = self.bus.load::<User>(api_key.user_id).await?.state;
        let Some(access) = self.access_of(&user, api_key.organization_id).await? else {
            return Ok(None);
        };
        if api_key.use_is_news(self.bus.now()) {
            self.note_use(&api_key).await;
        }
        Ok(Some(KeyAccess { api_key_id, access, scopes: api_key.scopes.clone() }))
    }

    async fn access_of(
        &self,
        user: &User,
        organization_id: OrganizationId,
    ) -> Result<Option<Access>, CommandError> {
        let organization = self.bus.load::<Organization>(organization_id).await?.state;
        let role = organization.role_of(user.id).filter(|_| user.is_active());
        Ok(role.map(|role| Access { user_id: user.id, organization_id, role, operator: user.operator }))
    }

    /// The call goes on even if this can't be noted.
    async fn note_use(&self, api_key: &ApiKey) {
        let context = Context {
            actor: Actor { kind: ActorKind::ApiKey, id: Some(api_key.id.to_string()) },
            organization_id: Some(api_key.organization_id.uuid()),
            source: Source::Api,
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            request_id: None,
            trace_parent: None,
            client: None,
            client_subject: None,
            idempotency: None,
            expected_version: None,
        };
        let command = ApiKeyCommand::NoteUse { now: self.bus.now() };
        let noted = self.bus.execute::<ApiKey>(&context, "NoteApiKeyUse", api_key.id, command).await;
        if let Err(error) = noted {
            tracing::warn!(api_key.id = %api_key.id, %error, "the use of an api key could not be noted");
        }
    }
}
