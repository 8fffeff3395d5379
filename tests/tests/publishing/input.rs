//! Bad input is named and changes nothing.

use annals_tests::{Api, Method, Server, StatusCode};
use serde_json::{Value, json};

use crate::support::{feed_channel, ids, in_seconds, later};

const UNKNOWN: &str = "0198e000-0000-7000-8000-000000000042";

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[tokio::test]
async fn a_post_that_is_not_right_is_refused_by_field() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let good = later("Hello", &[&channel], &in_seconds(3_600));
    // Of publishing: the welcome is mailed at a time of its own.
    let position = api.get("activity?type=publishing").await.at("/data/0/position").clone();
    let cases = [
        (with(good.clone(), "content", json!("")), "content"),
        (with(good.clone(), "content", json!("x".repeat(10_001))), "content"),
        (with(good.clone(), "content", json!("a\u{0}b")), "content"),
        (with(good.clone(), "content", json!(7)), "content"),
        (with(good.clone(), "contents", json!("x")), "contents"),
        (with(good.clone(), "thread", json!(["ok", " "])), "thread[1]"),
        (with(good.clone(), "thread", json!(vec!["x"; 26])), "thread"),
        (with(good.clone(), "thread", json!([{"text": "ok"}])), "thread[0].text"),
        (with(good.clone(), "thread", json!([{"content": "ok", "media": [7]}])), "thread[0].media[0]"),
        (
            with(good.clone(), "thread", json!([{"content": "ok", "delaySeconds": 604_801}])),
            "thread[0].delaySeconds",
        ),
        (with(good.clone(), "media", json!(["cat.png"])), "media[0]"),
        (with(good.clone(), "media", json!([UNKNOWN, UNKNOWN])), "media[1].id"),
        (with(good.clone(), "media", json!([{"id": UNKNOWN, "alt": ""}])), "media[0].alt"),
        (with(good.clone(), "type", json!("soon")), "type"),
        (with(good.clone(), "scheduledAt", json!("tomorrow")), "scheduledAt"),
        (with(good.clone(), "scheduledAt", json!(in_seconds(-120))), "scheduledAt"),
        (with(good.clone(), "scheduledAt", json!(in_seconds(6 * 366 * 86_400))), "scheduledAt"),
        (with(good.clone(), "scheduledAt", Value::Null), "scheduledAt"),
        (with(good.clone(), "type", json!("now")), "scheduledAt"),
        (with(good.clone(), "timezone", json!("Mars/Olympus")), "timezone"),
        (with(good.clone(), "tags", json!([""])), "tags[0]"),
        (with(good.clone(), "tags", json!([UNKNOWN])), "tags[0]"),
        (with(good.clone(), "tags", json!(vec!["x"; 21])), "tags"),
        (with(good.clone(), "integrations", json!([])), "integrations"),
        (with(good.clone(), "integrations", json!([{"id": UNKNOWN}])), "integrations[0].id"),
        (with(good.clone(), "integrations", json!([{"id": "x"}])), "integrations[0].id"),
        (with(good.clone(), "integrations", json!([{"id": channel}, {"id": channel}])), "integrations[1].id"),
        (
            with(good.clone(), "integrations", json!([{"id": channel, "content": ""}])),
            "integrations[0].content",
        ),
    ];
    for (body, field) in cases {
        api.post("posts", body).await.expect_field(StatusCode::BAD_REQUEST, field);
    }
    let skipped = with(
        with(good.clone(), "scheduledAt", json!("2027-03-28T02:30:00")),
        "timezone",
        json!("Europe/Berlin"),
    );
    api.post("posts", skipped).await.expect_field(StatusCode::BAD_REQUEST, "scheduledAt");
    assert_eq!(ids(&api.get("posts").await), Vec::<String>::new());
    let last = api.get("activity?type=publishing").await.at("/data/0/position").clone();
    assert_eq!(last, position, "nothing was written");

    let year = chrono::Datelike::year(&chrono::Utc::now()) + 1;
    let local = with(
        with(good, "scheduledAt", json!(format!("{year}-07-01T09:00"))),
        "timezone",
        json!("Europe/Berlin"),
    );
    let scheduled = api.post("posts", local).await.expect(StatusCode::CREATED);
    assert_eq!(scheduled.at("/data/scheduledAt"), &json!(format!("{year}-07-01T07:00:00Z")));
    assert_eq!(scheduled.at("/data/timezone"), "Europe/Berlin");
}

