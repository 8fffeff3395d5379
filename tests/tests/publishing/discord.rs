//! Discord through the whole server, with a stub of its documented contract: there is none to run here.

use annals_tests::{Api, Server, Settings, StatusCode, eventually};
use serde_json::{Value, json};

use crate::{
    discord_stub::{BOT_TOKEN, Discord, Verdict, WEBHOOK},
    support::{PATIENCE, in_seconds, later, now, until, write},
};

const CREATE: &str = "POST /channels/555/messages";
const EXECUTE: &str = "POST /webhooks/42/hook-token";

async fn started(discord: &Discord) -> (Server, Api) {
    let settings = Settings::default().variable("ANNALS_PLATFORMS_DISCORD_URL", &discord.url);
    let server = Server::start_with(settings).await;
    let api = server.api().register("Ada").await.api;
    (server, api)
}

fn bot() -> Value {
    json!({"platform": "discord", "credentials": {"botToken": BOT_TOKEN, "channelId": "555"}})
}

fn webhook(discord: &Discord) -> Value {
    let url = format!("{}{WEBHOOK}", discord.url);
    json!({"platform": "discord", "credentials": {"webhookUrl": url}})
}

async fn connect(api: &Api, body: Value) -> String {
    api.post("integrations/connect", body).await.expect(StatusCode::CREATED).text_at("/data/id")
}

#[tokio::test]
async fn a_scheduled_thread_stands_in_the_channel_once_although_an_answer_was_lost_and_another_was_no() {
    let discord = Discord::start(|call, count| match (call, count) {
        (CREATE, 1) => Verdict::Answer(429, "", r#"{"message":"limited","retry_after":0.3,"global":false}"#),
        (CREATE, 2) => Verdict::ActAndLoseAnswer,
        _ => Verdict::Act,
    })
    .await;
    let (server, api) = started(&discord).await;
    let connected = api.post("integrations/connect", bot()).await.expect(StatusCode::CREATED);
    let channel = connected.text_at("/data/id");
    assert_eq!(connected.at("/data/name"), "#news");
    assert!(!connected.text.contains(BOT_TOKEN), "{}", connected.text);
    let twice = api.post("integrations/connect", bot()).await;
    assert_eq!(twice.expect(StatusCode::CONFLICT).at("/code"), "CHANNEL_ALREADY_CONNECTED");
    let long = later(&"x".repeat(2_001), &[&channel], &in_seconds(3_600));
    api.post("posts", long).await.expect_field(StatusCode::BAD_REQUEST, "content");

    let mut body = later("Hello from Annals", &[&channel], &in_seconds(2));
    body["thread"] = json!(["and a second part"]);
    let post = write(&api, body).await;
    let published = until(&api, &post, "published").await;
    let standing = discord.messages().await;
    assert_eq!(standing.len(), 2, "{standing:?}");
    assert_eq!(published.at("/data/integrations/0/remoteId"), &standing[0]["id"]);
    assert_eq!(standing[1]["message_reference"]["message_id"], standing[0]["id"]);
    assert!(discord.count("GET /channels/555/messages").await >= 1, "it was looked for, not sent again");

    for path in ["activity".to_string(), format!("posts/{post}/history"), format!("integrations/{channel}")] {
        let answer = api.get(&path).await.expect(StatusCode::OK);
        assert!(!answer.text.contains(BOT_TOKEN), "{path} tells a secret");
    }
    assert!(!server.log().contains(BOT_TOKEN), "nor does the log");
    let shown: i64 =
        sqlx::query_scalar("SELECT count(*) FROM events WHERE payload::text LIKE '%' || $1 || '%'")
            .bind(BOT_TOKEN)
            .fetch_one(&server.database().expect("has one").pool)
            .await
            .expect("the log can be read");
    assert_eq!(shown, 0, "the token is sealed in the log");

    let stranger = server.api().register("Eve").await.api;
    stranger.get(&format!("integrations/{channel}")).await.expect(StatusCode::NOT_FOUND);
    let theirs = later("not mine", &[&channel], &in_seconds(3_600));
    stranger.post("posts", theirs).await.expect_field(StatusCode::BAD_REQUEST, "integrations[0].id");
    api.delete(&format!("integrations/{channel}")).await.expect(StatusCode::OK);
    assert_ne!(connect(&api, bot()).await, channel);
}

#[tokio::test]
async fn what_a_webhook_lost_is_left_to_a_person_who_has_to_accept_that_it_may_double() {
    let discord = Discord::start(|call, count| match (call, count) {
        (EXECUTE, 1) => Verdict::ActAndLoseAnswer,
        _ => Verdict::Act,
    })
    .await;
    let (_server, api) = started(&discord).await;
    let channel = connect(&api, webhook(&discord)).await;
    let post = write(&api, now("through a webhook", &[&channel])).await;
    let unknown = until(&api, &post, "failed").await;
    assert_eq!(unknown.at("/data/integrations/0/status"), "unknown");
    assert!(!unknown.text.contains("hook-token"), "{}", unknown.text);
    let retry = format!("posts/{post}/retry");
    let refused = api.post(&retry, json!({})).await.expect(StatusCode::CONFLICT);
    assert!(refused.text.contains("confirmMayDouble"), "{}", refused.text);
    assert_eq!(discord.count(EXECUTE).await, 1, "nothing was sent again by itself");
    api.post(&retry, json!({"confirmMayDouble": true})).await.expect(StatusCode::OK);
    until(&api, &post, "published").await;
    assert_eq!(discord.messages().await.len(), 2, "as was accepted");
}

#[tokio::test]
async fn a_webhook_that_is_gone_holds_its_posts_until_it_is_connected_again_and_bad_input_is_named() {
    let discord = Discord::start(|call, count| match (call, count) {
        (EXECUTE, 1) => Verdict::Answer(404, "", r#"{"message":"Unknown Webhook","code":10015}"#),
        _ => Verdict::Act,
    })
    .await;
    let (_server, api) = started(&discord).await;
    let channel = connect(&api, webhook(&discord)).await;
    let post = write(&api, now("into the void", &[&channel])).await;
    eventually("the channel is lost", PATIENCE, || async {
        let shown = api.get(&format!("integrations/{channel}")).await.expect(StatusCode::OK);
        (shown.at("/data/status") == "expired").then_some(())
    })
    .await;
    assert_eq!(connect(&api, webhook(&discord)).await, channel, "it is the same channel again");
    until(&api, &post, "published").await;
    assert_eq!(discord.messages().await.len(), 1);

    let refused = async |credentials: Value, field: &str| {
        let body = json!({"platform": "discord", "credentials": credentials});
        api.post("integrations/connect", body).await.expect_field(StatusCode::BAD_REQUEST, field);
    };
    refused(json!({}), "credentials.webhookUrl").await;
    refused(json!({"webhookUrl": "https://example.org/x"}), "credentials.webhookUrl").await;
    refused(json!({"botToken": BOT_TOKEN}), "credentials.channelId").await;
    refused(json!({"botToken": "wrong", "channelId": "555"}), "credentials.botToken").await;
    refused(json!({"botToken": BOT_TOKEN, "channelId": "557"}), "credentials.channelId").await;
    refused(json!({"token": "x"}), "credentials.token").await;
}
