//! The actix app: middleware, routes by role, and what every route finds in it.

use std::{net::TcpListener, sync::Arc, time::Duration};

use actix_cors::Cors;
use actix_web::{
    App, Error, HttpServer,
    body::MessageBody,
    dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse},
    http::header,
    middleware::{Compress, NormalizePath, from_fn},
    web,
};
use utoipa::{OpenApi as _, openapi::OpenApi as Document};

use crate::{
    audit, console, engagement, health, history,
    http::{ApiError, Routes, conditional, config::HttpConfig, observe, security},
    identity, live, mcp, openapi, operations, postiz, publishing, schemas,
    state::{AppState, Edge},
};

/// Every route of every context, and the program's own.
pub fn routes() -> Routes {
    let mut routes = Routes::new();
    health::system(&mut routes);
    openapi::system(&mut routes);
    identity::commands(&mut routes);
    identity::queries(&mut routes);
    publishing::commands(&mut routes);
    publishing::queries(&mut routes);
    engagement::commands(&mut routes);
    engagement::queries(&mut routes);
    postiz::commands(&mut routes);
    postiz::queries(&mut routes);
    mcp::commands(&mut routes);
    schemas::queries(&mut routes);
    console::commands(&mut routes);
    console::queries(&mut routes);
    operations::commands(&mut routes);
    operations::queries(&mut routes);
    history::commands(&mut routes);
    history::queries(&mut routes);
    audit::commands(&mut routes);
    audit::queries(&mut routes);
    live::commands(&mut routes);
    live::queries(&mut routes);
    routes
}

/// What the contexts' handlers say of themselves, for the OpenAPI document.
pub fn documents() -> Vec<Document> {
    vec![
        identity::Document::openapi(),
        publishing::document(),
        engagement::document(),
        postiz::document(),
        mcp::Document::openapi(),
        operations::document(),
        history::document(),
        audit::Document::openapi(),
        live::document(),
        schemas::Document::openapi(),
    ]
}

/// How the server runs, beside what its routes do.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// Threads; 0: one per core.
    pub workers: usize,
    /// What is in flight when the server is stopped has so long to finish.
    pub shutdown_timeout: Duration,
}

/// Starts to serve. The future ends when the server was stopped by its handle; signals are the
/// caller's business.
///
/// # Errors
/// If the listener can't be used.
pub fn start(state: AppState, listener: TcpListener, options: ServerOptions) -> std::io::Result<Server> {
    start_with(state, listener, options, routes)
}

/// The same with a test's own routes.
fn start_with(
    state: AppState,
    listener: TcpListener,
    options: ServerOptions,
    routes: fn() -> Routes,
) -> std::io::Result<Server> {
    health::recorder();
    let factory = move || app(Some(state.clone()), Arc::clone(&state.edge), routes());
    let mut server = HttpServer::new(factory)
        .keep_alive(Duration::from_secs(75))
        .client_request_timeout(Duration::from_secs(10))
        .client_disconnect_timeout(Duration::from_secs(5))
        .shutdown_timeout(options.shutdown_timeout.as_secs())
        .disable_signals();
    if options.workers > 0 {
        server = server.workers(options.workers);
    }
    Ok(server.listen(listener)?.run())
}

/// The app of one worker thread. `routes` is [`routes`], or a test's own; the routes that need a log
/// find it only with a `state`.
pub fn app(
    state: Option<AppState>,
    edge: Arc<Edge>,
    routes: Routes,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let roles = edge.config.roles;
    let mut app = App::new().app_data(web::Data::from(Arc::clone(&edge)));
    if let Some(state) = state {
        app = app.app_data(web::Data::new(state));
    }
    app.app_data(web::PathConfig::default().error_handler(|_, _| ApiError::not_found("thing").into()))
        .configure(|app| routes.mount(roles, app))
        .default_service(web::to(observe::nothing_here))
        .wrap(NormalizePath::trim())
        .wrap(from_fn(conditional::not_modified))
        .wrap(cors(&edge.config))
        .wrap(from_fn(security::headers))
        .wrap(Compress::default())
        .wrap(from_fn(observe::observe))
}

/// Browsers of the configured origins may call, with the refresh cookie, and read our headers.
fn cors(config: &HttpConfig) -> Cors {
    let config = config.clone();
    Cors::default()
        .allowed_origin_fn(move |origin, _| origin.to_str().is_ok_and(|origin| config.allows_origin(origin)))
        .allow_any_method()
        .allow_any_header()
        .expose_headers([
            header::ETAG.as_str(),
            header::RETRY_AFTER.as_str(),
            "annals-position",
            "x-request-id",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
        ])
        .supports_credentials()
        .max_age(3600)
        .block_on_origin_mismatch(false)
}

#[cfg(test)]
mod tests;
