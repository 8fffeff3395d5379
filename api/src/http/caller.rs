//! Who calls: a signed-in user or an API key, in an organization, with a role; or nobody.

use std::future::Ready;

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use annals_commands::bus::Context;
use annals_domain::kernel::{ApiKeyId, OrganizationId, Role, SessionId, UserId};

use super::answer::ApiError;

/// A caller whose token or key was checked against the log: session alive, member of the
/// organization, this role at this moment.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub role: Role,
    pub credential: Credential,
    /// Request id, trace context, client address, idempotency key and `If-Match`, ready for the bus.
    pub context: Context,
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

#[expect(clippy::todo, unused_variables, reason = "the body is being written")]
impl Caller {
    /// Whether the policy (role × resource × action), cut to an API key's scopes, allows it.
    ///
    /// # Errors
    /// 403 `FORBIDDEN` in words that name the role and the right.
    pub fn require(&self, resource: &str, action: &str) -> Result<(), ApiError> {
        todo!()
    }
}

/// Answers 401 without a valid token or key.
#[expect(clippy::todo, unused_variables, reason = "the body is being written")]
impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>; // becomes a boxed future

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        todo!()
    }
}

/// A caller that need not be signed in: registration, login, refresh.
#[derive(Clone, Debug)]
pub struct Anonymous {
    /// The idempotency scope is the route.
    pub context: Context,
}

#[expect(clippy::todo, unused_variables, reason = "the body is being written")]
impl FromRequest for Anonymous {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        todo!()
    }
}
