//! Bots and webhooks, and what is neither.

use annals_commands::ports::social::{FailureClass, IdempotencyKind, SocialProvider};
use serde_json::json;

use crate::{
    stub::{BOT_TOKEN, Discord, Verdict, WEBHOOK},
    support::{bot, connect, provider, webhook},
};

#[tokio::test]
async fn a_bot_and_a_webhook_are_who_discord_says_and_promise_what_they_can() {
    let discord = Discord::start(|_, _| Verdict::Act).await;
    let account = connect(&discord, json!({"botToken": BOT_TOKEN, "channelId": "555"})).await.unwrap();
    assert_eq!((account.remote_id.as_str(), account.name.as_str()), ("555", "#news"));
    assert_eq!(account.handle.as_deref(), Some("@annals"));
    assert_eq!(account.url, Some(format!("{}/channels/777/555", discord.url)));
    assert_eq!(account.picture.as_deref(), Some("https://cdn.discordapp.com/avatars/900/abc.png"));
    let hook = format!("{}{WEBHOOK}", discord.url);
    let account = connect(&discord, json!({"webhookUrl": hook})).await.unwrap();
    assert_eq!((account.remote_id.as_str(), account.name.as_str()), ("webhook/42", "News hook"));

    let provider = provider(&discord);
    assert_eq!(provider.idempotency(&bot(&discord).await), IdempotencyKind::ByHandle);
    assert_eq!(provider.idempotency(&webhook(&discord).await), IdempotencyKind::None);
    assert_eq!(provider.info().idempotency, IdempotencyKind::None, "the least of them");
}

#[tokio::test]
async fn bad_input_is_named_by_its_field() {
    let discord = Discord::start(|_, _| Verdict::Act).await;
    let hook = format!("{}{WEBHOOK}", discord.url);
    for (fields, field, class) in [
        (json!({}), "webhookUrl", FailureClass::BadContent),
        (json!({"webhookUrl": "https://example.org/hook"}), "webhookUrl", FailureClass::BadContent),
        (json!({"webhookUrl": format!("{hook}x")}), "webhookUrl", FailureClass::Disconnected),
        (json!({"webhookUrl": hook, "botToken": "x"}), "botToken", FailureClass::BadContent),
        (json!({"webhookUrl": hook, "channelId": "555"}), "channelId", FailureClass::BadContent),
        (json!({"botToken": BOT_TOKEN}), "channelId", FailureClass::BadContent),
        (json!({"botToken": BOT_TOKEN, "channelId": "../users/@me"}), "channelId", FailureClass::BadContent),
        (json!({"botToken": "two words", "channelId": "555"}), "botToken", FailureClass::BadContent),
        (json!({"botToken": "wrong", "channelId": "555"}), "botToken", FailureClass::Disconnected),
        (json!({"botToken": BOT_TOKEN, "channelId": "556"}), "channelId", FailureClass::BadContent),
        (json!({"botToken": BOT_TOKEN, "channelId": "557"}), "channelId", FailureClass::Disconnected),
        (json!({"botToken": BOT_TOKEN, "channelId": "558"}), "channelId", FailureClass::Disconnected),
    ] {
        let error = connect(&discord, fields.clone()).await.unwrap_err();
        assert_eq!((error.field, error.class), (Some(field), class), "{fields}: {error}");
        assert!(!error.message.contains("hook-token") && !error.message.contains(BOT_TOKEN), "{error}");
    }
}
