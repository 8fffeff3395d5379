//! What is different for pages: the credential is a cookie, commands are forms, failures are for people to read.
//!
//! A page's cookie is no access token: it says who signed in, for how long this browser may ask, and holds
//! the token that every form of the session carries. The session itself is looked up in the log on every
//! request, as for the API.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::BoxBody,
    cookie::{Cookie, SameSite, time::Duration as CookieDuration},
    dev::{Payload, ServiceResponse},
    http::{StatusCode, header},
};
use annals_commands::bus::{Context, IdempotencyKey};
use annals_domain::kernel::{OrganizationId, SessionId, UserId};
use subtle::ConstantTimeEq;

use super::{
    answer::ApiError,
    body::RawBody,
    context,
    observe::Finished,
    routes::RouteInfo,
    tokens::{PAGE_LIFETIME_S, PageClaims, TokenFault},
};
use crate::state::Edge;

/// Before every page.
pub const PREFIX: &str = "/console";
/// No script reads it, no other site's form sends it.
const SESSION_COOKIE: &str = "annals_console";
/// Where a form carries [`PageSession::form_token`].
pub const FORM_TOKEN_FIELD: &str = "form_token";
/// Where a form carries its idempotency key: sent twice, it has its effect once.
pub const ONCE_FIELD: &str = "once";
const ONCE_CHARS_MAX: usize = 64;

/// Through which door a route is entered: where its credential is, and how its failures are told.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    /// `Authorization`, JSON, the envelope.
    Api,
    /// The cookie, forms; a failure is a page.
    Pages { failure: Failure },
    /// `Authorization`, JSON, and answers in a form that others have agreed on.
    Foreign { failure: Failure },
}

/// What a refusal looks like where it is not in the envelope.
pub type Failure = fn(&HttpRequest, &ApiError) -> HttpResponse;

impl Door {
    pub fn is_pages(self) -> bool {
        matches!(self, Self::Pages { .. })
    }

    /// A failure in this door's words.
    pub(super) fn tell(self, request: &HttpRequest, error: &ApiError) -> HttpResponse {
        match self {
            Self::Api => error.error_response(),
            Self::Pages { failure } | Self::Foreign { failure } => {
                let mut response = failure(request, error);
                response.extensions_mut().insert(Finished);
                error.log_with(&mut response);
                response
            }
        }
    }

    /// The same for what a handler returned; a page that it made itself stays as it is, whatever its status.
    pub(super) fn retell(self, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let has_own_words = !matches!(self, Self::Api);
        let error = response.response().error().filter(|_| has_own_words);
        let error = error.and_then(|error| error.as_error::<ApiError>());
        let told = error.map(|error| self.tell(response.request(), error));
        match told {
            Some(told) => ServiceResponse::new(response.request().clone(), told),
            None => {
                if has_own_words {
                    response.response_mut().extensions_mut().insert(Finished);
                }
                response
            }
        }
    }
}

/// Who signed in with this browser. In the extensions of every page's request that asks who calls.
#[derive(Clone, Debug)]
pub struct PageSession {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub organization_id: OrganizationId,
    /// What a form must carry: another site can make a browser send a form, but can't read this.
    pub form_token: String,
}

impl PageSession {
    /// A session of this browser with a form token of its own.
    pub fn new(user_id: UserId, session_id: SessionId, organization_id: OrganizationId) -> Self {
        let form_token = hex::encode(rand::random::<[u8; 16]>());
        Self { user_id, session_id, organization_id, form_token }
    }

