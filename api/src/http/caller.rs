//! Who calls: a signed-in user or an API key, in an organization, with a role; or nobody.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use annals_commands::bus::Context;
use annals_domain::kernel::{ApiKeyId, OrganizationId, Role, SessionId, TierName, UserId};
use annals_eventstore::Source;
use async_trait::async_trait;

use super::{
    answer::ApiError,
    context,
    own_writes::{ReadAfter, Reads},
    who,
};
use crate::{
    rights::{Rights, scopes_allow},
    state::Edge,
};

/// What the log knows of sessions, members and keys at this moment. Asked on every call, so it
/// answers from hot aggregates; `identity` implements it.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Whether the session is the user's, was not revoked and has not expired.
    async fn session_is_alive(&self, session: SessionId, user: UserId) -> Result<bool, ApiError>;

    /// The user's role in the organization, if they are a member.
    async fn membership(&self, organization: OrganizationId, user: UserId) -> Result<Option<Role>, ApiError>;

    /// The tier that holds for the organization.
    async fn tier(&self, organization: OrganizationId) -> Result<TierName, ApiError>;

    /// Who is behind a key (`ak_…`), if it is one of ours and active. Records its use, at most hourly.
    async fn api_key(&self, key: &str) -> Result<Option<KeyHolder>, ApiError>;

    /// Whether a key that was good still is.
    async fn api_key_is_active(&self, key: ApiKeyId) -> Result<bool, ApiError>;

    /// Whether the user is the installation's operator.
    async fn is_operator(&self, user: UserId) -> Result<bool, ApiError>;
}

/// An active API key: it can do what its creator can do now, cut to its scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    pub id: ApiKeyId,
    pub creator: UserId,
    pub organization_id: OrganizationId,
    /// Empty: all.
    pub scopes: Vec<String>,
}

/// A caller whose token or key was checked against the log: session alive, member of the
/// organization, this role at this moment.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user_id: UserId,
    /// The token's organization; with [`super::Access::RightIn`], the path's.
    pub organization_id: OrganizationId,
    /// [`Role::Viewer`] if the caller is no member (see [`Caller::is_member`]).
    pub role: Role,
    /// False only on routes that ask for no right (`Access::SignedIn`, `Access::Session`): the caller left
    /// the organization that their token names, or never had one. Nothing of the organization is theirs to see.
    pub is_member: bool,
    pub is_operator: bool,
    pub credential: Credential,
    /// Request id, trace context, client address, idempotency key and `If-Match`, ready for the bus.
    pub context: Context,
    pub(super) read_after: ReadAfter,
    pub(super) rights: Arc<Rights>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    Session(SessionId),
    /// With its scopes; empty: all its creator may do.
    ApiKey {
        id: ApiKeyId,
        scopes: Vec<String>,
    },
}

impl Caller {
    /// Whether the policy (role × resource × action), cut to an API key's scopes, allows it.
    pub fn may(&self, resource: &str, action: &str) -> bool {
        let organization = self.organization_id.to_string();
        let by_role = self.is_member && self.rights.allows(self.role, &organization, resource, action);
        self.may_everywhere(resource, action) || (by_role && self.is_in_scope(resource, action))
    }

    /// Whether the caller may do it as the installation's operator, and so in every organization.
    pub fn may_everywhere(&self, resource: &str, action: &str) -> bool {
        let by_office = self.is_operator && self.rights.allows_operator(resource, action);
        by_office && self.is_in_scope(resource, action)
    }

    fn is_in_scope(&self, resource: &str, action: &str) -> bool {
        match &self.credential {
            Credential::Session(_) => true,
            Credential::ApiKey { scopes, .. } => scopes_allow(scopes, resource, action),
        }
    }

    /// For a check beyond the one that the route declares, such as `post` × `manage` on others' posts.
    ///
    /// # Errors
    /// 403 `FORBIDDEN` in words that name the role and the right.
    pub fn require(&self, resource: &str, action: &str) -> Result<(), ApiError> {
        if self.may(resource, action) {
            return Ok(());
        }
        let who = match &self.credential {
            Credential::ApiKey { scopes, .. } if !scopes_allow(scopes, resource, action) => {
                "this key's scopes do".to_string()
            }
            _ => format!("the role {} does", self.role),
        };
        Err(ApiError::forbidden(format!("{who} not include {resource}:{action}")))
    }

    /// The same caller as the log has them now: for an answer that takes long.
    ///
    /// # Errors
    /// 401 if the session, the key or the membership has ended; 503 if the log can't be read.
    pub async fn still(&self, edge: &Edge) -> Result<Self, ApiError> {
        who::still(edge, self).await
    }

    /// The same caller through the MCP server, once for a key.
    ///
    /// # Errors
    /// 400 for a key that is not well-formed.
    pub fn by_mcp(mut self, key: Option<&str>, request: Vec<u8>) -> Result<Self, ApiError> {
        self.context.source = Source::Mcp;
        if let Some(key) = key {
            self.context.idempotency = context::keyed(&self.context, key, request)?;
        }
        Ok(self)
    }

    /// The same caller, whose queries wait for what their command has just written there.
    #[must_use]
    pub fn having_written(mut self, position: u64) -> Self {
        self.read_after = ReadAfter::Own(position);
        self
    }

    /// The session, for what is about it; a key has none.
    pub fn session_id(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(id) => Some(id),
            Credential::ApiKey { .. } => None,
        }
    }
}

impl Reads for Caller {
    fn read_after(&self) -> ReadAfter {
        self.read_after
    }
}

/// Answers 401 on a route that is open to anyone: the gate leaves no caller there.
impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(|| ApiError::unauthorized("sign in first")))
    }
}

/// A caller that need not be signed in: registration, login, refresh.
#[derive(Clone, Debug)]
pub struct Anonymous {
    /// The idempotency scope is the route.
    pub context: Context,
    pub(super) read_after: ReadAfter,
}

impl Reads for Anonymous {
    fn read_after(&self) -> ReadAfter {
        self.read_after
    }
}

/// Only on routes with `Access::Anonymous`.
impl FromRequest for Anonymous {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let anonymous = request.extensions().get::<Self>().cloned();
        ready(anonymous.ok_or_else(|| ApiError::unauthorized("this route asks who calls")))
    }
}
