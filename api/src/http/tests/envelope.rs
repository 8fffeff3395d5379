use std::{sync::Arc, time::Duration};

use actix_web::{http::Method, test::TestRequest};
use annals_domain::kernel::Role;
use serde_json::json;
use uuid::Uuid;

use super::support::{ADA, ORGANIZATION, People, call, config, edge, get, post, signed, token};
use crate::{http::config::HttpConfig, state::Edge};

async fn owner() -> (Arc<Edge>, String) {
    let edge = edge(People::with(Role::Owner), config()).await;
    let token = token(&edge);
    (edge, token)
}

#[actix_web::test]
async fn a_success_has_data_and_meta_and_says_where_the_log_stands() {
    let (edge, token) = owner().await;
    let answer = call(&edge, signed(post("/api/v1/things", &json!({"name": "x"})), &token)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body["success"], true);
    assert_eq!(answer.body["data"]["name"], "x");
    assert_eq!(answer.body["meta"], json!({"position": 42}));
    assert_eq!((answer.header("annals-position"), answer.header("etag")), ("42", "\"1\""));
    let list = call(&edge, signed(get("/api/v1/things?perPage=20"), &token)).await;
    assert_eq!(list.body["meta"], json!({"total": 41, "page": 1, "perPage": 20, "totalPages": 3}));
}

#[actix_web::test]
async fn the_bus_learns_who_why_and_under_which_key() {
    let (edge, token) = owner().await;
    let request = signed(post("/api/v1/things", &json!({"name": "x"})), &token)
        .insert_header(("idempotency-key", "k-1"))
        .insert_header(("if-match", "\"7\""))
        .insert_header(("x-request-id", "mine"));
    let answer = call(&edge, request).await;
    assert_eq!(
        answer.body["data"],
        json!({
            "name": "x",
            "actor": {"type": "user", "id": ADA},
            "organization": ORGANIZATION,
            "source": "WEB",
            "expected": 7,
            "requestId": "mine",
            "subject": format!("user:{ADA}"),
            "key": "k-1",
            "scope": format!("user:{ADA}@{ORGANIZATION}"),
        })
    );
    assert_eq!(answer.header("x-request-id"), "mine");
    let anonymous = post("/api/v1/login", &json!({"name": "x"})).insert_header(("idempotency-key", "k-1"));
    let answer = call(&edge, anonymous).await;
    let expected = json!(["route:POST /api/v1/login", "POST /api/v1/login\n{\"name\":\"x\"}"]);
    assert_eq!(answer.body["data"]["idempotency"], expected);
}

