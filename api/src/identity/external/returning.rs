//! Where a sign-in with another provider ends: here, at a page of the console, or at a frontend.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::Cookie,
    http::{StatusCode, header},
};
use annals_commands::identity::external::ReturnTo;
use url::{Url, form_urlencoded};

use crate::{
    console,
    http::{ApiError, config::HttpConfig, landing},
};

const ADDRESS_CHARS_MAX: usize = 1_000;

/// An address that somebody asks to be sent to.
///
/// # Errors
/// 400 for what is no page of the console and none of the configured addresses: nobody is sent elsewhere,
/// and what is sent along is for our own frontends only.
pub(crate) fn parse(config: &HttpConfig, text: Option<&str>) -> Result<ReturnTo, ApiError> {
    let fault = || {
        ApiError::field(
            "returnTo",
            "must be a page of the console, or an address that auth.return_urls allows",
        )
    };
    let Some(text) = text else { return Ok(ReturnTo::Here) };
    if text.len() > ADDRESS_CHARS_MAX {
        return Err(ApiError::field("returnTo", format!("must have at most {ADDRESS_CHARS_MAX} characters")));
    }
    if text.starts_with('/') {
        return if console::local_path(text) == text {
            Ok(ReturnTo::Console(text.to_string()))
        } else {
            Err(fault())
        };
    }
    let url: Url = text.parse().map_err(|_| fault())?;
    // The query is the frontend's own: it may keep a state of its own there.
    let is_allowed = config
        .return_urls
        .iter()
        .any(|allowed| allowed.origin() == url.origin() && allowed.path() == url.path());
    let is_plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if is_allowed && is_plain { Ok(ReturnTo::Frontend(url)) } else { Err(fault()) }
}

/// On to a frontend, with what it has to know behind `#`: browsers keep that to themselves.
pub(super) fn to_frontend(url: &Url, pairs: &[(&str, &str)]) -> HttpResponse {
    let mut url = url.clone();
    let fragment = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    url.set_fragment(Some(&fragment));
    see_other(url.as_str()).finish()
}

/// On to a page of the console, with what it is to be opened with.
pub(super) fn to_console(path: &str, cookie: Cookie<'static>) -> HttpResponse {
    see_other(path).cookie(cookie).finish()
}

fn see_other(address: &str) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::SeeOther();
    response
        .insert_header((header::LOCATION, address))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // The address that led here holds a code.
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    response
}

/// What a person is told whose sign-in came to nothing, where they are.
pub(super) fn not_signed_in(
    config: &HttpConfig,
    request: &HttpRequest,
    return_to: &ReturnTo,
    error: &ApiError,
) -> HttpResponse {
    match return_to {
        ReturnTo::Console(next) => landing::as_page(console::sign_in_refused(config, request, error, next)),
        ReturnTo::Here => landing::failure("Not signed in", error),
        ReturnTo::Frontend(url) => {
            to_frontend(url, &[("error", error.code), ("error_description", &words(error))])
        }
    }
}

/// An error in one sentence, with the field at fault.
pub(super) fn words(error: &ApiError) -> String {
    match error.errors.first() {
        Some(fault) => format!("{} {}", fault.field, fault.message),
        None => error.message.clone(),
    }
}

/// A failure that leads nowhere: no state of ours says where the person came from.
pub(super) fn nowhere(request: &HttpRequest, error: ApiError) -> Result<HttpResponse, ApiError> {
    if landing::wants_page(request) { Ok(landing::failure("Not signed in", &error)) } else { Err(error) }
}

/// After linking from a frontend or a program.
pub(super) fn linked_page() -> HttpResponse {
    landing::page(StatusCode::CREATED, "Linked", "The account is linked. You can close this page.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<ReturnTo> {
        let mut config = HttpConfig::new("http://127.0.0.1:3000".parse().expect("a URL"));
        config.return_urls = vec!["https://app.example.org/in".parse().expect("a URL")];
        parse(&config, Some(text)).ok()
    }

    #[test]
    fn people_are_sent_to_our_own_pages_and_configured_ones_only() {
        assert_eq!(parsed("/console/posts"), Some(ReturnTo::Console("/console/posts".to_string())));
        for ours in ["https://app.example.org/in", "https://app.example.org/in?state=1"] {
            assert_eq!(parsed(ours), Some(ReturnTo::Frontend(ours.parse().expect("a URL"))), "{ours}");
        }
        for other in [
            "",
            "/",
            "//evil.example",
            "/console//evil.example",
            "https://app.example.org/",
            "https://app.example.org/in/deeper",
            "https://app.example.org:444/in",
            "http://app.example.org/in",
            "https://app.example.org.evil.example/in",
            "https://evil.example/in",
            "https://ada@app.example.org/in",
            "https://app.example.org/in#x",
            "javascript:alert(1)",
        ] {
            assert_eq!(parsed(other), None, "{other}");
        }
        assert_eq!(parsed(&format!("https://app.example.org/in?{}", "x".repeat(1_000))), None);
    }
}
