//! What a person sees who comes back from another server: a page of one sentence, or JSON for a program.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use maud::{DOCTYPE, html};

use super::{ApiError, observe::Finished};

/// Whether a browser asks, rather than a program.
pub(crate) fn wants_page(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// A title and a sentence.
pub(crate) fn page(status: StatusCode, title: &str, sentence: &str) -> HttpResponse {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
            }
            body {
                main {
                    h1 { (title) }
                    p { (sentence) }
                }
            }
        }
    };
    let mut response = HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        // The address holds a code: it is nobody's business where the person came from.
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        ))
        .body(page.into_string());
    response.extensions_mut().insert(Finished);
    response
}

/// Marks a page of somebody else's as one for people: a refusal in it is not told in JSON.
pub(crate) fn as_page(mut response: HttpResponse) -> HttpResponse {
    response.extensions_mut().insert(Finished);
    response
}

/// What went wrong, with the fields at fault.
pub(crate) fn failure(title: &str, error: &ApiError) -> HttpResponse {
    let faults = error.errors.iter().map(|fault| format!("{} {}", fault.field, fault.message));
    let sentence = match error.errors.is_empty() {
        true => error.message.clone(),
        false => faults.collect::<Vec<_>>().join("; "),
    };
    page(error.status, title, &sentence)
}
