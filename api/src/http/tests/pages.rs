//! What the program serves beside the API: the document, its page, liveness; and headers on all of it.

use actix_web::{dev::Service, http::header::HeaderMap, test};

use super::support::{People, config, edge};
use crate::{http::config::HttpConfig, server};

async fn get(path: &str, config: HttpConfig) -> (u16, HeaderMap, String) {
    let edge = edge(People::default(), config).await;
    let app = test::init_service(server::app(None, edge, server::routes())).await;
    let request =
        test::TestRequest::get().uri(path).insert_header(("accept-encoding", "identity")).to_request();
    let response = app.call(request).await.expect("answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = test::read_body(response).await;
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().expect("is text"))
}

#[actix_web::test]
async fn swagger_ui_stands_at_api_with_all_its_files() {
    for path in ["/api", "/api/"] {
        let (status, headers, page) = get(path, config()).await;
        assert_eq!(status, 200);
        assert!(page.contains("<base href=\"/api/\">"), "{page}");
        assert!(header(&headers, "content-security-policy").contains("default-src 'self'"));
        for file in page.split(['"', '\'']).filter(|text| text.ends_with(".js") || text.ends_with(".css")) {
            let (status, headers, _) =
                get(&format!("/api/{}", file.trim_start_matches("./")), config()).await;
            assert_eq!(status, 200, "{file}");
            assert!(headers.contains_key("content-type"));
        }
    }
    let (_, _, script) = get("/api/swagger-initializer.js", config()).await;
    assert!(script.contains("/api/openapi.json"), "{script}");
    assert_eq!(get("/api/nothing.js", config()).await.0, 404);
}

#[actix_web::test]
async fn the_document_is_served_and_cached_by_its_tag() {
    let (status, headers, body) = get("/api/openapi.json", config()).await;
    assert_eq!((status, header(&headers, "content-type")), (200, "application/json"));
    assert!(headers.contains_key("etag"));
    let document: serde_json::Value = serde_json::from_str(&body).expect("is JSON");
    assert_eq!(document["info"]["title"], "Annals");
}

#[actix_web::test]
async fn browsers_are_told_to_guess_nothing_and_https_is_remembered_only_with_https() {
    let (status, headers, _) = get("/health/live", config()).await;
    assert_eq!(status, 200);
    assert_eq!(header(&headers, "x-content-type-options"), "nosniff");
    assert_eq!(header(&headers, "referrer-policy"), "no-referrer");
    assert!(header(&headers, "content-security-policy").contains("frame-ancestors 'none'"));
    assert!(!headers.contains_key("strict-transport-security"));
    let https = HttpConfig { public_url: "https://annals.example.org".parse().expect("a URL"), ..config() };
    assert!(get("/health/live", https).await.1.contains_key("strict-transport-security"));
}

#[actix_web::test]
async fn answers_are_compressed_for_those_who_take_it() {
    let edge = edge(People::default(), config()).await;
    let app = test::init_service(server::app(None, edge, server::routes())).await;
    let request =
        test::TestRequest::get().uri("/api/openapi.json").insert_header(("accept-encoding", "gzip"));
    let response = app.call(request.to_request()).await.expect("answers");
    assert_eq!(header(response.headers(), "content-encoding"), "gzip");
}
