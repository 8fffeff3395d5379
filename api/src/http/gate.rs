//! Before every handler: the method, the limit, who calls, their right, the body.
//!
//! What it finds is left in the request's extensions, where the extractors take it from.

use std::{panic::AssertUnwindSafe, rc::Rc, sync::Arc};

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    web::{self, Bytes, BytesMut},
};
use annals_commands::bus::Context;
use annals_domain::kernel::{Role, UserId};
use futures::{FutureExt, StreamExt};

use super::{
    answer::{ApiError, POSITION_HEADER},
    body::RawBody,
    caller::{Anonymous, Caller, Credential},
    context::{self, Acting},
    limits::Allowance,
    observe::RouteLabel,
    own_writes::{self, ReadAfter},
    pages::{self, Door, PageSession},
    routes::{Access, LimitClass, RouteInfo, Side},
    who,
};
use crate::state::Edge;

/// The middleware of one path; `table` has its methods.
pub(super) async fn pass<B: MessageBody + 'static>(
    table: Rc<[RouteInfo]>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(info) = table.first() {
        request.extensions_mut().insert(RouteLabel(info.path.to_string()));
    }
    let wanted = if *request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some(info) = table.iter().find(|info| info.method == *wanted) else {
        let response = other_method(&table, request.request());
        return Ok(request.into_response(response));
    };
    let Some(edge) = request.app_data::<web::Data<Edge>>().cloned() else {
        return Err(ApiError::internal(&std::io::Error::other("the app has no edge")).into());
    };
    // No text that is looked up may contain it, and Postgres takes it in none.
    if request.uri().path().contains("%00") {
        let response = info.door.tell(request.request(), &ApiError::not_found("thing"));
        return Ok(request.into_response(response));
    }
    let admitted = match admit(&edge, info, &mut request).await {
        Ok(admitted) => admitted,
        Err(error) => {
            let response = info.door.tell(request.request(), &error);
            return Ok(request.into_response(response));
        }
    };
    let http_request = request.request().clone();
    // A handler that panics must cost its own call only, and answer like any other failure.
    let response = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => info.door.retell(response.map_into_boxed_body()),
        Ok(Err(error)) => {
            let response = error.as_response_error().error_response();
            info.door.retell(ServiceResponse::new(http_request, response))
        }
        Err(panic) => {
            let error = ApiError::internal(&Panicked(words_of(&*panic)));
            let response = info.door.tell(&http_request, &error);
            ServiceResponse::new(http_request, response)
        }
    };
    Ok(admitted.finish(&edge, response))
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct Panicked(String);

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_string())
}

