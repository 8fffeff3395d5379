//! `auth/callback/:provider`, `auth/google/callback`: where providers send people back to. And `auth/exchange`,
//! where a frontend takes over.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use annals_commands::{
    authorization::Authorization,
    identity::{
        Done, SignedIn,
        external::{BrowserToken, Completed, PendingSignIn, Purpose, ReturnTo},
    },
};
use annals_domain::kernel::{ExternalIdentityId, bounded};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{begin, failed, returning};
use crate::{
    config::GOOGLE,
    console,
    http::{
        Anonymous, Answer, ApiError, ApiResult, Body, Query,
        answer::{POSITION_HEADER, Success},
        landing,
        pages::PageSession,
    },
    identity::{
        faults::Faults,
        views::{IdView, SignedInView, signed_in},
    },
    publishing::social::CallbackQuery,
    state::AppState,
};

/// A sealed code is longer than tokens are.
const TICKET_CHARS_MAX: usize = 1_000;

/// What a provider sends the browser back with (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReturnedQuery {
    code: Option<String>,
    state: Option<String>,
    /// `access_denied` if the person said no.
    error: Option<String>,
    error_description: Option<String>,
    /// Whose answer it is, of providers that say so.
    iss: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ExchangeBody {
    /// As it stood behind `#` in the address of your return page.
    code: String,
}

/// Where Google sends people back to. Where it ends was said when it began: with a page of the console, with
/// your frontend's page and `#code=…` (for `auth/exchange`), or here: with a page for a browser, else in JSON.
#[utoipa::path(get, path = "/auth/google/callback", tag = "auth", params(ReturnedQuery),
    responses(
        (status = 200, description = "Signed in", body = Success<SignedInView>),
        (status = 201, description = "Linked", body = Success<IdView>),
        (status = 303, description = "On to where it was begun"),
        (status = 409, description = "An account with this address is not verified, or linked differently",
            body = crate::http::answer::Failure),
    ))]
pub(crate) async fn google(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    Query(query): Query<ReturnedQuery>,
) -> ApiResult {
    end(&state, &caller, &request, GOOGLE, query).await
}

/// Where a provider sends people back to, as `auth/google/callback`.
#[utoipa::path(get, path = "/auth/callback/{provider}", tag = "auth",
    params(("provider" = String, Path), ReturnedQuery),
    responses(
        (status = 200, description = "Signed in", body = Success<SignedInView>),
        (status = 201, description = "Linked", body = Success<IdView>),
        (status = 303, description = "On to where it was begun"),
        (status = 409, description = "An account with this address is not verified, or linked differently",
            body = crate::http::answer::Failure),
    ))]
pub(crate) async fn oidc(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    provider: web::Path<String>,
    Query(query): Query<ReturnedQuery>,
) -> ApiResult {
    end(&state, &caller, &request, &provider, query).await
}

async fn end(
    state: &AppState,
    caller: &Anonymous,
    request: &HttpRequest,
    provider: &str,
    query: ReturnedQuery,
) -> ApiResult {
    let browser = request.cookie(begin::BROWSER_COOKIE).map(|cookie| BrowserToken::presented(cookie.value()));
    let pending = match pending(state, provider, &query, browser) {
        Ok(pending) => pending,
        // Nothing is known of where they came from, and nothing of theirs is touched.
        Err(error) => return returning::nowhere(request, error),
    };
    let (return_to, is_link) =
        (pending.content.return_to.clone(), matches!(pending.content.purpose, Purpose::Link { .. }));
    let completed = complete(state, caller, pending, query).await;
    let mut response = match completed {
        Ok(Completed::SignedIn(done)) => into_session(state, request, return_to, done).await?,
        Ok(Completed::Linked { user_id, done }) => {
            state.own_writes.record(user_id, done.position);
            linked(request, &return_to, &done)?
        }
        Err(error) => match &return_to {
            ReturnTo::Console(_) if is_link => landing::as_page(console::told(request, &error)),
            ReturnTo::Here if !landing::wants_page(request) => return Err(error),
            return_to => returning::not_signed_in(&state.config, request, return_to, &error),
        },
    };
    begin::forget(state, &mut response)?;
    Ok(response)
}

