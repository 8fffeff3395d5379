//! Every route with and without rights.

use annals_tests::{Api, Method, Server, StatusCode};
use serde_json::{Value, json};

use crate::support::{draft, feed_channel, in_seconds, later, now, until, write};

/// Each route with a body that would be accepted.
fn routes(post: &str, channel: &str) -> Vec<(Method, String, Value)> {
    let body = later("Hello", &[channel], &in_seconds(3_600));
    vec![
        (Method::GET, "integrations".into(), Value::Null),
        (Method::GET, "integrations/customers".into(), Value::Null),
        (Method::GET, format!("integrations/{channel}"), Value::Null),
        (Method::GET, "posts".into(), Value::Null),
        (Method::GET, "posts/tags".into(), Value::Null),
        (Method::GET, "posts/series".into(), Value::Null),
        (Method::GET, "posts/find-slot".into(), Value::Null),
        (Method::GET, "posts/imports".into(), Value::Null),
        (Method::GET, "posts/export".into(), Value::Null),
        (Method::GET, "posting-times".into(), Value::Null),
        (Method::GET, format!("posts/find-slot/{channel}"), Value::Null),
        (Method::GET, format!("posts/{post}"), Value::Null),
        (Method::GET, format!("posts/{post}/history"), Value::Null),
        (Method::GET, format!("posts/{post}/statistics"), Value::Null),
        (Method::GET, "analytics/overview".into(), Value::Null),
        (Method::GET, format!("analytics/integration/{channel}"), Value::Null),
        (Method::GET, "analytics/posts".into(), Value::Null),
        (Method::GET, format!("analytics/posts?integration={channel}"), Value::Null),
        (Method::GET, "analytics/engagement".into(), Value::Null),
        (Method::GET, format!("analytics/engagement?integration={channel}"), Value::Null),
        (Method::GET, "activity".into(), Value::Null),
        (Method::POST, "posts/tags".into(), json!({"name": "Launch"})),
        (Method::POST, "posts".into(), body.clone()),
        (Method::PUT, format!("posts/{post}"), body),
        (Method::POST, format!("posts/{post}/retry"), json!({})),
        (Method::DELETE, format!("posts/{post}"), Value::Null),
        (Method::POST, "integrations/connect".into(), json!({"platform": "feed"})),
        (Method::PUT, format!("integrations/{channel}"), json!({"name": "Other"})),
        (Method::PUT, format!("integrations/{channel}/group"), json!({"group": "EU"})),
        (Method::POST, format!("integrations/{channel}/enable"), json!({})),
        (Method::POST, format!("integrations/{channel}/disable"), json!({})),
        (Method::DELETE, format!("integrations/{channel}"), Value::Null),
    ]
}

async fn call(api: &Api, method: &Method, path: &str, body: &Value) -> StatusCode {
    let request = api.request(method.clone(), path);
    let request = if body.is_null() { request } else { request.json(body) };
    Api::send(request).await.status
}

#[tokio::test]
async fn each_role_may_what_it_may_and_strangers_see_nothing() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let post = write(&ada.api, later("Ada's", &[&channel], &in_seconds(3_600))).await;
    let viewer = ada.member("viewer").await;
    let user = ada.member("user").await;
    let stranger = server.api().register("Eve").await.api;

    for (method, path, body) in routes(&post, &channel) {
        let route = format!("{method} {path}");
        let nobody = call(&server.api(), &method, &path, &body).await;
        assert_eq!(nobody, StatusCode::UNAUTHORIZED, "{route}");

        let viewed = call(&viewer, &method, &path, &body).await;
        let may_view = if method == Method::GET { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(viewed, may_view, "viewer: {route}");

        let names_something = path.contains(&post) || path.contains(&channel);
        let seen = call(&stranger, &method, &path, &body).await;
        if names_something {
            assert_eq!(seen, StatusCode::NOT_FOUND, "stranger: {route}");
        } else if path == "posts" && method == Method::POST {
            assert_eq!(seen, StatusCode::BAD_REQUEST, "stranger: {route}: the channel is not theirs");
        } else {
            assert!(seen.is_success(), "stranger in their own organization: {route}: {seen}");
        }

        let used = call(&user, &method, &path, &body).await;
        let is_read = method == Method::GET;
        let is_own = path == "posts" || path == "posts/tags";
        let expected = match (is_read, is_own) {
            (true, _) => StatusCode::OK,
            (false, true) => StatusCode::CREATED,
            (false, false) => StatusCode::FORBIDDEN,
        };
        assert_eq!(used, expected, "user: {route}");
    }
    let shown = ada.api.get(&format!("posts/{post}")).await.expect(StatusCode::OK);
    assert_eq!(shown.at("/data/version"), 2, "nobody changed it");
}

#[tokio::test]
async fn a_user_manages_their_own_posts_and_admins_everybodys() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let user = ada.member("user").await;
    let admin = ada.member("admin").await;
    let own = write(&user, now("Mine", &[&channel])).await;
    until(&user, &own, "published").await;
    let draft_of_user = write(&user, draft("An idea")).await;
    let path = format!("posts/{draft_of_user}");
    user.put(&path, draft("A better idea")).await.expect(StatusCode::OK);
    let best = admin.put(&path, draft("The best idea")).await.expect(StatusCode::OK);
    // Another's write is waited for when its position is named.
    let after = user.with_header("Annals-After", best.position());
    let shown = after.get(&path).await.expect(StatusCode::OK);
    assert_eq!(shown.at("/data/content"), "The best idea");
    assert_eq!(shown.at("/data/author/name"), "user", "it stays its author's");
    user.delete(&path).await.expect(StatusCode::OK);
    admin.delete(&format!("posts/{own}")).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let key = json!({"name": "CI", "scopes": ["post:create", "post:read"]});
    let created = ada.api.post("settings/api-keys", key).await.expect(StatusCode::CREATED);
    let program = server.api().with_token(&created.text_at("/data/key"));
    let drafted = write(&program, draft("By a program")).await;
    program.post("posts", now("At once", &[&channel])).await.expect(StatusCode::FORBIDDEN);
    program.get("integrations").await.expect(StatusCode::FORBIDDEN);
    let rows = ada.api.get(&format!("posts/{drafted}/history")).await.expect(StatusCode::OK);
    assert_eq!(rows.at("/data/0/source"), "API");
    assert_eq!(rows.at("/data/0/actor/type"), "api_key");
}
