//! Short ways to have somebody told.

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

/// A post that is due in so many seconds.
pub(crate) async fn scheduled(api: &Api, channel: &str, text: &str, seconds: i64) -> String {
    let body = json!({
        "content": text, "type": "schedule", "scheduledAt": in_seconds(seconds),
        "integrations": [{"id": channel}],
    });
    api.post("posts", body).await.expect(StatusCode::CREATED).text_at("/data/id")
}

/// A post that fails, because its channel is off when it is due.
pub(crate) async fn failing(api: &Api, text: &str) -> (String, String) {
    let channel = feed_channel(api, "News").await;
    let post = scheduled(api, &channel, text, 6).await;
    api.post(&format!("integrations/{channel}/disable"), json!({})).await.expect(StatusCode::OK);
    (post, channel)
}

/// The caller's notifications, once there are so many.
pub(crate) async fn told(api: &Api, count: usize) -> Answer {
    eventually(&format!("{count} notifications"), PATIENCE, || async {
        let answer = api.get("notifications").await.expect(StatusCode::OK);
        (rows(&answer).len() >= count).then_some(answer)
    })
    .await
}

pub(crate) fn rows(answer: &Answer) -> Vec<Value> {
    answer.at("/data").as_array().cloned().unwrap_or_default()
}

/// What each is about.
pub(crate) fn kinds(answer: &Answer) -> Vec<String> {
    rows(answer).iter().filter_map(|row| row["kind"].as_str().map(str::to_string)).collect()
}
