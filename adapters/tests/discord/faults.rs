//! What the documented failures and lost answers mean.

use std::time::Duration;

use annals_commands::ports::social::{FailureClass, Lookup, Published, SocialProvider};

use crate::{
    stub::{Discord, Verdict},
    support::{bot, handle, post, provider, webhook},
};

const CREATE: &str = "POST /channels/555/messages";
const EXECUTE: &str = "POST /webhooks/42/hook-token";

#[tokio::test]
async fn a_bots_lost_answer_is_unknown_then_found_and_repeating_it_does_not_double() {
    let discord = Discord::start(|call, count| match (call, count) {
        (CREATE, 1) => Verdict::ActAndLoseAnswer,
        _ => Verdict::Act,
    })
    .await;
    let (provider, channel) = (provider(&discord), bot(&discord).await);
    let (handle, one) = (handle(&channel), post(&["one"]));
    let error = provider.publish(&channel, handle, &one).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    let found = provider.find(&channel, handle, &one).await.unwrap();
    let again = provider.publish(&channel, handle, &one).await.unwrap();
    assert_eq!(found, Lookup::Found(again));
    assert_eq!(discord.messages().await.len(), 1);
    assert_eq!(discord.count(CREATE).await, 2, "none was sent unasked");
}

#[tokio::test]
async fn a_webhooks_lost_answer_is_unknown_and_nobody_can_tell() {
    let discord = Discord::start(|call, _| match call {
        EXECUTE => Verdict::ActAndLoseAnswer,
        _ => Verdict::Act,
    })
    .await;
    let (provider, channel) = (provider(&discord), webhook(&discord).await);
    let (handle, one) = (handle(&channel), post(&["one"]));
    let error = provider.publish(&channel, handle, &one).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    assert_eq!(provider.find(&channel, handle, &one).await.unwrap(), Lookup::CannotTell);
    assert!(!error.to_string().contains("hook-token"), "{error}");
}

#[tokio::test]
async fn each_documented_error_has_its_class() {
    use FailureClass::{BadContent, Disconnected, OutcomeUnknown, Retry};
    for (status, body, class) in [
        (404, r#"{"message":"Unknown Channel","code":10003}"#, Disconnected),
        (404, r#"{"message":"Unknown Guild","code":10004}"#, Disconnected),
        (404, r#"{"message":"Unknown Message","code":10008}"#, BadContent),
        (404, r#"{"message":"Unknown Webhook","code":10015}"#, Disconnected),
        (429, r#"{"message":"Slowmode","code":20016,"retry_after":3}"#, Retry),
        (400, r#"{"message":"The write action you are performing has hit the limit","code":20028}"#, Retry),
        (401, r#"{"message":"Unauthorized","code":40001}"#, Disconnected),
        (401, r#"{"message":"401: Unauthorized","code":0}"#, Disconnected),
        (413, r#"{"message":"Request entity too large","code":40005}"#, BadContent),
        (403, r#"{"message":"Missing Access","code":50001}"#, Disconnected),
        (400, r#"{"message":"Cannot send an empty message","code":50006}"#, BadContent),
        (400, r#"{"message":"Cannot send messages in a non-text channel","code":50008}"#, Disconnected),
        (403, r#"{"message":"Missing Permissions","code":50013}"#, Disconnected),
        (401, r#"{"message":"Invalid Webhook Token","code":50027}"#, Disconnected),
        (400, r#"{"message":"Invalid Form Body","code":50035}"#, BadContent),
        (400, r#"{"message":"Thread is archived","code":50083}"#, Disconnected),
        (400, r#"{"message":"API resource is currently overloaded","code":130000}"#, Retry),
        (400, r#"{"message":"Message was blocked by automatic moderation","code":200000}"#, BadContent),
        (400, r#"{"message":"Message blocked by harmful links filter","code":240000}"#, BadContent),
        (400, r#"{"message":"something new","code":999999}"#, BadContent),
        (500, r#"{"message":"Internal Server Error","code":0}"#, OutcomeUnknown),
        (502, "<html>", OutcomeUnknown),
        (200, "not JSON", OutcomeUnknown),
        (200, r#"{"no":"message"}"#, OutcomeUnknown),
    ] {
        let discord = Discord::start(move |call, _| match call {
            CREATE | EXECUTE => Verdict::Answer(status, "", body),
            _ => Verdict::Act,
        })
        .await;
        let provider = provider(&discord);
        for channel in [bot(&discord).await, webhook(&discord).await] {
            let error = provider.publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
            assert_eq!(error.class, class, "{status} {body}: {error}");
        }
    }
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back_in_the_body_or_the_header() {
    for (headers, body, wait) in [
        ("", r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#, 64.57),
        ("retry-after: 65\r\n", r#"{"message":"limited","retry_after":64.57,"global":true}"#, 65.0),
        ("retry-after: 120\r\n", "error code: 1015", 120.0),
        ("", r#"{"message":"limited","retry_after":1e300}"#, 86_400.0),
    ] {
        let discord = Discord::start(move |call, _| match call {
            CREATE => Verdict::Answer(429, headers, body),
            _ => Verdict::Act,
        })
        .await;
        let channel = bot(&discord).await;
        let error = provider(&discord).publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Retry, "{error}");
        assert_eq!(error.retry_after, Some(Duration::from_secs_f64(wait)), "{body}");
    }
}

#[tokio::test]
async fn an_answer_to_a_message_that_is_gone_is_told_in_discords_words() {
    let discord = Discord::start(|_, _| Verdict::Act).await;
    let (provider, channel) = (provider(&discord), bot(&discord).await);
    let mut thread = post(&["gone", "two"]);
    thread.standing.push(Published { remote_id: "1".to_string(), url: None });
    let error = provider.publish(&channel, handle(&channel), &thread).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent);
    assert!(error.message.ends_with("answered 400: Invalid Form Body: Unknown message"), "{error}");
}

#[tokio::test]
async fn a_thread_that_breaks_off_is_unknown_and_completed_by_repeating_it() {
    let discord = Discord::start(|call, count| match (call, count) {
        (CREATE, 2) => Verdict::Answer(400, "", r#"{"message":"Invalid Form Body","code":50035}"#),
        _ => Verdict::Act,
    })
    .await;
    let (provider, channel) = (provider(&discord), bot(&discord).await);
    let (handle, thread) = (handle(&channel), post(&["one", "two"]));
    let error = provider.publish(&channel, handle, &thread).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    assert!(error.message.starts_with("only 1 of the thread's parts stand"), "{error}");
    assert_eq!(provider.find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound);
    let published = provider.publish(&channel, handle, &thread).await.unwrap();
    assert_eq!(provider.find(&channel, handle, &thread).await.unwrap(), Lookup::Found(published));
    assert_eq!(discord.messages().await.len(), 2);
}
