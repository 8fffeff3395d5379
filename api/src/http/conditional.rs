//! `If-None-Match` on `GET`: 304 when the caller has it already.

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap},
    },
    middleware::Next,
};

/// Middleware: a 200 with an `ETag` that the request names becomes 304 without a body.
///
/// # Errors
/// Only those of what it wraps.
pub async fn not_modified<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = next.call(request).await?;
    let is_known = is_read
        && response.status() == StatusCode::OK
        && names_etag(response.request().headers(), response.headers());
    if !is_known {
        return Ok(response.map_into_boxed_body());
    }
    Ok(response.map_body(|head, _| {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers_mut().remove(header::CONTENT_TYPE);
        BoxBody::new(())
    }))
}

/// Compared weakly, as RFC 9110 (13.1.2) has it for reads.
fn names_etag(request: &HeaderMap, response: &HeaderMap) -> bool {
    let Some(etag) = response.get(header::ETAG).and_then(|etag| etag.to_str().ok()) else { return false };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_string();
    let etag = opaque(etag);
    request
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == etag)
}