/// The sign-in that the state stands for, if it is this provider's.
fn pending(
    state: &AppState,
    provider: &str,
    query: &ReturnedQuery,
    browser: Option<BrowserToken>,
) -> Result<Authorization<PendingSignIn>, ApiError> {
    let sealed = query.state.as_deref().filter(|sealed| !sealed.is_empty() && sealed.len() <= 8_192);
    let sealed =
        sealed.ok_or_else(|| ApiError::field("state", "is what the other server has to send back"))?;
    let pending = state.sign_in.pending(sealed, browser)?;
    if pending.content.provider.as_str() != provider {
        return Err(ApiError::field("state", "is of another provider: begin again"));
    }
    Ok(pending)
}

async fn complete(
    state: &AppState,
    caller: &Anonymous,
    pending: Authorization<PendingSignIn>,
    query: ReturnedQuery,
) -> Result<Completed, ApiError> {
    let ReturnedQuery { code, state: sealed, error, error_description, iss } = query;
    let (code, _) = CallbackQuery { code, state: sealed, error, error_description }.answer()?;
    let provider = state.sign_in.providers().get(pending.content.provider.as_str());
    let is_theirs = provider.zip(iss).is_none_or(|(provider, iss)| provider.info().issuer.as_str() == iss);
    if !is_theirs {
        return Err(ApiError::field("iss", "is another issuer than the one that was asked: begin again"));
    }
    state.sign_in.complete(&caller.context, pending, code).await.map_err(failed)
}

/// Signed in: for the console with its cookie, for a frontend with a code, else with tokens.
async fn into_session(
    state: &AppState,
    request: &HttpRequest,
    return_to: ReturnTo,
    done: Done<SignedIn>,
) -> ApiResult {
    let return_to = match return_to {
        ReturnTo::Here if landing::wants_page(request) => ReturnTo::Console(console::START.to_string()),
        return_to => return_to,
    };
    let SignedIn { user_id, session_id, organization_id, .. } = done.value;
    // The page that follows shows what signing in has written.
    state.own_writes.record(user_id, done.position);
    match return_to {
        ReturnTo::Here => signed_in(state, StatusCode::OK, done).await,
        ReturnTo::Console(next) => {
            let session = PageSession::new(user_id, session_id, organization_id);
            Ok(returning::to_console(&next, session.cookie(state)?))
        }
        ReturnTo::Frontend(url) => {
            let ticket = state.sign_in.ticket(&done.value);
            Ok(returning::to_frontend(&url, &[("code", &ticket)]))
        }
    }
}

fn linked(request: &HttpRequest, return_to: &ReturnTo, done: &Done<ExternalIdentityId>) -> ApiResult {
    let id = done.value.uuid();
    let mut response: HttpResponse = match return_to {
        ReturnTo::Console(path) => {
            console::done(path, "The account is linked: you can sign in with it.", done.position)
        }
        ReturnTo::Frontend(url) => returning::to_frontend(url, &[("linked", &id.to_string())]),
        ReturnTo::Here if landing::wants_page(request) => returning::linked_page(),
        ReturnTo::Here => return Answer::created(IdView { id }).position(done.position).respond(),
    };
    let position = header::HeaderValue::from(done.position);
    response.headers_mut().insert(POSITION_HEADER, position);
    Ok(response)
}

/// The tokens for a code that a return page got, within a minute and once: given again, it ends the session.
#[utoipa::path(post, path = "/auth/exchange", tag = "auth", request_body = ExchangeBody,
    responses(
        (status = 200, description = "Signed in", body = Success<SignedInView>),
        (status = 401, description = "The session has ended", body = crate::http::answer::Failure),
    ))]
pub(crate) async fn exchange(
    state: web::Data<AppState>,
    caller: Anonymous,
    Body(body): Body<ExchangeBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let Some(code) = faults.check("code", bounded(&body.code, TICKET_CHARS_MAX)) else {
        return Err(faults.refused());
    };
    let done = state.sign_in.redeem(&caller.context, &code).await?;
    signed_in(&state, StatusCode::OK, done).await
}
