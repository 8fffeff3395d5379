//! The door of pages: the cookie, the form's token, where a form may come from, failures as pages.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Service,
    http::header::HeaderMap,
    test::{self, TestRequest},
};
use annals_domain::kernel::Role;

use super::support::{Browser, People, config, edge, signed, token};
use crate::{
    http::{
        Access, ApiError, ApiResult, Caller, Routes,
        pages::{FORM_TOKEN_FIELD, Form, ONCE_FIELD},
        routes::Side,
    },
    server,
    state::Edge,
};

fn told(_: &HttpRequest, error: &ApiError) -> HttpResponse {
    HttpResponse::build(error.status).content_type("text/html").body(format!("<p>{}</p>", error.message))
}

fn routes() -> Routes {
    let mut routes = Routes::new();
    routes.page("/looks", Access::Right("post", "read"), told, look);
    routes.page("/fails", Access::Right("post", "read"), told, fail);
    routes.form("/acts", Access::Right("post", "create"), told, act);
    routes.form("/enters", Access::Anonymous, told, enter);
    routes.form("/corrects", Access::Anonymous, told, correct);
    routes.query("/looks", Access::Right("post", "read"), look);
    routes
}

async fn look(caller: Caller) -> ApiResult {
    Ok(HttpResponse::Ok().body(caller.user_id.to_string()))
}

async fn fail(_: Caller) -> ApiResult {
    Err(ApiError::not_found("page"))
}

async fn act(caller: Caller, form: Form) -> ApiResult {
    let key = caller.context.idempotency.map(|key| format!("{} in {}", key.key, key.scope));
    let tags: Vec<&str> = form.all("tag").collect();
    let words = format!("{} {} {}", form.text("name"), tags.join("+"), key.unwrap_or_default());
    Ok(HttpResponse::Ok().body(words))
}

async fn enter(form: Form) -> ApiResult {
    Ok(HttpResponse::Ok().body(form.raw("password").to_string()))
}

/// A form that comes back with what is wrong with it.
async fn correct(_: Form) -> ApiResult {
    Ok(HttpResponse::BadRequest().content_type("text/html").body("<p>once more</p>"))
}

