//! Bots, webhooks and an app that is let in, and what is none of them.

use std::collections::HashMap;

use annals_commands::ports::social::{
    AuthorizationGrant, AuthorizationRequest, FailureClass, IdempotencyKind, SocialProvider,
};
use serde_json::json;
use url::Url;

use crate::{
    proxy::{Proxy, Verdict},
    workspace::{REDIRECT, channel_of, connect, slack, workspace},
};

const HOOK: &str = "/services/T000000001/B000000001/X000000001";

#[tokio::test]
async fn a_bot_and_a_webhook_are_who_slack_says_and_promise_what_they_can() {
    let Some(workspace) = workspace() else { return };
    let (token, channel) = workspace.bot().await;
    let account = connect(&workspace.url, json!({"botToken": token, "channel": channel})).await.unwrap();
    assert_eq!(account.remote_id, format!("T000000001/{channel}"));
    assert!(account.name.starts_with("#t"), "{}", account.name);
    assert_eq!(account.handle.as_deref(), Some("@slack-app"));
    assert_eq!(account.url, Some(format!("https://emulate.slack.com/archives/{channel}")));
    let slack = slack(&workspace.url);
    assert_eq!(slack.idempotency(&channel_of(account)), IdempotencyKind::Searchable);

    let hook = json!({"webhookUrl": format!("{}{HOOK}", workspace.url)});
    let account = connect(&workspace.url, hook).await.unwrap();
    assert_eq!(account.remote_id, "webhook/T000000001/B000000001");
    assert_eq!(slack.idempotency(&channel_of(account)), IdempotencyKind::None);
}

#[tokio::test]
async fn a_webhook_that_is_gone_is_told_from_one_that_was_told_nothing() {
    let Some(workspace) = workspace() else { return };
    for (status, word, class) in [
        (404, "no_service", FailureClass::Disconnected),
        (403, "invalid_token", FailureClass::Disconnected),
        (410, "channel_is_archived", FailureClass::Disconnected),
        (500, "rollup_error", FailureClass::OutcomeUnknown),
    ] {
        let gone = Proxy::start(&workspace.url, move |_| Verdict::Answer(status, word)).await;
        let error =
            connect(&gone.url, json!({"webhookUrl": format!("{}{HOOK}", gone.url)})).await.unwrap_err();
        assert_eq!((error.class, error.field), (class, Some("webhookUrl")), "{error}");
        assert!(error.message.ends_with(word) && !error.message.contains("X000000001"), "{error}");
    }
}

