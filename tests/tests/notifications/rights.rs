//! Every route with and without rights, and with another organization's ids.

use annals_tests::{Api, Method, Server, StatusCode};
use serde_json::{Value, json};

use crate::support::told;

fn routes(id: &str) -> Vec<(Method, String, Value)> {
    vec![
        (Method::GET, "notifications".into(), Value::Null),
        (Method::GET, "notifications/unread-count".into(), Value::Null),
        (Method::GET, format!("notifications/{id}"), Value::Null),
        (Method::POST, format!("notifications/{id}/read"), json!({})),
        (Method::POST, format!("notifications/{id}/unread"), json!({})),
        (Method::POST, "notifications/read-all".into(), json!({})),
        (Method::GET, "notifications/preferences".into(), Value::Null),
        (Method::PATCH, "notifications/preferences".into(), json!({"post_failed": {"email": true}})),
    ]
}

async fn call(api: &Api, method: &Method, path: &str, body: &Value) -> StatusCode {
    let request = api.request(method.clone(), path);
    let request = if body.is_null() { request } else { request.json(body) };
    Api::send(request).await.status
}

#[tokio::test]
async fn each_member_has_their_own_and_strangers_nothing() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let viewer = ada.member("viewer").await;
    let id = told(&ada.api, 1).await.text_at("/data/0/id");
    let stranger = server.api().register("Eve").await.api;
    let made = |scopes: Value| {
        let body = json!({"name": "n8n", "scopes": scopes});
        let api = ada.api.clone();
        async move { api.post("settings/api-keys", body).await.expect(StatusCode::CREATED).text_at("/data/key") }
    };
    let reads = server.api().with_token(&made(json!(["notification:read"])).await);
    let other = server.api().with_token(&made(json!(["post"])).await);

    for (method, path, body) in routes(&id) {
        let route = format!("{method} {path}");
        assert_eq!(call(&server.api(), &method, &path, &body).await, StatusCode::UNAUTHORIZED, "{route}");
        assert_eq!(call(&ada.api, &method, &path, &body).await, StatusCode::OK, "{route}");
        let of_others = if path.contains(&id) { StatusCode::NOT_FOUND } else { StatusCode::OK };
        assert_eq!(call(&viewer, &method, &path, &body).await, of_others, "viewer: {route}");
        assert_eq!(call(&stranger, &method, &path, &body).await, of_others, "stranger: {route}");
        let reading = if method == Method::GET { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(call(&reads, &method, &path, &body).await, reading, "key that reads: {route}");
        assert_eq!(call(&other, &method, &path, &body).await, StatusCode::FORBIDDEN, "other key: {route}");
    }
    let unread =
        |api: Api| async move { api.get("notifications/unread-count").await.at("/data/unread").clone() };
    assert_eq!(unread(ada.api.clone()).await, json!(0), "only Ada's own calls counted");
}

#[tokio::test]
async fn the_same_key_marks_once() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    ada.member("user").await;
    let id = told(&ada.api, 1).await.text_at("/data/0/id");
    let keyed = ada.api.with_header("Idempotency-Key", "mark-1");
    let path = format!("notifications/{id}/read");
    let first = keyed.post(&path, json!({})).await.expect(StatusCode::OK).position();
    assert_eq!(keyed.post(&path, json!({})).await.expect(StatusCode::OK).position(), first);
    let other = keyed.post(&format!("notifications/{id}/unread"), json!({})).await;
    other.expect(StatusCode::UNPROCESSABLE_ENTITY);
}
