//! From the `Authorization` header to a person, an organization and a role, all as the log has them now.

use actix_web::{HttpMessage, dev::ServiceRequest, http::header};
use annals_domain::kernel::{OrganizationId, Role, SessionId, UserId};
use annals_eventstore::{Actor, ActorKind, Source};
use uuid::Uuid;

use super::{
    answer::ApiError,
    caller::{Caller, Credential, KeyHolder},
    context::Acting,
    pages::{Door, PageSession},
    routes::{Access, RouteInfo},
};
use crate::state::Edge;

/// How an API key begins; an access token never does.
const API_KEY_PREFIX: &str = "ak_";

/// A caller before their right is looked up.
pub(super) struct Identified {
    pub(super) user_id: UserId,
    pub(super) organization_id: OrganizationId,
    /// None if they are no member, on routes that do not ask for it.
    pub(super) role: Option<Role>,
    pub(super) is_operator: bool,
    pub(super) credential: Credential,
}

impl Identified {
    pub(super) fn acting(&self) -> Acting {
        let (kind, id, source) = match &self.credential {
            Credential::Session(_) => (ActorKind::User, self.user_id.to_string(), Source::Web),
            Credential::ApiKey { id, .. } => (ActorKind::ApiKey, id.to_string(), Source::Api),
        };
        Acting {
            actor: Actor { kind, id: Some(id) },
            organization_id: self.role.is_some().then(|| self.organization_id.uuid()),
            source,
            subject: Some(annals_domain::kernel::Subject::from(self.user_id).as_str().to_string()),
        }
    }
}

/// Who calls, good enough for this access.
///
/// # Errors
/// 401 without a credential that holds; 403 for a key where a session is asked for; 404 for an
/// organization in the path that is not theirs; 503 if the log can't be read.
pub(super) async fn identify(
    edge: &Edge,
    route: &RouteInfo,
    request: &ServiceRequest,
) -> Result<Identified, ApiError> {
    let access = route.access;
    let (user_id, home, credential) = match route.door {
        Door::Api | Door::Foreign { .. } => match ticket(route, request) {
            Some(ticket) => by_ticket(edge, &ticket).await?,
            None => by_header(edge, request).await?,
        },
        Door::Pages { .. } => by_cookie(edge, request).await?,
    };
    check_kind(access, &credential)?;
    let organization_id = match access {
        Access::RightIn(parameter, ..) => organization_in_path(request, parameter)?,
        _ => home,
    };
    let role = match &credential {
        // A key belongs to its organization: no other is there for it.
        Credential::ApiKey { .. } if organization_id != home => None,
        _ => edge.directory.membership(organization_id, user_id).await?,
    };
    let is_operator = edge.directory.is_operator(user_id).await?;
    match (access, role) {
        (Access::RightIn(..), None) => return Err(ApiError::not_found("organization")),
        (Access::Right(..) | Access::Member, None) if !is_operator => return Err(no_longer_a_member()),
        (_, None) if matches!(credential, Credential::ApiKey { .. }) => return Err(no_longer_a_member()),
        _ => {}
    }
    Ok(Identified { user_id, organization_id, role, is_operator, credential })
}

/// Whose the credential is, and of which organization.
type Known = (UserId, OrganizationId, Credential);

async fn by_header(edge: &Edge, request: &ServiceRequest) -> Result<Known, ApiError> {
    let credential = presented(request)?;
    if credential.starts_with(API_KEY_PREFIX) {
        let holder = edge.directory.api_key(credential).await?;
        let holder = holder.ok_or_else(|| ApiError::unauthorized("this API key is unknown or revoked"))?;
        let KeyHolder { id, creator, organization_id, scopes } = holder;
        return Ok((creator, organization_id, Credential::ApiKey { id, scopes }));
    }
    let claims = edge.tokens.verify(credential, edge.clock.now());
    let claims = claims
        .map_err(|fault| ApiError { code: fault_code(fault), ..ApiError::unauthorized(fault.to_string()) })?;
    check_session(edge, claims.sid, claims.user_id).await?;
    Ok((claims.user_id, claims.org_id, Credential::Session(claims.sid)))
}

/// A ticket in the query, where one is taken and no header says who calls.
fn ticket(route: &RouteInfo, request: &ServiceRequest) -> Option<String> {
    if !route.takes_tickets || request.headers().contains_key(header::AUTHORIZATION) {
        return None;
    }
    let mut pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    pairs.find(|(name, _)| name == "ticket").map(|(_, ticket)| ticket.into_owned())
}

