//! The main job with a relay that others wrote, which checks every id and signature.

use annals_tests::{Server, StatusCode, nostr_relay};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};
use uuid::Uuid;

use crate::support::{in_seconds, later, until, write};

/// 64 hexadecimal digits that nobody else has.
fn private_key() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn connect(relays: &str, key: &str) -> Value {
    json!({"platform": "nostr", "credentials": {"privateKey": key, "relays": relays}})
}

/// The notes with these ids that a relay keeps, the oldest first.
async fn notes(relay: &str, ids: &[&str]) -> Vec<Value> {
    let (mut socket, _) = connect_async(relay).await.expect("the relay answers");
    let ask = json!(["REQ", "test", {"ids": ids}]).to_string();
    socket.send(Message::text(ask)).await.expect("the relay listens");
    let mut notes = Vec::new();
    loop {
        let message = socket.next().await.expect("it goes on").expect("it speaks");
        let Message::Text(text) = message else { continue };
        let said: Value = serde_json::from_str(text.as_str()).expect("JSON");
        match said[0].as_str() {
            Some("EVENT") => notes.push(said[2].clone()),
            _ => break,
        }
    }
    notes.sort_by_key(|note| note["created_at"].as_i64());
    notes
}

#[tokio::test]
async fn a_scheduled_thread_stands_on_the_relay_at_its_time_signed_by_its_author() {
    let Some(relay) = nostr_relay("a_scheduled_thread_stands_on_the_relay_at_its_time_signed_by_its_author")
    else {
        return;
    };
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let key = private_key();
    let platforms = api.get("integrations").await.expect(StatusCode::OK);
    let platforms = platforms.at("/data/platforms").as_array().cloned().unwrap_or_default();
    let nostr = platforms.iter().find(|platform| platform["identifier"] == "nostr").expect("is listed");
    let fields: Vec<_> = nostr["connect"]["fields"].as_array().expect("has fields").iter().collect();
    let secret: Vec<_> = fields.iter().map(|field| (&field["name"], &field["secret"])).collect();
    assert_eq!(secret[0], (&json!("privateKey"), &json!(true)), "{secret:?}");

    let relays = format!("{relay} ws://127.0.0.1:1");
    let connected =
        api.post("integrations/connect", connect(&relays, &key)).await.expect(StatusCode::CREATED);
    let channel = connected.text_at("/data/id");
    assert!(connected.text_at("/data/handle").starts_with("npub1"), "{}", connected.text);
    assert!(!connected.text.contains(&key), "{}", connected.text);
    let twice = api.post("integrations/connect", connect(&relays, &key)).await;
    assert_eq!(twice.expect(StatusCode::CONFLICT).at("/code"), "CHANNEL_ALREADY_CONNECTED");

    let long = later(&"x".repeat(5_001), &[&channel], &in_seconds(3_600));
    api.post("posts", long).await.expect_field(StatusCode::BAD_REQUEST, "content");
    let due = in_seconds(3);
    let mut body = later("Hello #nostr from Annals", &[&channel], &due);
    body["thread"] = json!(["and a second part"]);
    let post = write(&api, body).await;
    let published = until(&api, &post, "published").await;
    let first = published.text_at("/data/integrations/0/remoteId");
    assert!(published.text_at("/data/integrations/0/url").starts_with("nostr:note1"));
    let standing = notes(&relay, &[&first]).await;
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0]["content"], "Hello #nostr from Annals");
    let at: chrono::DateTime<chrono::Utc> = due.parse().expect("a time");
    assert_eq!(standing[0]["created_at"], at.timestamp(), "it bears the time it was scheduled for");
    let answers = {
        let (mut socket, _) = connect_async(&relay).await.expect("the relay answers");
        let ask = json!(["REQ", "test", {"#e": [first]}]).to_string();
        socket.send(Message::text(ask)).await.expect("the relay listens");
        let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("the relay says nothing") };
        serde_json::from_str::<Value>(text.as_str()).expect("JSON")
    };
    assert_eq!(answers[2]["content"], "and a second part");
    assert_eq!(answers[2]["pubkey"], standing[0]["pubkey"]);

    for path in ["activity".to_string(), format!("posts/{post}/history"), format!("integrations/{channel}")] {
        let answer = api.get(&path).await.expect(StatusCode::OK);
        assert!(!answer.text.contains(&key), "{path} tells a secret");
    }
    assert!(!server.log().contains(&key), "nor does the log");
    let pool = &server.database().expect("has one").pool;
    let shown: i64 =
        sqlx::query_scalar("SELECT count(*) FROM events WHERE payload::text LIKE '%' || $1 || '%'")
            .bind(&key)
            .fetch_one(pool)
            .await
            .expect("the log can be read");
    assert_eq!(shown, 0, "the key is sealed in the log");

    let stranger = server.api().register("Eve").await.api;
    stranger.get(&format!("integrations/{channel}")).await.expect(StatusCode::NOT_FOUND);
    stranger.delete(&format!("integrations/{channel}")).await.expect(StatusCode::NOT_FOUND);
    let theirs = later("not mine", &[&channel], &in_seconds(3_600));
    stranger.post("posts", theirs).await.expect_field(StatusCode::BAD_REQUEST, "integrations[0].id");
    api.delete(&format!("integrations/{channel}")).await.expect(StatusCode::OK);
    let again = api.post("integrations/connect", connect(&relays, &key)).await;
    assert_ne!(again.expect(StatusCode::CREATED).text_at("/data/id"), channel);
}

#[tokio::test]
async fn keys_and_relays_that_are_none_are_refused_by_name() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let key = private_key();
    let refused = async |credentials: Value, field: &str| {
        let body = json!({"platform": "nostr", "credentials": credentials});
        api.post("integrations/connect", body).await.expect_field(StatusCode::BAD_REQUEST, field);
    };
    refused(json!({"relays": "wss://relay.example"}), "credentials.privateKey").await;
    refused(json!({"privateKey": key}), "credentials.relays").await;
    refused(json!({"privateKey": key, "relays": "wss://r.example", "x": "y"}), "credentials.x").await;
    refused(json!({"privateKey": "nsec1", "relays": "wss://r.example"}), "credentials.privateKey").await;
    refused(json!({"privateKey": key, "relays": "wss://192.168.1.1"}), "credentials.relays").await;
    refused(json!({"privateKey": key, "relays": "http://r.example"}), "credentials.relays").await;
    refused(json!({"privateKey": key, "relays": "ws://127.0.0.1:1", "viewer": "x"}), "credentials.viewer")
        .await;
    let away = json!({"platform": "nostr", "credentials": {"privateKey": key, "relays": "ws://127.0.0.1:1"}});
    let away = api.post("integrations/connect", away).await;
    assert_eq!(away.expect(StatusCode::SERVICE_UNAVAILABLE).at("/code"), "PLATFORM_UNAVAILABLE");
    assert_eq!(api.get("integrations").await.at("/data/connected"), &json!([]));
}
