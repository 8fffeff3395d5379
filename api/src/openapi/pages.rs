//! `/api` (Swagger UI, its files from the binary) and `/api/openapi.json`.

use std::sync::{Arc, LazyLock};

use actix_web::{HttpResponse, http::header, web};
use sha2::{Digest, Sha256};
use utoipa_swagger_ui::{Config, SwaggerFile};

use super::document;
use crate::http::{ApiError, ApiResult, Routes};

/// The page runs its own scripts and shows its own images; it calls this server and nobody else.
const PAGE_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           frame-ancestors 'none'; base-uri 'self'";

/// Written once: the routes do not change while the program runs.
static DOCUMENT: LazyLock<Result<(String, String), serde_json::Error>> = LazyLock::new(|| {
    let routes = crate::server::routes();
    let text = document(routes.infos(), crate::server::documents()).to_pretty_json()?;
    let etag = hex::encode(&Sha256::digest(&text)[..16]);
    Ok((text, format!("\"{etag}\"")))
});

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        Config::from("/api/openapi.json")
            .try_it_out_enabled(true)
            .persist_authorization(true)
            .deep_linking(true),
    )
});

pub fn system(routes: &mut Routes) {
    routes.system("/", welcome);
    routes.system("/api", page);
    routes.system("/api/openapi.json", json);
    routes.system("/api/{file}", file);
}

/// Who opens the address in a browser wants to see something.
async fn welcome() -> ApiResult {
    Ok(HttpResponse::Found().insert_header((header::LOCATION, "/api")).finish())
}

async fn json() -> ApiResult {
    let (text, etag) = DOCUMENT.as_ref().map_err(|error| ApiError::internal(error))?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::ETAG, etag.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(text.as_str()))
}

async fn page() -> ApiResult {
    let page = find("index.html")?;
    // The page stands at `/api`, without a slash, and names its files relatively.
    let html =
        String::from_utf8_lossy(&page.bytes).replacen("<head>", "<head>\n    <base href=\"/api/\">", 1);
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .body(html))
}

async fn file(name: web::Path<String>) -> ApiResult {
    let file = find(&name)?;
    Ok(HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header((header::CACHE_CONTROL, "max-age=3600"))
        .body(file.bytes.into_owned()))
}

fn find(name: &str) -> Result<SwaggerFile<'static>, ApiError> {
    match utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(ApiError::not_found("page")),
        Err(error) => Err(ApiError::internal(&std::io::Error::other(error.to_string()))),
    }
}
