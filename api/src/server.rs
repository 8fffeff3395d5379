//! The actix app: middleware, routes by role, and what every route finds in it.

use actix_cors::Cors;
use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::header,
    middleware::{Compress, NormalizePath, from_fn},
    web,
};
use std::sync::Arc;

use crate::{
    http::{ApiError, Routes, conditional, config::HttpConfig, observe},
    state::{AppState, Edge},
};

/// Every route of every context.
pub fn routes() -> Routes {
    Routes::new()
}

/// The app of one worker thread. `routes` is [`routes`], or a test's own.
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
