//! What the server's documented failures and lost answers mean, with the server behind a proxy.

use std::time::Duration;

use annals_commands::ports::social::{FailureClass, Lookup, SocialProvider};
use serde_json::json;

use crate::{
    proxy::{Proxy, Verdict},
    server::{channel, handle, mastodon, post, server},
};

const STATUSES: &str = "/api/v1/statuses";

#[tokio::test]
async fn a_lost_answer_is_unknown_then_found_and_repeating_it_does_not_double() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let lossy = Proxy::start(&server.url, |call| match (call.method, call.count) {
        (STATUSES, 1) => Verdict::LoseAnswer,
        _ => Verdict::Forward,
    })
    .await;
    let mut channel = channel(&server, &account).await;
    channel.credentials["server"] = json!(lossy.url);
    let (handle, one) = (handle(&channel), post(&["one"]));
    let error = mastodon().publish(&channel, handle, &one).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    let found = mastodon().find(&channel, handle, &one).await.unwrap();
    let again = mastodon().publish(&channel, handle, &one).await.unwrap();
    assert_eq!(found, Lookup::Found(again));
    assert_eq!(server.statuses(&account).await.len(), 1);
    assert_eq!(lossy.seen().iter().filter(|path| *path == STATUSES).count(), 2, "none was sent unasked");
}

#[tokio::test]
async fn a_thread_that_breaks_off_is_unknown_and_completed_by_repeating_it() {
    let Some(server) = server() else { return };
    for second in [
        Verdict::LoseAnswer,
        Verdict::Answer(429, r#"{"error":"Too many requests"}"#),
        Verdict::Answer(502, "<html>"),
        Verdict::Answer(200, "not JSON"),
    ] {
        let account = server.account().await;
        let broken = Proxy::start(&server.url, move |call| match (call.method, call.count) {
            (STATUSES, 2) => second,
            _ => Verdict::Forward,
        })
        .await;
        let mut channel = channel(&server, &account).await;
        channel.credentials["server"] = json!(broken.url);
        let (handle, thread) = (handle(&channel), post(&["one", "two", "three"]));
        let error = mastodon().publish(&channel, handle, &thread).await.unwrap_err();
        assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
        assert_eq!(mastodon().find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound);
        let published = mastodon().publish(&channel, handle, &thread).await.unwrap();
        assert_eq!(mastodon().find(&channel, handle, &thread).await.unwrap(), Lookup::Found(published));
        assert_eq!(server.statuses(&account).await.len(), 3);
    }
}

#[tokio::test]
async fn a_thread_of_which_a_part_is_refused_is_taken_back() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let strict = Proxy::start(&server.url, |call| match (call.method, call.count) {
        (STATUSES, 3) => Verdict::Answer(422, r#"{"error":"Validation failed: Text is not allowed here"}"#),
        _ => Verdict::Forward,
    })
    .await;
    let mut channel = channel(&server, &account).await;
    channel.credentials["server"] = json!(strict.url);
    let thread = post(&["one", "two", "three"]);
    let error = mastodon().publish(&channel, handle(&channel), &thread).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent, "{error}");
    assert!(error.message.ends_with("answered 422: Validation failed: Text is not allowed here"), "{error}");
    assert_eq!(server.statuses(&account).await.len(), 0);
}

#[tokio::test]
async fn each_documented_error_has_its_class() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let mut channel = channel(&server, &account).await;
    for (status, body, class) in [
        (401, r#"{"error":"The access token is invalid"}"#, FailureClass::Disconnected),
        (403, r#"{"error":"Your login is currently disabled"}"#, FailureClass::Disconnected),
        (404, r#"{"error":"Record not found"}"#, FailureClass::BadContent),
        (422, r#"{"error":"Validation failed: Text can't be blank"}"#, FailureClass::BadContent),
        (429, r#"{"error":"Too many requests"}"#, FailureClass::Retry),
        (500, r#"{"error":"An unexpected error occurred"}"#, FailureClass::OutcomeUnknown),
        (503, r#"{"error":"Remote data could not be fetched"}"#, FailureClass::OutcomeUnknown),
    ] {
        let refusing = Proxy::start(&server.url, move |_| Verdict::Answer(status, body)).await;
        channel.credentials["server"] = json!(refusing.url);
        let error = mastodon().publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
        assert_eq!(error.class, class, "{status}: {error}");
    }
    assert_eq!(server.statuses(&account).await.len(), 0);
}

#[tokio::test]
async fn a_revoked_token_is_a_lost_account_and_a_rate_limit_says_when_to_come_back() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let channel = channel(&server, &account).await;
    server.revoke(channel.credentials["access_token"].as_str().unwrap()).await;
    let error = mastodon().publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Disconnected, "{error}");

    let headers = [("x-ratelimit-reset", "2026-03-02T09:05:00.000Z")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let now = "2026-03-02T09:00:00Z".parse().unwrap();
    let wait = annals_adapters::net::retry_after(&headers.into_iter().collect(), now);
    assert_eq!(wait, Some(Duration::from_secs(300)));
}
