//! Short ways to connect, schedule and wait.

use std::time::Duration;

use annals_tests::{Answer, Api, StatusCode, eventually};
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

/// On a busy machine; nothing waits that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn in_seconds(seconds: i64) -> String {
    (Utc::now() + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) async fn feed_channel(api: &Api, name: &str) -> String {
    let connected = api.post("integrations/connect", json!({"platform": "feed", "name": name})).await;
    connected.expect(StatusCode::CREATED).text_at("/data/id")
}

pub(crate) fn now(content: &str, channels: &[&str]) -> Value {
    json!({"content": content, "type": "now", "integrations": targets(channels)})
}

pub(crate) fn later(content: &str, channels: &[&str], at: &str) -> Value {
    json!({
        "content": content, "type": "schedule", "scheduledAt": at, "integrations": targets(channels),
    })
}

pub(crate) fn draft(content: &str) -> Value {
    json!({"content": content, "type": "draft"})
}

fn targets(channels: &[&str]) -> Vec<Value> {
    channels.iter().map(|id| json!({"id": id})).collect()
}

/// Writes a post and returns its id.
pub(crate) async fn write(api: &Api, body: Value) -> String {
    api.post("posts", body).await.expect(StatusCode::CREATED).text_at("/data/id")
}

/// Waits until the post has the status, and returns it.
pub(crate) async fn until(api: &Api, post: &str, status: &str) -> Answer {
    eventually(&format!("the post is {status}"), PATIENCE, || async {
        let answer = api.get(&format!("posts/{post}")).await;
        (answer.status == StatusCode::OK && answer.at("/data/status") == status).then_some(answer)
    })
    .await
}

/// The ids of a list's rows.
pub(crate) fn ids(answer: &Answer) -> Vec<String> {
    let rows = answer.at("/data").as_array().cloned().unwrap_or_default();
    rows.iter().filter_map(|row| row["id"].as_str().map(str::to_string)).collect()
}

/// The event types of a post's history, without their prefix.
pub(crate) async fn history(api: &Api, post: &str) -> Vec<String> {
    let answer = api.get(&format!("posts/{post}/history")).await.expect(StatusCode::OK);
    let rows = answer.at("/data").as_array().cloned().unwrap_or_default();
    rows.iter()
        .filter_map(|row| row["type"].as_str().map(|name| name.replace("publishing.post.", "")))
        .collect()
}

/// The entries of a channel's feed, as a feed reader that others wrote sees them.
pub(crate) async fn entries(api: &Api, channel: &str) -> Vec<feed_rs::model::Entry> {
    let atom = api.get(&format!("/feeds/{channel}.atom")).await.expect(StatusCode::OK);
    feed_rs::parser::parse(atom.text.as_bytes()).expect("a feed reader reads it").entries
}
