//! Signing in and out.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use annals_commands::identity::LogIn;
use annals_domain::kernel::EmailAddress;
use maud::html;
use serde::Deserialize;

use super::{
    failure::sentence,
    frame::{bare, respond},
    parts::query_pair,
    theme::Theme,
};
use crate::{
    http::{
        Anonymous, ApiError, ApiResult, Caller, Query,
        answer::POSITION_HEADER,
        config::HttpConfig,
        pages::{Form, PREFIX, PageSession},
    },
    identity::{external::begin, faults::presented_password},
    state::{AppState, Edge},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInQuery {
    /// The page that was wanted.
    next: Option<String>,
    /// How a session has just ended.
    ended: Option<String>,
}

pub(super) async fn page(
    edge: web::Data<Edge>,
    request: HttpRequest,
    _: Anonymous,
    Query(query): Query<SignInQuery>,
) -> ApiResult {
    let words = match query.ended.as_deref() {
        Some("signed-out") => Some("You are signed out."),
        Some(_) => Some("Your session has ended. Sign in to go on where you were."),
        None => None,
    };
    let next = local_path(query.next.as_deref().unwrap_or_default());
    let typed = Typed { next: &next, email: "" };
    Ok(form_page(&edge.config, &request, StatusCode::OK, typed, words, None))
}

/// The page again, for whom another provider has not let in.
pub(crate) fn refused(
    config: &HttpConfig,
    request: &HttpRequest,
    error: &ApiError,
    next: &str,
) -> HttpResponse {
    let typed = Typed { next, email: "" };
    let fault = error.errors.first().map(|fault| format!("{} {}", fault.field, fault.message));
    let words = sentence(&fault.unwrap_or_else(|| error.message.clone()));
    form_page(config, request, error.status, typed, None, Some(&words))
}

/// A session for whoever knows the password, kept in the browser's cookie.
pub(super) async fn sign_in(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let next = local_path(form.text("next"));
    let typed = Typed { next: &next, email: form.text("email") };
    let refused = |status, words: &str| {
        Ok(form_page(&state.config, &request, status, typed, None, Some(&sentence(words))))
    };
    let (Ok(email), Ok(password)) =
        (EmailAddress::parse(typed.email), presented_password(form.raw("password")))
    else {
        return refused(StatusCode::BAD_REQUEST, "type your mail address and your password");
    };
    let done = match state.identity.log_in(&caller.context, LogIn { email, password }).await {
        Ok(done) => done,
        Err(error) => {
            let error = ApiError::from(error);
            if error.status.is_server_error() {
                return Err(error);
            }
            return refused(error.status, &error.message);
        }
    };
    let signed = done.value;
    // The page that follows shows what signing in has written.
    state.own_writes.record(signed.user_id, done.position);
    let session = PageSession::new(signed.user_id, signed.session_id, signed.organization_id);
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, next))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .cookie(session.cookie(&state)?)
        .finish())
}

/// Ends the session in use.
pub(super) async fn sign_out(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let session = caller.session_id().ok_or_else(|| ApiError::forbidden("there is no session"))?;
    let out = state.identity.log_out(&caller.context, session).await?;
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, format!("{PREFIX}/sign-in?ended=signed-out")))
        .insert_header((POSITION_HEADER, out.position.to_string()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .cookie(PageSession::no_cookie(&state))
        .finish())
}

/// A path of the console's own, or its start: nobody is sent elsewhere after signing in.
pub(crate) fn local_path(text: &str) -> String {
    let is_ours =
        text == PREFIX || text.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with(['/', '?']));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') && !text.contains("//");
    if is_ours && is_plain { text.to_string() } else { PREFIX.to_string() }
}

#[derive(Clone, Copy)]
struct Typed<'t> {
    next: &'t str,
    email: &'t str,
}

fn form_page(
    config: &HttpConfig,
    request: &HttpRequest,
    status: StatusCode,
    typed: Typed<'_>,
    words: Option<&str>,
    fault: Option<&str>,
) -> HttpResponse {
    let described_by = fault.map(|_| "sign-in-fault");
    let is_second_try = !typed.email.is_empty();
    let content = html! {
        @if let Some(words) = words { p.notice role="status" { (words) } }
        @if let Some(fault) = fault { p #sign-in-fault .notice.bad role="alert" { (fault) } }
        form.stack method="post" action={ (PREFIX) "/sign-in" } {
            input type="hidden" name="next" value=(typed.next);
            label for="email" { "Mail address" }
            input #email type="email" name="email" value=(typed.email) autocomplete="username" required
                autofocus[!is_second_try] aria-describedby=[described_by];
            label for="password" { "Password" }
            input #password type="password" name="password" autocomplete="current-password" required
                autofocus[is_second_try] aria-describedby=[described_by];
            button.primary type="submit" { "Sign in" }
        }
        @if !config.sign_in.is_empty() {
            div.stack role="group" aria-label="Other ways to sign in" {
                @for offer in &config.sign_in {
                    a.button href={ (begin::path(&offer.name)) "?" (query_pair("returnTo", typed.next)) } {
                        "Sign in with " (offer.label)
                    }
                }
            }
        }
        p.quiet { a href={ (PREFIX) "/forgot-password" } { "Forgot your password?" } }
        p.quiet { "No account yet? " a href="/api#/auth/register" { "Register with the API explorer" } "." }
    };
    respond(status, bare(Theme::of(request), typed.next, "Sign in", content))
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn after_signing_in_nobody_is_sent_elsewhere() {
        for ours in ["/console", "/console/posts?week=2026-W47", "/console?x=1"] {
            assert_eq!(local_path(ours), ours);
        }
        let elsewhere = [
            "",
            "/",
            "//evil.example",
            "https://evil.example/console",
            "/consolex",
            "/console//evil.example",
            "/console/\\evil.example",
        ];
        for text in elsewhere {
            assert_eq!(local_path(text), "/console", "{text}");
        }
    }
}