/// `OPTIONS` tells what there is, any other method is 405.
fn other_method(table: &[RouteInfo], request: &HttpRequest) -> HttpResponse {
    let mut allow: Vec<&str> = table.iter().map(|info| info.method.as_str()).collect();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    allow.sort_unstable();
    allow.dedup();
    let allow = allow.join(", ");
    if *request.method() == Method::OPTIONS {
        return HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish();
    }
    let message = format!("this path takes {allow}");
    let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
    let door = table.first().map_or(Door::Api, |info| info.door);
    let mut response = door.tell(request, &error);
    if let Ok(allow) = allow.parse() {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// A call that may go on.
struct Admitted {
    /// Whose last command's position is remembered.
    writer: Option<UserId>,
    allowance: Option<Allowance>,
}

impl Admitted {
    fn finish(self, edge: &Edge, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        if let Some(allowance) = &self.allowance {
            allowance.tell(response.headers_mut());
        }
        let position =
            response.headers().get(POSITION_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        if let (Some(user), Some(position)) = (self.writer, position) {
            edge.own_writes.record(user, position);
        }
        response
    }
}

/// Decides whether a call may reach its handler, cheapest questions first; the body comes last,
/// so that nobody without a right makes us read one.
async fn admit(edge: &Edge, info: &RouteInfo, request: &mut ServiceRequest) -> Result<Admitted, ApiError> {
    let ip = context::client_ip(request.head(), &edge.config.trusted_proxies);
    if info.limit == LimitClass::Auth {
        edge.limits.auth(ip).await?;
    }
    let is_form = info.door.is_pages() && info.side == Side::Command;
    if is_form {
        pages::check_origin(request.request())?;
    }
    let asked = own_writes::asked(request.headers())?;
    if info.access == Access::Anonymous {
        let allowance = if info.limit == LimitClass::None { None } else { edge.limits.anonymous(ip)? };
        let mut context = context::build(request.head(), info, ip, Acting::nobody())?;
        read_body(edge, info, request, &mut context).await?;
        let read_after = asked.map_or(ReadAfter::Anything, ReadAfter::Asked);
        request.extensions_mut().insert(Anonymous { context, read_after });
        return Ok(Admitted { writer: None, allowance });
    }
    let identified = match who::identify(edge, info, request).await {
        Ok(identified) => identified,
        Err(error) => {
            // Guessing tokens and keys counts against the address.
            edge.limits.anonymous(ip)?;
            return Err(error);
        }
    };
    let user_id = identified.user_id;
    let tier = edge.directory.tier(identified.organization_id).await?;
    let allowance = match &identified.credential {
        Credential::Session(_) => edge.limits.user(user_id, &tier)?,
        Credential::ApiKey { id, .. } => edge.limits.api_key(*id, &tier)?,
    };
    let own = edge.own_writes.last(user_id).map_or(ReadAfter::Anything, ReadAfter::Own);
    let context = context::build(request.head(), info, ip, identified.acting())?;
    let mut caller = Caller {
        user_id,
        organization_id: identified.organization_id,
        role: identified.role.unwrap_or(Role::Viewer),
        is_member: identified.role.is_some(),
        is_operator: identified.is_operator,
        credential: identified.credential,
        context,
        read_after: asked.map_or(own, ReadAfter::Asked),
        rights: Arc::clone(&edge.rights),
    };
    if let Some((resource, action)) = info.access.right() {
        caller.require(resource, action)?;
    }
    read_body(edge, info, request, &mut caller.context).await?;
    if is_form {
        take_form(info, request, &mut caller.context)?;
    }
    request.extensions_mut().insert(caller);
    Ok(Admitted { writer: Some(user_id), allowance })
}

/// Reads a command's body, bounded, and puts it where the extractors and the idempotency key need it.
async fn read_body(
    edge: &Edge,
    info: &RouteInfo,
    request: &mut ServiceRequest,
    context: &mut Context,
) -> Result<(), ApiError> {
    if info.side != Side::Command || info.streams_body {
        return Ok(());
    }
    let limit = info.body_bytes_max.unwrap_or(edge.config.body_bytes_max);
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > limit as u64) {
        return Err(too_large(limit));
    }
    let payload = request.take_payload();
    let body = tokio::time::timeout(edge.config.body_timeout, collect(payload, limit)).await;
    let body = body.unwrap_or_else(|_| {
        Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "BODY_TOO_SLOW",
            "the body did not arrive in time; nothing was done",
        ))
    })?;
    if let Some(idempotency) = &mut context.idempotency {
        idempotency.request.extend_from_slice(&body);
    }
    // For extractors of others, such as a form's.
    request.set_payload(Payload::from(body.clone()));
    request.extensions_mut().insert(RawBody(body));
    Ok(())
}

/// The form of a page that asks who calls.
fn take_form(info: &RouteInfo, request: &ServiceRequest, context: &mut Context) -> Result<(), ApiError> {
    let extensions = request.extensions();
    let session = extensions.get::<PageSession>().ok_or_else(|| ApiError::unauthorized("sign in first"))?;
    let body = extensions.get::<RawBody>().map(|raw| raw.0.clone()).unwrap_or_default();
    pages::take_form(info, session, request.request(), &body, context)
}

async fn collect(mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            let message = format!("the body did not arrive whole: {error}");
            ApiError::new(StatusCode::BAD_REQUEST, "BODY_CUT_OFF", message)
        })?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("the body may have at most {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
}
