//! Around every request: its id, its span and log line, its metrics, its time limit.

use std::time::Instant;

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use tracing::Instrument;
use uuid::Uuid;

use super::{
    answer::{ApiError, LoggedCause},
    caller::Caller,
    context, trace,
};
use crate::state::Edge;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that is being answered; a new one outside of a request.
pub fn request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_else(|_| Uuid::now_v7().to_string())
}

/// In a request's extensions, from the gate: the pattern of the path, for logs and metrics.
#[derive(Clone, Debug)]
pub(super) struct RouteLabel(pub(super) String);

/// In a response's extensions: told as it should be, though not in the envelope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished;

/// The outermost middleware.
///
/// # Errors
/// Only with a finished answer inside: what failed before a route was found.
pub async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = context::given_request_id(request.headers()).unwrap_or_else(|| Uuid::now_v7().to_string());
    let span = tracing::info_span!(
        "request",
        otel.name = %request.path(),
        otel.kind = "server",
        http.method = %request.method(),
        http.route = tracing::field::Empty,
        http.status = tracing::field::Empty,
        request.id = %id,
    );
    if let Some(parent) = context::trace_parent(request.headers()) {
        trace::go_on(&span, &parent);
    }
    CURRENT.scope(id.clone(), answer(request, next, id).instrument(span)).await
}

async fn answer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
    id: String,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let method = request.method().clone();
    metrics::gauge!("http_requests_in_flight").increment(1.0);
    let in_flight = scopeguard(|| metrics::gauge!("http_requests_in_flight").decrement(1.0));
    let limit = request.app_data::<web::Data<Edge>>().map(|edge| match is_upload(request.headers()) {
        true => edge.config.upload_timeout,
        false => edge.config.request_timeout,
    });
    let result = match limit {
        Some(limit) => {
            tokio::time::timeout(limit, next.call(request)).await.unwrap_or_else(|_| Err(too_slow().into()))
        }
        None => next.call(request).await,
    };
    drop(in_flight);
    let mut seen = Seen { method, route: "unmatched".to_string(), id: id.clone(), user: None, cause: None };
    let request_id = HeaderValue::from_str(&id).ok();
    match result {
        Ok(response) => {
            let mut response = in_envelope(response);
            if let Some(id) = request_id {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            seen.look(&response);
            seen.tell(response.status(), started);
            Ok(response)
        }
        Err(error) => {
            // Without its request there is no `ServiceResponse`: the answer travels in the error.
            let mut response = error.as_response_error().error_response();
            if !is_json(response.headers()) {
                response = foreign(response.status()).error_response();
            }
            seen.cause = response.extensions().get::<LoggedCause>().map(|cause| cause.0.clone());
            if let Some(id) = request_id {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            seen.tell(response.status(), started);
            Err(InternalError::from_response("answered", response).into())
        }
    }
}

/// Whether files are sent: they may take longer. Where none are taken, the body has its own time limit.
fn is_upload(headers: &header::HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// An error that actix itself answered, in our envelope.
fn in_envelope<B: MessageBody + 'static>(response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let is_finished = response.response().extensions().contains::<Finished>();
    let is_failure = status.is_client_error() || status.is_server_error();
    let is_foreign = is_failure && !is_finished && !is_json(response.headers());
    if !is_foreign {
        return response.map_into_boxed_body();
    }
    let (request, _) = response.into_parts();
    ServiceResponse::new(request, foreign(status).error_response())
}

fn is_json(headers: &header::HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

fn foreign(status: StatusCode) -> ApiError {
    let (code, message) = match status {
        StatusCode::NOT_FOUND => ("NOT_FOUND", "there is nothing at this path"),
        StatusCode::PAYLOAD_TOO_LARGE => ("PAYLOAD_TOO_LARGE", "the body is too big"),
        status if status.is_server_error() => ("INTERNAL_ERROR", "something went wrong here"),
        _ => ("BAD_REQUEST", "the request can't be understood"),
    };
    ApiError::new(status, code, message)
}

/// A command may have happened by now: only its idempotency key makes a second try safe.
fn too_slow() -> ApiError {
    ApiError {
        code: "TIMEOUT",
        ..ApiError::unavailable(
            "this took too long and was given up; a command may still have its effect, \
             so retry it with the same Idempotency-Key",
            2,
        )
    }
}

/// For unknown paths: `App::default_service`.
pub async fn nothing_here() -> Result<HttpResponse, ApiError> {
    Err(foreign(StatusCode::NOT_FOUND))
}

struct Seen {
    method: Method,
    route: String,
    id: String,
    user: Option<String>,
    cause: Option<Box<str>>,
}

impl Seen {
    fn look(&mut self, response: &ServiceResponse<BoxBody>) {
        let extensions = response.request().extensions();
        if let Some(label) = extensions.get::<RouteLabel>() {
            self.route.clone_from(&label.0);
        }
        self.user = extensions.get::<Caller>().map(|caller| caller.user_id.to_string());
        let extensions = response.response().extensions();
        self.cause = extensions.get::<LoggedCause>().map(|cause| cause.0.clone());
    }

    /// One line and two metrics per request.
    fn tell(self, status: StatusCode, started: Instant) {
        let elapsed = started.elapsed();
        let labels = [
            ("method", method_label(&self.method).to_string()),
            ("route", self.route.clone()),
            ("status", status.as_str().to_string()),
        ];
        metrics::counter!("http_requests_total", &labels).increment(1);
        metrics::histogram!("http_request_duration_seconds", &labels).record(elapsed.as_secs_f64());
        let span = tracing::Span::current();
        span.record("http.route", &self.route);
        span.record("http.status", status.as_u16());
        let duration_ms = elapsed.as_secs_f64() * 1000.0;
        let user = self.user.as_deref().unwrap_or("-");
        // The line stands alone: outside of the span, whose fields it would repeat.
        macro_rules! line {
            ($level:ident, $message:literal $(, $name:ident = $value:expr)?) => {
                tracing::$level!(
                    parent: None,
                    request.id = %self.id, http.method = %self.method, http.route = %self.route,
                    http.status = status.as_u16(), duration_ms, user.id = user, $($name = $value,)? $message
                )
            };
        }
        if let Some(cause) = &self.cause {
            line!(error, "request failed", error = &**cause);
        } else if self.route.starts_with("/health") || self.route == "/metrics" {
            line!(debug, "probe answered");
        } else {
            line!(info, "request answered");
        }
    }
}

/// Callers may invent methods; labels must not grow with them.
fn method_label(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "OTHER",
    }
}

/// Runs `end` when dropped, also when the connection goes and the request's future with it.
fn scopeguard<F: FnMut()>(end: F) -> impl Drop {
    struct Guard<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Guard<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Guard(end)
}
