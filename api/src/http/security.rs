//! Headers that tell a browser what our answers are not: pages to frame, scripts to run, types to guess.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderName, HeaderValue},
    middleware::Next,
    web,
};

use crate::state::Edge;

/// JSON and feeds load nothing and stand in nobody's frame.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Middleware: adds what the handler has not set itself (a page sets its own policy).
///
/// # Errors
/// Only those of what it wraps.
pub async fn headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let is_https = request.app_data::<web::Data<Edge>>().is_some_and(|edge| edge.config.is_https());
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::CONTENT_SECURITY_POLICY, DATA_POLICY);
    add(header::REFERRER_POLICY, "no-referrer");
    if is_https {
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
    Ok(response)
}
