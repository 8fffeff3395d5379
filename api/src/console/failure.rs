//! Refusals as pages: what happened, and where to go from here.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
};
use maud::html;

use super::{
    frame::{bare, respond},
    parts::query_pair,
    theme::Theme,
};
use crate::http::{ApiError, ApiResult, observe, pages::PREFIX};

/// What a page's refusal looks like: the way to sign in, or a page that says why.
pub(crate) fn told(request: &HttpRequest, error: &ApiError) -> HttpResponse {
    if error.status == StatusCode::UNAUTHORIZED {
        return HttpResponse::SeeOther()
            .insert_header((header::LOCATION, sign_in_address(request, error)))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .finish();
    }
    let title = match error.status {
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::FORBIDDEN => "This is not yours to see",
        StatusCode::TOO_MANY_REQUESTS => "Too fast",
        status if status.is_server_error() => "That did not work",
        _ => "That can't be done",
    };
    let content = html! {
        p.lead { (sentence(&error.message)) }
        @if !error.errors.is_empty() {
            ul {
                @for fault in &error.errors { li { strong { (fault.field) } " " (fault.message) } }
            }
        }
        @if error.status.is_server_error() {
            p.quiet { "Request " code { (observe::request_id()) } }
        }
        p { a.button href=(PREFIX) { "To the start" } }
    };
    let page = bare(Theme::of(request), request.path(), title, content);
    let mut response = respond(error.status, page);
    if let Some(seconds) = error.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

/// For an address that names nothing.
pub(super) async fn nothing_here() -> ApiResult {
    Err(ApiError::not_found("page"))
}

/// With the page that was wanted, unless it was a form.
fn sign_in_address(request: &HttpRequest, error: &ApiError) -> String {
    let mut pairs = Vec::new();
    if error.code != "UNAUTHORIZED" {
        pairs.push(query_pair("ended", "yes"));
    }
    let wanted = request.uri().path_and_query().map_or(PREFIX, |path| path.as_str());
    if request.method() == Method::GET && wanted != PREFIX {
        pairs.push(query_pair("next", wanted));
    }
    let mark = if pairs.is_empty() { "" } else { "?" };
    format!("{PREFIX}/sign-in{mark}{}", pairs.join("&"))
}

/// An error's words as a sentence.
pub(super) fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    let end = if words.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