async fn by_ticket(edge: &Edge, ticket: &str) -> Result<Known, ApiError> {
    let claims = edge
        .tokens
        .verify_ticket(ticket, edge.clock.now())
        .map_err(|_| ApiError::unauthorized("this ticket has expired or is not one of ours; get another"))?;
    if !edge.limits.is_first_use(claims.ticket).await? {
        return Err(ApiError::unauthorized("this ticket was used; get another"));
    }
    check_session(edge, claims.sid, claims.user_id).await?;
    Ok((claims.user_id, claims.org_id, Credential::Session(claims.sid)))
}

async fn by_cookie(edge: &Edge, request: &ServiceRequest) -> Result<Known, ApiError> {
    let session = PageSession::read(edge, request.request())?;
    check_session(edge, session.session_id, session.user_id).await?;
    let known = (session.user_id, session.organization_id, Credential::Session(session.session_id));
    request.extensions_mut().insert(session);
    Ok(known)
}

/// The caller as the log has them now, for an answer that takes long: the session, the membership and
/// the office may have ended since it began.
///
/// # Errors
/// 401 if the session or the key has ended, or the membership; 503 if the log can't be read.
pub(super) async fn still(edge: &Edge, caller: &Caller) -> Result<Caller, ApiError> {
    match &caller.credential {
        Credential::Session(session) => check_session(edge, *session, caller.user_id).await?,
        Credential::ApiKey { id, .. } => {
            if !edge.directory.api_key_is_active(*id).await? {
                return Err(ApiError::unauthorized("this API key was revoked"));
            }
        }
    }
    let role = edge.directory.membership(caller.organization_id, caller.user_id).await?;
    let is_operator = edge.directory.is_operator(caller.user_id).await?;
    if role.is_none() && !is_operator {
        return Err(no_longer_a_member());
    }
    let (is_member, role) = (role.is_some(), role.unwrap_or(Role::Viewer));
    Ok(Caller { role, is_member, is_operator, ..caller.clone() })
}

/// `Bearer <token>`, `Bearer ak_…` or, as some clients send it, a bare `ak_…`.
fn presented(request: &ServiceRequest) -> Result<&str, ApiError> {
    let missing = || {
        ApiError::unauthorized("sign in first: send Authorization: Bearer and an access token or an API key")
    };
    let value = request.headers().get(header::AUTHORIZATION).ok_or_else(missing)?;
    let value = value.to_str().map_err(|_| missing())?.trim();
    if value.starts_with(API_KEY_PREFIX) {
        return Ok(value);
    }
    let (scheme, credential) = value.split_once(' ').ok_or_else(missing)?;
    let credential = credential.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || credential.is_empty() {
        return Err(missing());
    }
    Ok(credential)
}

fn fault_code(fault: super::tokens::TokenFault) -> &'static str {
    match fault {
        super::tokens::TokenFault::Expired => "TOKEN_EXPIRED",
        super::tokens::TokenFault::Forged => "TOKEN_INVALID",
    }
}

async fn check_session(edge: &Edge, session: SessionId, user: UserId) -> Result<(), ApiError> {
    if edge.directory.session_is_alive(session, user).await? {
        return Ok(());
    }
    Err(ApiError { code: "SESSION_ENDED", ..ApiError::unauthorized("this session has ended; sign in again") })
}

fn check_kind(access: Access, credential: &Credential) -> Result<(), ApiError> {
    match (access, credential) {
        (Access::Session, Credential::ApiKey { .. }) => {
            Err(ApiError::forbidden("an API key can't do this; sign in"))
        }
        (Access::SignedIn, Credential::ApiKey { scopes, .. }) if !scopes.is_empty() => {
            Err(ApiError::forbidden("this key's scopes do not include this"))
        }
        _ => Ok(()),
    }
}

fn organization_in_path(request: &ServiceRequest, parameter: &str) -> Result<OrganizationId, ApiError> {
    let id = request.match_info().get(parameter).and_then(|text| text.parse::<Uuid>().ok());
    id.map(OrganizationId::new).ok_or_else(|| ApiError::not_found("organization"))
}

fn no_longer_a_member() -> ApiError {
    ApiError {
        code: "MEMBERSHIP_ENDED",
        ..ApiError::unauthorized(
            "you are no longer a member of this organization; switch to another or sign in again",
        )
    }
}
