//! Who a key is, and what is not taken for one.

use annals_commands::ports::social::FailureClass;
use serde_json::json;

use crate::{
    relay::{Author, connect, relay, say},
    stub::{Stub, Verdict, end_of},
};

#[tokio::test]
async fn a_key_is_who_its_newest_profile_says() {
    let Some(relay) = relay() else { return };
    let author = Author::new();
    let nobody = author.connect(&relay).await.unwrap();
    assert_eq!(nobody.remote_id, author.public_key());
    assert!(nobody.name.starts_with("npub1") && nobody.name.ends_with('…'), "{}", nobody.name);
    assert!(nobody.url.unwrap().starts_with("nostr:npub1"));
    assert!(!nobody.credentials.to_string().contains("nsec"));

    let now = chrono::Utc::now().timestamp();
    for (age, content) in [
        (100, json!({"name": "old"})),
        (10, json!({"name": "ada", "display_name": " Ada\u{7} L. ", "picture": "https://example.org/a.png"})),
    ] {
        let profile = author.event(0, now - age, &content.to_string());
        let answer = say(&relay, json!(["EVENT", profile]), &["OK"]).await;
        assert_eq!(answer[0][2], true, "{answer:?}");
    }
    let ada = author.connect(&format!("{relay}, {relay}")).await.unwrap();
    assert_eq!(ada.name, "Ada L.");
    assert_eq!(ada.picture.as_deref(), Some("https://example.org/a.png"));
    assert_eq!(ada.credentials["relays"].as_array().unwrap().len(), 1, "named twice is named once");
}

#[tokio::test]
async fn a_profile_that_its_author_did_not_sign_is_nobodys() {
    let author = Author::new();
    let mut forged = author.event(0, 1_700_000_000, r#"{"name":"somebody else"}"#);
    forged["content"] = json!(r#"{"name":"Mallory"}"#);
    let liar = Stub::start(None, move |message, _| {
        let event = json!(["EVENT", message[1], forged]).to_string();
        Verdict::Say(vec!["not JSON".to_string(), "[]".to_string(), event, end_of(message)])
    })
    .await;
    let account = author.connect(&liar.url).await.unwrap();
    assert!(account.name.starts_with("npub1"), "{}", account.name);
}

#[tokio::test]
async fn bad_input_is_named_by_its_field() {
    let quiet = Stub::start(None, |message, _| Verdict::Say(vec![end_of(message)])).await;
    let key = Author::new().private_key();
    let many = (0..11).map(|n| format!("wss://r{n}.example")).collect::<Vec<_>>().join(" ");
    for (fields, field, words) in [
        (json!({"privateKey": "nsec1nonsense", "relays": quiet.url}), "privateKey", "nsec1"),
        (json!({"privateKey": "0".repeat(64), "relays": quiet.url}), "privateKey", "64 hexadecimal digits"),
        (json!({"privateKey": key, "relays": " , "}), "relays", "at least one"),
        (json!({"privateKey": key, "relays": many}), "relays", "at most 10"),
        (json!({"privateKey": key, "relays": "https://relay.example"}), "relays", "wss://"),
        (json!({"privateKey": key, "relays": "ws://relay.example"}), "relays", "wss://"),
        (json!({"privateKey": key, "relays": "wss://10.0.0.1"}), "relays", "private address"),
        (json!({"privateKey": key, "relays": "wss://[::ffff:10.0.0.1]:7000"}), "relays", "private address"),
        (json!({"privateKey": key, "relays": "wss://ada:secret@relay.example"}), "relays", "password"),
        (json!({"privateKey": key, "relays": quiet.url, "viewer": "javascript:alert(1)"}), "viewer", "page"),
    ] {
        let error = connect(fields.clone()).await.unwrap_err();
        assert_eq!(error.field, Some(field), "{fields}: {error}");
        assert_eq!(error.class, FailureClass::BadContent, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(!error.message.contains(&key), "{error}");
    }
    let viewed =
        connect(json!({"privateKey": key, "relays": quiet.url, "viewer": "https://njump.me/"})).await;
    assert!(viewed.unwrap().url.unwrap().starts_with("https://njump.me/npub1"));
}

#[tokio::test]
async fn relays_that_are_none_or_away_are_unavailable_and_one_that_answers_is_enough() {
    let author = Author::new();
    let away = "ws://127.0.0.1:1";
    let error = author.connect(away).await.unwrap_err();
    assert_eq!((error.class, error.field), (FailureClass::Retry, Some("relays")), "{error}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web = format!("ws://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _read = stream.read(&mut request).await;
            let _sent = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        }
    });
    let error = author.connect(&web).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Retry, "{error}");
    let quiet = Stub::start(None, |message, _| Verdict::Say(vec![end_of(message)])).await;
    author.connect(&format!("{away} {web} {}", quiet.url)).await.unwrap();
}