#[tokio::test]
async fn channels_tags_and_queries_that_are_not_right_are_refused_by_field() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let rename = format!("integrations/{channel}");
    let group = format!("integrations/{channel}/group");
    let bluesky = json!({"platform": "bluesky", "credentials": {"identifier": "ada.test"}});
    for (method, path, body, field) in [
        (Method::POST, "integrations/connect", json!({"platform": "myspace"}), "platform"),
        (Method::POST, "integrations/connect", json!({"platform": "feed", "name": " "}), "name"),
        (Method::POST, "integrations/connect", json!({}), "platform"),
        (
            Method::POST,
            "integrations/connect",
            json!({"platform": "feed", "credentials": {"password": "x"}}),
            "credentials.password",
        ),
        (Method::POST, "integrations/connect", bluesky, "credentials.password"),
        (Method::PUT, &rename, json!({"name": "x".repeat(121)}), "name"),
        (Method::PUT, &group, json!({"group": ""}), "group"),
        (Method::PUT, &group, json!({"customer": "a\nb"}), "customer"),
        (Method::POST, "posts/tags", json!({"name": ""}), "name"),
        (Method::POST, "posts/tags", json!({"name": "x", "color": "red"}), "color"),
    ] {
        let answer = Api::send(api.request(method, path).json(&body)).await;
        answer.expect_field(StatusCode::BAD_REQUEST, field);
    }
    for (query, field) in [
        ("posts?status=lost", "status"),
        ("posts?startDate=soon", "startDate"),
        ("posts?timezone=Mars", "timezone"),
        ("posts?perPage=1000", "perPage"),
        ("posts?page=0", "page"),
        ("posts?channel=x", "channel"),
        ("posts?nonsense=1", "nonsense"),
        ("activity?cursor=x", "cursor"),
        ("activity?limit=0", "limit"),
        ("activity?from=never", "from"),
        ("analytics/overview?startDate=2026-05-02&endDate=2026-05-01", "endDate"),
        ("analytics/overview?startDate=2020-01-01&endDate=2026-05-01", "endDate"),
        ("analytics/engagement?startDate=soon", "startDate"),
        ("analytics/engagement?startDate=2026-05-02&endDate=2026-05-01", "endDate"),
        ("analytics/engagement?startDate=2025-05-01&endDate=2026-05-02", "endDate"),
        ("analytics/engagement?granularity=hour", "granularity"),
        ("analytics/engagement?timezone=Mars", "timezone"),
        ("analytics/engagement?integration=x", "integration"),
        ("analytics/engagement?nonsense=1", "nonsense"),
        ("analytics/posts?sort=loudness", "sort"),
        ("analytics/posts?order=up", "order"),
        ("analytics/posts?page=0", "page"),
        ("analytics/posts?perPage=101", "perPage"),
        ("analytics/posts?granularity=day", "granularity"),
    ] {
        api.get(query).await.expect_field(StatusCode::BAD_REQUEST, field);
    }
    let tag = json!({"name": "Launch", "color": "#ff8800"});
    api.post("posts/tags", tag.clone()).await.expect(StatusCode::CREATED);
    let taken = api.post("posts/tags", tag).await.expect(StatusCode::CONFLICT);
    assert_eq!(taken.at("/code"), "TAG_NAME_TAKEN");
    let private = json!({
        "platform": "bluesky",
        "credentials": {"service": "http://169.254.1.1", "identifier": "ada", "password": "p"},
    });
    let refused = api.post("integrations/connect", private).await;
    refused.expect_field(StatusCode::BAD_REQUEST, "credentials");
}
