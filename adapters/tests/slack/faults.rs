//! What the documented failures and lost answers mean, with the workspace behind a proxy.

use annals_commands::ports::social::{FailureClass, Lookup, SocialProvider};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    proxy::{Proxy, Verdict},
    workspace::{bots_channel, channel_of, connect, handle, post, slack, workspace},
};

const POST: &str = "/api/chat.postMessage";

#[tokio::test]
async fn a_bots_lost_answer_is_unknown_then_found() {
    let Some(workspace) = workspace() else { return };
    let (channel, token, id) = bots_channel(&workspace).await;
    let lossy = Proxy::start(&workspace.url, |call| match (call.method, call.count) {
        (POST, 1) => Verdict::LoseAnswer,
        _ => Verdict::Forward,
    })
    .await;
    let slack = slack(&lossy.url);
    let (handle, one) = (handle(&channel), post(&["one"]));
    let error = slack.publish(&channel, handle, &one).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    assert!(matches!(slack.find(&channel, handle, &one).await.unwrap(), Lookup::Found(_)));
    assert_eq!(workspace.messages(&token, &id).await.len(), 1);
    assert_eq!(lossy.seen().iter().filter(|path| *path == POST).count(), 1, "none was sent unasked");
}

#[tokio::test]
async fn each_documented_error_has_its_class() {
    use FailureClass::{BadContent, Disconnected, OutcomeUnknown, RefreshToken, Retry};
    let Some(workspace) = workspace() else { return };
    let (channel, token, id) = bots_channel(&workspace).await;
    for (status, body, class) in [
        (200, r#"{"ok":false,"error":"invalid_auth"}"#, Disconnected),
        (200, r#"{"ok":false,"error":"account_inactive"}"#, Disconnected),
        (200, r#"{"ok":false,"error":"token_revoked"}"#, Disconnected),
        (200, r#"{"ok":false,"error":"token_expired"}"#, RefreshToken),
        (200, r#"{"ok":false,"error":"missing_scope","needed":"chat:write"}"#, Disconnected),
        (200, r#"{"ok":false,"error":"not_in_channel"}"#, Disconnected),
        (200, r#"{"ok":false,"error":"channel_not_found"}"#, Disconnected),
        (200, r#"{"ok":false,"error":"is_archived"}"#, Disconnected),
        (200, r#"{"ok":false,"error":"restricted_action"}"#, Disconnected),
        (200, r#"{"ok":false,"error":"msg_too_long"}"#, BadContent),
        (200, r#"{"ok":false,"error":"no_text"}"#, BadContent),
        (200, r#"{"ok":false,"error":"cannot_reply_to_message"}"#, BadContent),
        (200, r#"{"ok":false,"error":"something_new"}"#, BadContent),
        (200, r#"{"ok":false,"error":"ratelimited"}"#, Retry),
        (200, r#"{"ok":false,"error":"message_limit_exceeded"}"#, Retry),
        (200, r#"{"ok":false,"error":"request_timeout"}"#, Retry),
        (200, r#"{"ok":false,"error":"service_unavailable"}"#, Retry),
        (200, r#"{"ok":false,"error":"internal_error"}"#, OutcomeUnknown),
        (200, r#"{"ok":false,"error":"fatal_error"}"#, OutcomeUnknown),
        (200, r#"{"ok":true}"#, OutcomeUnknown),
        (200, r#"{"neither":1}"#, OutcomeUnknown),
        (200, "not JSON", OutcomeUnknown),
        (429, "", Retry),
        (500, "<html>", OutcomeUnknown),
        (503, "", OutcomeUnknown),
    ] {
        let refusing = Proxy::start(&workspace.url, move |_| Verdict::Answer(status, body)).await;
        let one = post(&["x"]);
        let error = slack(&refusing.url).publish(&channel, handle(&channel), &one).await.unwrap_err();
        assert_eq!(error.class, class, "{status} {body}: {error}");
        assert!(!error.message.contains(&token), "{error}");
    }
    assert_eq!(workspace.messages(&token, &id).await.len(), 0);
}

#[tokio::test]
async fn each_error_of_a_webhook_has_its_class() {
    use FailureClass::{BadContent, Disconnected, OutcomeUnknown, Retry};
    let Some(workspace) = workspace() else { return };
    let hook = "/services/T000000001/B000000001/X000000001";
    let account = connect(&workspace.url, json!({"webhookUrl": format!("{}{hook}", workspace.url)})).await;
    let mut channel = channel_of(account.unwrap());
    for (status, body, class) in [
        (400, "invalid_payload", BadContent),
        (400, "no_text", BadContent),
        (403, "action_prohibited", Disconnected),
        (404, "channel_not_found", Disconnected),
        (404, "no_service", Disconnected),
        (410, "channel_is_archived", Disconnected),
        (429, "rate_limited", Retry),
        (500, "rollup_error", OutcomeUnknown),
        (200, "hello", OutcomeUnknown),
    ] {
        let refusing = Proxy::start(&workspace.url, move |_| Verdict::Answer(status, body)).await;
        channel.credentials["url"] = json!(format!("{}{hook}", refusing.url));
        let one = post(&["x"]);
        let error = slack(&refusing.url).publish(&channel, handle(&channel), &one).await.unwrap_err();
        assert_eq!(error.class, class, "{status} {body}: {error}");
        assert!(!error.message.contains("X000000001"), "{error}");
    }
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() {
    let Some(workspace) = workspace() else { return };
    let (channel, ..) = bots_channel(&workspace).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _read = stream.read(&mut request).await.unwrap();
        let answer = "HTTP/1.1 429 X\r\nretry-after: 30\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let error = slack(&url).publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Retry, "{error}");
    assert_eq!(error.retry_after, Some(std::time::Duration::from_secs(30)));
}

#[tokio::test]
async fn a_bot_that_may_not_read_can_not_tell_and_a_search_that_fails_is_made_again() {
    let Some(workspace) = workspace() else { return };
    let (channel, ..) = bots_channel(&workspace).await;
    for (body, expected) in [
        (r#"{"ok":false,"error":"missing_scope","needed":"channels:history"}"#, Ok(Lookup::CannotTell)),
        (r#"{"ok":false,"error":"not_in_channel"}"#, Ok(Lookup::CannotTell)),
        (r#"{"ok":false,"error":"internal_error"}"#, Err(FailureClass::Retry)),
        ("garbage", Err(FailureClass::Retry)),
    ] {
        let blind = Proxy::start(&workspace.url, move |_| Verdict::Answer(200, body)).await;
        let asked = slack(&blind.url).find(&channel, handle(&channel), &post(&["x"])).await;
        assert_eq!(asked.map_err(|error| error.class), expected, "{body}");
    }
}