async fn call(edge: &Arc<Edge>, request: TestRequest) -> (u16, HeaderMap, String) {
    let app = test::init_service(server::app(None, Arc::clone(edge), routes())).await;
    let peer = "203.0.113.7:4711".parse().expect("an address");
    let request = request.peer_addr(peer).insert_header(("accept-encoding", "identity"));
    let response = app.call(request.to_request()).await.expect("answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, String::from_utf8_lossy(&test::read_body(response).await).into_owned())
}

async fn ada() -> (Arc<Edge>, Browser) {
    let edge = edge(People::with(Role::User), config()).await;
    let browser = Browser::signed_in(&edge);
    (edge, browser)
}

fn page(path: &str) -> TestRequest {
    TestRequest::get().uri(&format!("/console{path}"))
}

fn form(path: &str) -> TestRequest {
    TestRequest::post().uri(&format!("/console{path}"))
}

#[actix_web::test]
async fn a_page_knows_its_caller_by_the_cookie_and_the_api_does_not() {
    let (edge, browser) = ada().await;
    assert_eq!(call(&edge, browser.sends(page("/looks"), Side::Query)).await.0, 200);
    assert_eq!(call(&edge, page("/looks")).await.0, 401);
    let api = || TestRequest::get().uri("/api/v1/looks");
    assert_eq!(call(&edge, browser.sends(api(), Side::Query)).await.0, 401, "a cookie opens no API");
    assert_eq!(call(&edge, signed(api(), &token(&edge))).await.0, 200);
    assert_eq!(call(&edge, signed(page("/looks"), &token(&edge))).await.0, 401, "a header opens no page");
}

#[actix_web::test]
async fn neither_kind_of_token_is_taken_for_the_other() {
    let (edge, browser) = ada().await;
    let (name, value) = browser.cookie.split_once('=').expect("is a cookie");
    let as_bearer = signed(TestRequest::get().uri("/api/v1/looks"), value);
    assert_eq!(call(&edge, as_bearer).await.0, 401);
    let as_cookie = page("/looks").insert_header(("cookie", format!("{name}={}", token(&edge))));
    assert_eq!(call(&edge, as_cookie).await.0, 401);
}

#[actix_web::test]
async fn a_session_that_has_ended_opens_no_page() {
    let (_, browser) = ada().await;
    let people = People { ended: true, ..People::with(Role::User) };
    let edge = edge(people, config()).await;
    assert_eq!(call(&edge, browser.sends(page("/looks"), Side::Query)).await.0, 401);
}

#[actix_web::test]
async fn a_form_needs_the_token_of_its_session() {
    let (edge, browser) = ada().await;
    assert_eq!(call(&edge, browser.sends(form("/acts"), Side::Command)).await.0, 200);
    let bare = form("/acts").insert_header(("cookie", browser.cookie.clone()));
    assert_eq!(call(&edge, bare.set_form([("name", "x")])).await.0, 403);
    let other = Browser::signed_in(&edge).session.form_token;
    let foreign = form("/acts").insert_header(("cookie", browser.cookie.clone()));
    assert_eq!(call(&edge, foreign.set_form([(FORM_TOKEN_FIELD, other)])).await.0, 403);
}

#[actix_web::test]
async fn a_form_of_another_site_is_refused_before_anybody_is_asked() {
    let (edge, _) = ada().await;
    let sent = |headers: &[(&'static str, &'static str)]| {
        let request = form("/enters").insert_header(("host", "annals.example"));
        let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
        request.set_form([("password", " typed as it is ")])
    };
    for (headers, expected) in [
        (&[][..], 200),
        (&[("origin", "http://annals.example")][..], 200),
        (&[("sec-fetch-site", "same-origin")][..], 200),
        (&[("sec-fetch-site", "none")][..], 200),
        (&[("origin", "http://evil.example")][..], 403),
        (&[("origin", "null")][..], 403),
        (&[("sec-fetch-site", "same-site")][..], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", "http://annals.example")][..], 403),
    ] {
        assert_eq!(call(&edge, sent(headers)).await.0, expected, "{headers:?}");
    }
    assert_eq!(call(&edge, sent(&[])).await.2, " typed as it is ");
}

#[actix_web::test]
async fn a_form_sent_twice_has_one_key() {
    let (edge, browser) = ada().await;
    let fields = [
        (FORM_TOKEN_FIELD, browser.session.form_token.as_str()),
        (ONCE_FIELD, "k-1"),
        ("name", " Ada "),
        ("tag", "a"),
        ("tag", "b"),
    ];
    let sent = || form("/acts").insert_header(("cookie", browser.cookie.clone())).set_form(fields);
    let (status, _, words) = call(&edge, sent()).await;
    assert_eq!(status, 200);
    assert!(words.starts_with("Ada a+b k-1 in user:"), "{words}");
    assert_eq!(call(&edge, sent()).await.2, words);
    let wrong = [(FORM_TOKEN_FIELD, browser.session.form_token.as_str()), (ONCE_FIELD, "two words")];
    let sent = form("/acts").insert_header(("cookie", browser.cookie.clone())).set_form(wrong);
    assert_eq!(call(&edge, sent).await.0, 400);
}

#[actix_web::test]
async fn a_pages_failure_is_a_page() {
    let (edge, browser) = ada().await;
    for (request, expected) in [
        (browser.sends(page("/fails"), Side::Query), 404),
        (page("/looks"), 401),
        (browser.sends(form("/looks"), Side::Command), 405),
        (browser.sends(page("/looks%00"), Side::Query), 404),
    ] {
        let (status, headers, body) = call(&edge, request).await;
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        assert_eq!(status, expected, "{body}");
        // An address that names nothing is no page's: `console` has a page for it.
        assert_eq!(kind == "text/html", !body.contains("\"success\""), "{kind} {body}");
    }
    let (status, _, body) = call(&edge, form("/corrects")).await;
    assert_eq!((status, body.as_str()), (400, "<p>once more</p>"), "a page that a handler made itself");
    let (_, headers, body) = call(&edge, browser.sends(page("/fails"), Side::Query)).await;
    assert!(body.starts_with("<p>"), "{body}");
    assert!(headers.contains_key("x-request-id"));
}