    /// The cookie for it.
    ///
    /// # Errors
    /// Never in practice: the claims always serialize.
    pub fn cookie(&self, edge: &Edge) -> Result<Cookie<'static>, ApiError> {
        let now = edge.clock.now().timestamp();
        let claims = PageClaims {
            sid: self.session_id,
            user_id: self.user_id,
            org_id: self.organization_id,
            form_token: self.form_token.clone(),
            exp: now + PAGE_LIFETIME_S,
        };
        let token = edge.tokens.issue_page(&claims).map_err(|error| ApiError::internal(&error))?;
        Ok(cookie(edge, token, CookieDuration::seconds(PAGE_LIFETIME_S)))
    }

    /// What takes the cookie out of the browser.
    pub fn no_cookie(edge: &Edge) -> Cookie<'static> {
        cookie(edge, String::new(), CookieDuration::ZERO)
    }

    /// From the request's cookie.
    ///
    /// # Errors
    /// 401 if there is none that holds.
    pub(crate) fn read(edge: &Edge, request: &HttpRequest) -> Result<Self, ApiError> {
        let missing = || ApiError::unauthorized("sign in first");
        let cookie = request.cookie(SESSION_COOKIE).ok_or_else(missing)?;
        let claims =
            edge.tokens.verify_page(cookie.value(), edge.clock.now()).map_err(|fault| match fault {
                TokenFault::Expired => ApiError { code: "SESSION_ENDED", ..missing() },
                TokenFault::Forged => missing(),
            })?;
        let PageClaims { sid, user_id, org_id, form_token, .. } = claims;
        Ok(Self { user_id, session_id: sid, organization_id: org_id, form_token })
    }
}

/// `Lax`: a link from a mail leads in; what changes something asks for the form token besides.
fn cookie(edge: &Edge, value: String, lives: CookieDuration) -> Cookie<'static> {
    Cookie::build(SESSION_COOKIE, value)
        .path(PREFIX)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(edge.config.is_https())
        .max_age(lives)
        .finish()
}

/// Only on pages that ask who calls.
impl FromRequest for PageSession {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = request.extensions().get::<Self>().cloned();
        ready(session.ok_or_else(|| ApiError::unauthorized("sign in first")))
    }
}

/// A form's fields, the session's own left out.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// A field's text without the spaces around it; empty if it was not sent.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The text as it was typed: for passwords.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// Every value of a field that may be sent several times.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

impl FromRequest for Form {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let body = request.extensions().get::<RawBody>().map(|raw| raw.0.clone()).unwrap_or_default();
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
        let fault = fields.iter().find(|(name, value)| name.contains('\0') || value.contains('\0'));
        ready(match fault {
            Some((name, _)) => Err(ApiError::field(name.replace('\0', ""), "must not contain U+0000")),
            None => Ok(Self(fields)),
        })
    }
}

/// Whether a form comes from one of our own pages, as far as the browser's headers say.
///
/// `Sec-Fetch-Site` where the browser sends it, else `Origin` beside `Host`. A request without both is
/// no browser's of today; what acts for a session asks for the form token besides.
///
/// # Errors
/// 403 `CSRF`.
pub(super) fn check_origin(request: &HttpRequest) -> Result<(), ApiError> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (header(header::HeaderName::from_static("sec-fetch-site")), header(header::ORIGIN)) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == header(header::HOST),
        (None, None) => true,
    };
    if is_ours { Ok(()) } else { Err(csrf("this form was sent from another site")) }
}

/// Checks the form's token, and takes its idempotency key into the context.
///
/// # Errors
/// 403 `CSRF`; 400 for a key that is none.
pub(super) fn take_form(
    route: &RouteInfo,
    session: &PageSession,
    request: &HttpRequest,
    body: &[u8],
    context: &mut Context,
) -> Result<(), ApiError> {
    let field = |name: &str| {
        url::form_urlencoded::parse(body).find(|(field, _)| field == name).map(|(_, value)| value)
    };
    let token = field(FORM_TOKEN_FIELD).unwrap_or_default();
    if !bool::from(token.as_bytes().ct_eq(session.form_token.as_bytes())) {
        return Err(csrf("this form is of another session; open the page again and send it once more"));
    }
    if let Some(key) = field(ONCE_FIELD) {
        if key.is_empty() || key.len() > ONCE_CHARS_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ApiError::field(ONCE_FIELD, "is no key"));
        }
        let mut request = context::request_line(request.head());
        request.extend_from_slice(body);
        let scope = context::scope(&context.actor, context.organization_id, route);
        context.idempotency = Some(IdempotencyKey { scope, key: key.into_owned(), request });
    }
    Ok(())
}

fn csrf(message: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "CSRF", message)
}
