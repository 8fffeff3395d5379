//! The README's ten minutes: register, connect a channel, schedule a post, see it published.

use std::time::Duration;

use annals_tests::{Server, StatusCode, eventually};
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::json;

#[tokio::test]
async fn a_newcomer_sees_a_scheduled_post_published_at_its_time() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let me = ada.api.get("auth/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/data/user/email"), &json!(ada.email));

    let connected = ada
        .api
        .post("integrations/connect", json!({"platform": "feed", "name": "News of the week"}))
        .await
        .expect(StatusCode::CREATED);
    let channel = connected.text_at("/data/id");

    let at = (Utc::now() + TimeDelta::seconds(4)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let request = json!({
        "content": "Hello from Annals", "type": "schedule", "scheduledAt": at,
        "integrations": [{"id": channel}],
    });
    let keyed = ada.api.with_header("Idempotency-Key", "first-post");
    let first = keyed.post("posts", request.clone()).await.expect(StatusCode::CREATED);
    let again = keyed.post("posts", request.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(first.at("/data/id"), again.at("/data/id"), "the same key has its effect once");
    let mut other = request;
    other["content"] = json!("Something else");
    keyed.post("posts", other).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let post = first.text_at("/data/id");
    let scheduled = ada.api.get(&format!("posts/{post}")).await.expect(StatusCode::OK);
    assert_eq!(scheduled.at("/data/status"), &json!("scheduled"));

    let published = eventually("the post is published", Duration::from_secs(30), || async {
        let answer = ada.api.get(&format!("posts/{post}")).await.expect(StatusCode::OK);
        (answer.at("/data/status") == &json!("published")).then_some(answer)
    })
    .await;
    assert!(Utc::now() >= chrono::DateTime::parse_from_rfc3339(&at).expect("the time was made here"));
    drop(published);

    let atom = server.api().get(&format!("/feeds/{channel}.atom")).await.expect(StatusCode::OK);
    let feed = feed_rs::parser::parse(atom.text.as_bytes()).expect("a feed reader reads it");
    assert_eq!(feed.entries.len(), 1);

    let history = ada.api.get(&format!("posts/{post}/history")).await.expect(StatusCode::OK);
    assert!(history.text.contains("published"), "{}", history.text);
    let activity = ada.api.get("activity").await.expect(StatusCode::OK);
    assert!(activity.at("/data").as_array().is_some_and(|events| events.len() >= 4), "{}", activity.text);
}
