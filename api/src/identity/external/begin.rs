//! `auth/google`, `auth/oidc/:provider`: where a sign-in with another provider begins.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration as CookieDuration},
    http::header,
    web,
};
use annals_commands::{
    authorization::VALID_FOR,
    identity::external::{BegunSignIn, BrowserToken, Purpose, ReturnTo},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{failed, returning};
use crate::{
    config::GOOGLE,
    http::{Anonymous, Answer, ApiError, ApiResult, MaybeBody, Query, answer::Success, landing, routes},
    publishing::social::callback_url,
    state::AppState,
};

/// What the browser that began a sign-in keeps until it ends. Another site leads back here, so `Lax`.
pub(super) const BROWSER_COOKIE: &str = "annals_sign_in";
const BROWSER_COOKIE_PATH: &str = "/api/v1/auth";

/// Where a sign-in ends.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct BeginQuery {
    /// A page of the console, or an address that `auth.return_urls` allows. Left out: the callback answers itself.
    pub return_to: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct BeginBody {
    /// A page of the console, or an address that `auth.return_urls` allows. Left out: the callback answers itself.
    pub return_to: Option<String>,
}

/// Where the person goes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BegunView {
    /// To be opened in the browser that has the cookie `annals_sign_in` of this answer.
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

/// Leads a browser to Google.
#[utoipa::path(get, path = "/auth/google", tag = "auth", params(BeginQuery),
    responses((status = 303, description = "To Google")))]
pub(crate) async fn google_in_browser(
    state: web::Data<AppState>,
    _: Anonymous,
    request: HttpRequest,
    Query(query): Query<BeginQuery>,
) -> ApiResult {
    in_browser(&state, &request, GOOGLE, query).await
}

/// Leads a browser to the provider.
#[utoipa::path(get, path = "/auth/oidc/{provider}", tag = "auth",
    params(("provider" = String, Path), BeginQuery),
    responses((status = 303, description = "To the provider")))]
pub(crate) async fn oidc_in_browser(
    state: web::Data<AppState>,
    _: Anonymous,
    request: HttpRequest,
    provider: web::Path<String>,
    Query(query): Query<BeginQuery>,
) -> ApiResult {
    in_browser(&state, &request, &provider, query).await
}

/// Where to sign in with Google. Sets a cookie that the browser has to come back with.
#[utoipa::path(post, path = "/auth/google", tag = "auth", request_body = BeginBody,
    responses((status = 200, description = "Where to go", body = Success<BegunView>)))]
pub(crate) async fn google(
    state: web::Data<AppState>,
    _: Anonymous,
    MaybeBody(body): MaybeBody<BeginBody>,
) -> ApiResult {
    let return_to = returning::parse(&state.config, body.unwrap_or_default().return_to.as_deref())?;
    for_program(&state, GOOGLE, Purpose::SignIn, return_to).await
}

/// Where to sign in with the provider. Sets a cookie that the browser has to come back with.
#[utoipa::path(post, path = "/auth/oidc/{provider}", tag = "auth", request_body = BeginBody,
    params(("provider" = String, Path)),
    responses((status = 200, description = "Where to go", body = Success<BegunView>)))]
pub(crate) async fn oidc(
    state: web::Data<AppState>,
    _: Anonymous,
    provider: web::Path<String>,
    MaybeBody(body): MaybeBody<BeginBody>,
) -> ApiResult {
    let return_to = returning::parse(&state.config, body.unwrap_or_default().return_to.as_deref())?;
    for_program(&state, &provider, Purpose::SignIn, return_to).await
}

async fn in_browser(state: &AppState, request: &HttpRequest, provider: &str, query: BeginQuery) -> ApiResult {
    let return_to = returning::parse(&state.config, query.return_to.as_deref())?;
    let begun = begin(state, provider, Purpose::SignIn, return_to.clone()).await;
    match begun {
        Ok((begun, cookie)) => Ok(HttpResponse::SeeOther()
            .insert_header((header::LOCATION, begun.url.as_str()))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .cookie(cookie)
            .finish()),
        Err(error) if landing::wants_page(request) => {
            Ok(returning::not_signed_in(&state.config, request, &return_to, &error))
        }
        Err(error) => Err(error),
    }
}

/// The answer to a program that opens the browser itself.
pub(super) async fn for_program(
    state: &AppState,
    provider: &str,
    purpose: Purpose,
    return_to: ReturnTo,
) -> ApiResult {
    let (begun, cookie) = begin(state, provider, purpose, return_to).await?;
    let view = BegunView { url: begun.url.into(), expires_at: begun.expires_at };
    let mut response = Answer::ok(view).respond()?;
    add(&mut response, &cookie)?;
    Ok(response)
}

/// Where the person goes, and what their browser keeps meanwhile.
pub(crate) async fn begin(
    state: &AppState,
    provider: &str,
    purpose: Purpose,
    return_to: ReturnTo,
) -> Result<(BegunSignIn, Cookie<'static>), ApiError> {
    let callback = match provider {
        GOOGLE => "/auth/google/callback".to_string(),
        provider => format!("/auth/callback/{provider}"),
    };
    if state.sign_in.providers().get(provider).is_none() {
        return Err(ApiError { code: "PROVIDER_NOT_FOUND", ..ApiError::not_found("provider") });
    }
    let redirect_uri = callback_url(state, &callback)?;
    let browser = BrowserToken::fresh();
    let begun = state.sign_in.begin(provider, purpose, return_to, redirect_uri, &browser).await;
    let lives = CookieDuration::seconds(VALID_FOR.num_seconds());
    Ok((begun.map_err(failed)?, cookie(state, browser.reveal().to_string(), lives)))
}

/// Takes the cookie out of the browser: a sign-in ends once.
pub(super) fn forget(state: &AppState, response: &mut HttpResponse) -> Result<(), ApiError> {
    add(response, &cookie(state, String::new(), CookieDuration::ZERO))
}

fn add(response: &mut HttpResponse, cookie: &Cookie<'_>) -> Result<(), ApiError> {
    let added = response.add_cookie(cookie);
    added.map_err(|error| ApiError::internal(&std::io::Error::other(error.to_string())))
}

fn cookie(state: &AppState, value: String, lives: CookieDuration) -> Cookie<'static> {
    Cookie::build(BROWSER_COOKIE, value)
        .path(BROWSER_COOKIE_PATH)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(state.config.is_https())
        .max_age(lives)
        .finish()
}

/// Where a browser begins to sign in with a provider.
pub(crate) fn path(provider: &str) -> String {
    match provider {
        GOOGLE => format!("{}/auth/google", routes::PREFIX),
        provider => format!("{}/auth/oidc/{provider}", routes::PREFIX),
    }
}
