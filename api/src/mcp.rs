//! The Model Context Protocol at `/mcp`: what assistants may do, with the rights of whoever lends them
//! a key or a token.
//!
//! Streamable HTTP without sessions (specification 2025-06-18 and later, "Transports"): each call is
//! a `POST` by itself and is answered at once, so any node may serve it. `rmcp` speaks the protocol;
//! the gate has looked at limit and credential before, and each tool asks for its own right.

mod analytics;
mod tools;

use std::sync::Arc;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    http::{Method, StatusCode, header},
    web,
};
use http_body_util::{BodyExt as _, Full};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use utoipa::OpenApi;

use crate::{
    http::{
        Access, ApiError, ApiResult, Caller, Routes, answer::POSITION_HEADER, body::RawBody,
        config::HttpConfig,
    },
    state::AppState,
};
use tools::Tools;

/// All calls of the protocol are `POST`, those that only read too.
pub fn commands(routes: &mut Routes) {
    routes.foreign_command(Method::POST, "/mcp", Access::Member, |_, error| error.error_response(), serve);
}

#[derive(OpenApi)]
#[openapi(paths(serve), tags((name = "mcp", description = "The Model Context Protocol, for assistants")))]
pub struct Document;

/// A message of the Model Context Protocol: JSON-RPC 2.0 over streamable HTTP, without sessions.
#[utoipa::path(
    post, path = "/mcp", tag = "mcp", request_body = Object,
    responses((status = 200, description = "The answer to a request", body = Object),
        (status = 202, description = "A notification was taken")),
)]
pub(super) async fn serve(state: web::Data<AppState>, caller: Caller, request: HttpRequest) -> ApiResult {
    check_origin(&request, &state.edge.config)?;
    let message = as_http(&request)?;
    let tools = Tools::of(AppState::clone(&state), caller);
    let sessions = Arc::new(NeverSessionManager::default());
    let called = tools.clone();
    let service = StreamableHttpService::new(move || Ok(called.clone()), sessions, transport());
    let (answer, body) = service.handle(message).await.into_parts();
    let Ok(body) = body.collect().await;
    let status = StatusCode::from_u16(answer.status.as_u16()).map_err(|error| ApiError::internal(&error))?;
    let mut response = HttpResponse::build(status);
    if let Some(kind) = answer.headers.get(http::header::CONTENT_TYPE) {
        response.insert_header((header::CONTENT_TYPE, kind.as_bytes()));
    }
    if let Some(position) = tools.position() {
        response.insert_header((POSITION_HEADER, position.to_string()));
    }
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(response.body(body.to_bytes()))
}

/// The gate has bounded the body, and who calls has shown a credential that no other site's page has:
/// the host that a name was pointed to adds nothing.
fn transport() -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None)
        .disable_allowed_hosts()
        .with_max_request_body_bytes(usize::MAX)
}

/// A page of another site may not use a credential that a browser was given ("Security Warning" of the
/// specification's transports).
fn check_origin(request: &HttpRequest, config: &HttpConfig) -> Result<(), ApiError> {
    let origin = request.headers().get(header::ORIGIN);
    let is_allowed =
        origin.is_none_or(|origin| origin.to_str().is_ok_and(|origin| config.allows_origin(origin)));
    if is_allowed {
        return Ok(());
    }
    Err(ApiError::forbidden("pages of this origin may not call: see http.cors_origins in the configuration"))
}

/// The same request in the types of the protocol's library. The credential stays here.
fn as_http(request: &HttpRequest) -> Result<http::Request<Full<web::Bytes>>, ApiError> {
    let body = request.extensions().get::<RawBody>().map(|raw| raw.0.clone()).unwrap_or_default();
    let mut message = http::Request::builder().method(http::Method::POST).uri("/mcp");
    for (name, value) in request.headers() {
        if *name != header::AUTHORIZATION {
            message = message.header(name.as_str(), value.as_bytes());
        }
    }
    message.body(Full::new(body)).map_err(|error| ApiError::internal(&error))
}