#[actix_web::test]
async fn bad_bodies_are_named_and_refused() {
    let (edge, token) = owner().await;
    let send = |body: &'static [u8], kind: &str| {
        let request = TestRequest::post().uri("/api/v1/things").set_payload(body);
        let request =
            if kind.is_empty() { request } else { request.insert_header(("content-type", kind.to_string())) };
        signed(request, &token)
    };
    let json = "application/json";
    let wrong = call(&edge, send(br#"{"name":1}"#, json)).await;
    wrong.refused(400, "VALIDATION_ERROR");
    assert_eq!(wrong.body["errors"][0]["field"], "name");
    call(&edge, send(br#"{"name":"x","age":1}"#, json)).await.refused(400, "VALIDATION_ERROR");
    call(&edge, send(b"{", json)).await.refused(400, "INVALID_JSON");
    call(&edge, send(b"", json)).await.refused(400, "VALIDATION_ERROR");
    call(&edge, send(br#"{"name":"x"}"#, "text/plain")).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    call(&edge, send(br#"{"name":"x"}"#, "")).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    call(&edge, send(br#"{"name":"x"}"#, "application/json; charset=latin1"))
        .await
        .refused(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(call(&edge, send(br#"{"name":"x"}"#, "application/json; charset=UTF-8")).await.status, 201);
    let compressed = send(br#"{"name":"x"}"#, json).insert_header(("content-encoding", "gzip"));
    call(&edge, compressed).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let big = json!({"name": "x".repeat(3000)});
    call(&edge, signed(post("/api/v1/things", &big), &token)).await.refused(413, "PAYLOAD_TOO_LARGE");
    let list = call(&edge, signed(get("/api/v1/things?perPge=1"), &token)).await;
    list.refused(400, "VALIDATION_ERROR");
    assert_eq!(list.body["errors"][0]["field"], "perPge");
}

#[actix_web::test]
async fn bad_headers_are_named_and_refused() {
    let (edge, token) = owner().await;
    for (name, value) in [("If-Match", "W/\"1\""), ("Idempotency-Key", "a b"), ("Annals-After", "soon")] {
        let request =
            signed(post("/api/v1/things", &json!({"name": "x"})), &token).insert_header((name, value));
        let answer = call(&edge, request).await;
        answer.refused(400, "VALIDATION_ERROR");
        assert_eq!(answer.body["errors"][0]["field"], name);
    }
}

#[actix_web::test]
async fn a_body_may_be_left_out_where_the_handler_says_so() {
    let (edge, token) = owner().await;
    let without = call(&edge, signed(TestRequest::post().uri("/api/v1/password"), &token)).await;
    assert_eq!((without.status, &without.body["data"]["name"]), (200, &json!(null)));
    let with = call(&edge, signed(post("/api/v1/password", &json!({"name": "x"})), &token)).await;
    assert_eq!(with.body["data"]["name"], "x");
}

#[actix_web::test]
async fn unknown_paths_wrong_methods_and_wrong_ids_have_the_envelope_too() {
    let (edge, token) = owner().await;
    call(&edge, get("/api/v1/nothing")).await.refused(404, "NOT_FOUND");
    call(&edge, get("/")).await.refused(404, "NOT_FOUND");
    call(&edge, get("/feeds/a%00b")).await.refused(404, "NOT_FOUND");
    let patch = call(&edge, TestRequest::patch().uri("/api/v1/things")).await;
    patch.refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(patch.header("allow"), "GET, HEAD, POST");
    let options = call(&edge, TestRequest::default().method(Method::OPTIONS).uri("/api/v1/things")).await;
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, POST"));
    call(&edge, signed(get("/api/v1/things/not-an-id"), &token)).await.refused(404, "NOT_FOUND");
    let head =
        call(&edge, signed(TestRequest::default().method(Method::HEAD).uri("/api/v1/things"), &token)).await;
    assert_eq!(head.status, 200);
}

#[actix_web::test]
async fn a_panic_is_500_and_a_call_that_hangs_is_503() {
    let slow = HttpConfig { request_timeout: Duration::from_millis(20), ..config() };
    let edge = edge(People::default(), slow).await;
    let panicked = call(&edge, get("/api/v1/panic")).await;
    panicked.refused(500, "INTERNAL_ERROR");
    assert!(!panicked.body.to_string().contains("on purpose"), "the caller is not told what is inside");
    let hung = call(&edge, get("/api/v1/slow")).await;
    assert_eq!((hung.status, hung.header("retry-after")), (503, "2"));
}

#[actix_web::test]
async fn what_the_caller_has_already_is_not_sent_again() {
    let (edge, token) = owner().await;
    let path = format!("/api/v1/things/{}", Uuid::from_u128(5));
    let fresh = call(&edge, signed(get(&path), &token)).await;
    assert_eq!((fresh.status, fresh.header("etag")), (200, "\"7\""));
    let known = signed(get(&path), &token).insert_header(("if-none-match", "\"6\", W/\"7\""));
    let answer = call(&edge, known).await;
    assert_eq!((answer.status, answer.header("etag")), (304, "\"7\""));
    let stale = signed(get(&path), &token).insert_header(("if-none-match", "\"6\""));
    assert_eq!(call(&edge, stale).await.status, 200);
}

#[actix_web::test]
async fn a_query_waits_for_what_it_names_or_for_the_callers_own_last_command() {
    let (edge, token) = owner().await;
    let path = format!("/api/v1/things/{}", Uuid::from_u128(5));
    let after = async |request| call(&edge, request).await.body["data"]["after"].clone();
    assert_eq!(after(signed(get(&path), &token)).await, "Anything");
    call(&edge, signed(post("/api/v1/things", &json!({"name": "x"})), &token)).await;
    assert_eq!(after(signed(get(&path), &token)).await, "Own(42)");
    let asked = signed(get(&path), &token).insert_header(("annals-after", "77"));
    assert_eq!(after(asked).await, "Asked(77)");
}

#[actix_web::test]
async fn a_node_serves_the_sides_of_its_role() {
    let mut queries = config();
    queries.roles.commands = false;
    let edge = edge(People::with(Role::Owner), queries).await;
    let token = token(&edge);
    assert_eq!(call(&edge, signed(get("/api/v1/things"), &token)).await.status, 200);
    call(&edge, signed(post("/api/v1/things", &json!({"name": "x"})), &token))
        .await
        .refused(405, "METHOD_NOT_ALLOWED");
    call(&edge, signed(TestRequest::post().uri("/api/v1/password"), &token)).await.refused(404, "NOT_FOUND");
}

#[actix_web::test]
async fn browsers_of_configured_origins_may_call() {
    let config = HttpConfig { allowed_origins: vec!["https://app.example.org".into()], ..config() };
    let edge = edge(People::with(Role::Owner), config).await;
    let preflight = |origin: &'static str| {
        TestRequest::default()
            .method(Method::OPTIONS)
            .uri("/api/v1/things")
            .insert_header(("origin", origin))
            .insert_header(("access-control-request-method", "POST"))
            .insert_header(("access-control-request-headers", "authorization, idempotency-key"))
    };
    let allowed = call(&edge, preflight("https://app.example.org")).await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example.org");
    let refused = call(&edge, preflight("https://evil.example")).await;
    assert_eq!(refused.header("access-control-allow-origin"), "");
    let unauthorized = get("/api/v1/things").insert_header(("origin", "https://app.example.org"));
    let answer = call(&edge, unauthorized).await;
    answer.refused(401, "UNAUTHORIZED");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://app.example.org",
        "errors are readable too"
    );
}