#[tokio::test]
async fn bad_input_is_named_by_its_field() {
    let Some(workspace) = workspace() else { return };
    let (token, channel) = workspace.bot().await;
    let hook = format!("{}{HOOK}", workspace.url);
    for (fields, field) in [
        (json!({}), "webhookUrl"),
        (json!({"webhookUrl": "https://hooks.slack.com/services/T1/B1/x"}), "webhookUrl"),
        (json!({"webhookUrl": hook, "botToken": token}), "botToken"),
        (json!({"webhookUrl": hook, "channel": channel}), "channel"),
        (json!({"botToken": token}), "channel"),
        (json!({"botToken": token, "channel": "#general"}), "channel"),
        (json!({"botToken": "two words", "channel": channel}), "botToken"),
        (json!({"botToken": token, "channel": "C404"}), "channel"),
    ] {
        let error = connect(&workspace.url, fields.clone()).await.unwrap_err();
        assert_eq!(error.field, Some(field), "{fields}: {error}");
        assert!(!error.message.contains(&token), "{error}");
    }
    let refused =
        Proxy::start(&workspace.url, |_| Verdict::Answer(200, r#"{"ok":false,"error":"invalid_auth"}"#));
    let refused = refused.await;
    let error = connect(&refused.url, json!({"botToken": token, "channel": channel})).await.unwrap_err();
    assert_eq!((error.class, error.field), (FailureClass::Disconnected, Some("botToken")), "{error}");
}

#[tokio::test]
async fn an_app_is_let_in_for_a_channel_that_was_named_or_chosen_at_slack() {
    let Some(workspace) = workspace() else { return };
    let (_, channel) = workspace.bot().await;
    let redirect_uri: Url = REDIRECT.parse().unwrap();
    let provider = slack(&workspace.url);
    let platform = provider.oauth2().unwrap();
    let request = AuthorizationRequest {
        redirect_uri: redirect_uri.clone(),
        state: "s&s".to_string(),
        code_challenge: "challenge".to_string(),
    };
    let named = platform.prepare(json!({"channel": channel}), &redirect_uri).await.unwrap();
    let url = platform.authorization_url(&named, &request).unwrap();
    assert_eq!(url.path(), "/oauth/v2/authorize");
    let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!((asked["client_id"].as_str(), asked["state"].as_str()), ("annals", "s&s"));
    assert_eq!(asked["redirect_uri"], REDIRECT);
    assert!(!asked["scope"].contains("incoming-webhook") && !url.as_str().contains("secret"), "{url}");
    let grant = async || AuthorizationGrant {
        code: workspace.code().await,
        code_verifier: "v".to_string(),
        redirect_uri: redirect_uri.clone(),
    };
    let account = platform.complete(named, grant().await).await.unwrap();
    assert_eq!(account.remote_id, format!("T000000001/{channel}"));
    assert_eq!(provider.expires_at(&account.credentials), None);

    // emulate asks for no channel; Slack does, and names it.
    let unnamed = platform.prepare(json!({}), &redirect_uri).await.unwrap();
    let url = platform.authorization_url(&unnamed, &request).unwrap();
    assert!(url.as_str().contains("incoming-webhook"), "{url}");
    let error = platform.complete(unnamed.clone(), grant().await).await.unwrap_err();
    assert_eq!(error.field, Some("channel"), "{error}");
    let wrong = AuthorizationGrant { code: "not a code".to_string(), ..grant().await };
    let error = platform.complete(unnamed, wrong).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent, "{error}");
    let error = platform.prepare(json!({"channel": "general"}), &redirect_uri).await.unwrap_err();
    assert_eq!(error.field, Some("channel"), "{error}");
}

#[tokio::test]
async fn tokens_that_rotate_are_refreshed_and_a_used_up_refresh_token_is_a_lost_account() {
    const GRANTED: &str = r#"{"ok":true,"access_token":"xoxe.xoxb-2","refresh_token":"xoxe-2","expires_in":43200,
        "incoming_webhook":{"channel_id":"C000000001","url":"https://hooks.slack.com/x"}}"#;
    let Some(workspace) = workspace() else { return };
    let rotating = Proxy::start(&workspace.url, |call| match (call.method, call.count) {
        ("/api/oauth.v2.access", 1 | 2) => Verdict::Answer(200, GRANTED),
        ("/api/oauth.v2.access", _) => {
            Verdict::Answer(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#)
        }
        _ => Verdict::Forward,
    })
    .await;
    let provider = slack(&rotating.url);
    let redirect_uri: Url = REDIRECT.parse().unwrap();
    let platform = provider.oauth2().unwrap();
    let prepared = platform.prepare(json!({}), &redirect_uri).await.unwrap();
    let grant = AuthorizationGrant { code: "c".to_string(), code_verifier: "v".to_string(), redirect_uri };
    let account = platform.complete(prepared, grant).await.unwrap();
    assert_eq!(account.remote_id, "T000000001/C000000001", "the channel that was chosen at Slack");
    assert!(provider.expires_at(&account.credentials).is_some());
    let mut channel = channel_of(account);
    let fresh = provider.refresh(&channel).await.unwrap();
    assert_eq!(fresh["refresh_token"], "xoxe-2");
    channel.credentials = fresh;
    let error = provider.refresh(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Disconnected, "{error}");
}
