//! What people and organizations look like on the wire, and the answer of everything that signs in.

use actix_web::{
    HttpResponse,
    cookie::{Cookie, SameSite, time::Duration as CookieDuration},
    http::StatusCode,
};
use annals_commands::identity::{Done, SignedIn};
use annals_domain::{
    identity::{Organization, Session, User},
    kernel::{EmailAddress, OrganizationId, UserId},
};
use annals_projections::identity::users::UserRow;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{
        Answer, ApiError, ApiResult,
        tokens::{LIFETIME_S, TokenSubject},
    },
    state::AppState,
};

/// The refresh token for browsers: no script reads it, no other site sends it, and only where it is needed.
pub(super) const REFRESH_COOKIE: &str = "annals_refresh";
const REFRESH_COOKIE_PATH: &str = "/api/v1/auth";

/// A person, as they see themselves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserView {
    pub id: Uuid,
    #[schema(example = "ada@example.org")]
    pub email: Option<String>,
    pub name: Option<String>,
    pub email_verified: bool,
    /// The address that waits for its confirmation.
    pub pending_email: Option<String>,
    pub company: Option<String>,
    pub phone: Option<String>,
    pub avatar_url: Option<String>,
    #[schema(example = "Europe/Berlin")]
    pub timezone: String,
    #[schema(example = "en")]
    pub locale: String,
    #[schema(value_type = Object)]
    pub preferences: Map<String, Value>,
    pub is_operator: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
}

impl UserView {
    /// As a command left it.
    pub(super) fn of(id: UserId, user: &User, now: DateTime<Utc>) -> Self {
        let (profile, settings) = (user.profile(), user.settings());
        Self {
            id: id.uuid(),
            email: user.email().map(|email| email.as_str().to_string()),
            name: Some(profile.name.as_str().to_string()),
            email_verified: user.email_verified,
            pending_email: user.pending_email(now).map(|email| email.as_str().to_string()),
            company: profile.company.map(|text| text.as_str().to_string()),
            phone: profile.phone.map(|text| text.as_str().to_string()),
            avatar_url: profile.avatar_url.map(|text| text.as_str().to_string()),
            timezone: settings.timezone.as_str().to_string(),
            locale: settings.locale.as_str().to_string(),
            preferences: settings.preferences.as_object().clone(),
            is_operator: user.operator,
            created_at: None,
            updated_at: None,
        }
    }

    /// As the read model has it.
    pub(super) fn read(row: UserRow, now: DateTime<Utc>) -> Self {
        let is_pending = row.pending_email_expires_at.is_some_and(|end| now < end);
        Self {
            id: row.id,
            email: row.email,
            name: row.name,
            email_verified: row.email_verified,
            pending_email: row.pending_email.filter(|_| is_pending),
            company: row.company,
            phone: row.phone,
            avatar_url: row.avatar_url,
            timezone: row.timezone.unwrap_or_else(|| "UTC".to_string()),
            locale: row.locale.unwrap_or_else(|| "en".to_string()),
            preferences: row.preferences.and_then(|json| json.as_object().cloned()).unwrap_or_default(),
            is_operator: row.operator,
            created_at: Some(row.registered_at),
            updated_at: Some(row.updated_at),
        }
    }
}

/// The organization that a token is for, with the caller's role there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationBrief {
    pub id: Uuid,
    pub name: String,
    #[schema(example = "owner")]
    pub role: &'static str,
}

/// Somebody signed in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedInView {
    pub user: UserView,
    pub organization: OrganizationBrief,
    /// For `Authorization: Bearer …`; lives for `expiresIn` seconds.
    pub access_token: String,
    /// For `auth/refresh`, once; also set as the cookie `annals_refresh`.
    pub refresh_token: String,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    #[schema(example = 3600)]
    pub expires_in: i64,
}

/// The answer of everything that makes tokens. A retry under the same key gets the same session.
pub(super) async fn signed_in(state: &AppState, status: StatusCode, done: Done<SignedIn>) -> ApiResult {
    let Done { value, position, .. } = done;
    let user = state.bus.load::<User>(value.user_id).await?.state;
    let organization = brief(state, value.organization_id, value.user_id).await?;
    let now = state.clock.now();
    let role = organization.role.parse().map_err(|error| ApiError::internal(&error))?;
    let subject = TokenSubject {
        user_id: value.user_id,
        session_id: value.session_id,
        organization_id: value.organization_id,
        email: user.email().map(EmailAddress::as_str).unwrap_or_default().to_string(),
        role,
    };
    let access_token = state.tokens.issue(subject, now).map_err(|error| ApiError::internal(&error))?;
    // The calls that follow come from this user: their queries wait for what was just written.
    state.own_writes.record(value.user_id, position);
    let view = SignedInView {
        user: UserView::of(value.user_id, &user, now),
        organization,
        access_token,
        refresh_token: value.refresh_token.clone(),
        token_type: "Bearer",
        expires_in: LIFETIME_S,
    };
    let mut response = Answer { status, ..Answer::ok(view) }.position(position).respond()?;
    let lives = CookieDuration::seconds(Session::VALID_FOR.num_seconds());
    set_cookie(&mut response, refresh_cookie(state, value.refresh_token, lives))?;
    Ok(response)
}

/// Takes the refresh cookie out of the browser.
pub(super) fn clear_refresh_cookie(state: &AppState, response: &mut HttpResponse) -> Result<(), ApiError> {
    set_cookie(response, refresh_cookie(state, String::new(), CookieDuration::ZERO))
}

fn refresh_cookie(state: &AppState, token: String, lives: CookieDuration) -> Cookie<'static> {
    Cookie::build(REFRESH_COOKIE, token)
        .path(REFRESH_COOKIE_PATH)
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(state.config.is_https())
        .max_age(lives)
        .finish()
}

fn set_cookie(response: &mut HttpResponse, cookie: Cookie<'static>) -> Result<(), ApiError> {
    response
        .add_cookie(&cookie)
        .map_err(|error| ApiError::internal(&std::io::Error::other(error.to_string())))
}

/// An organization as a member sees it.
///
/// # Errors
/// 401 if the user is no member (any more): signing in again leads to another organization.
pub(super) async fn brief(
    state: &AppState,
    organization_id: OrganizationId,
    user_id: UserId,
) -> Result<OrganizationBrief, ApiError> {
    let organization = state.bus.load::<Organization>(organization_id).await?.state;
    let role = organization.role_of(user_id).ok_or_else(|| {
        ApiError::unauthorized("you are no longer a member of this organization; sign in again")
    })?;
    Ok(OrganizationBrief {
        id: organization_id.uuid(),
        name: organization.settings.name.as_str().to_string(),
        role: role.as_str(),
    })
}

/// An answer about nothing but the thing's id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IdView {
    pub id: Uuid,
}

/// The answer of a command about one thing.
pub(super) fn done<T: Serialize>(data: T, position: u64, version: u64) -> ApiResult {
    let answer = Answer::ok(data).position(position);
    // A retry does not say which version the first call made.
    if version == 0 { answer.respond() } else { answer.version(version).respond() }
}
