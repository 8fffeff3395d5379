//! What refusals and lost answers mean.

use annals_commands::ports::social::{FailureClass, Lookup, SocialProvider};
use serde_json::{Value, json};

use crate::{
    relay::{Author, handle, nostr, notes, post, relay},
    stub::{Stub, Verdict, answering, end_of, ok},
};

#[tokio::test]
async fn each_documented_refusal_has_its_class() {
    for (reason, class) in [
        ("blocked: you are banned from posting here", FailureClass::Disconnected),
        ("restricted: you can not write events of others", FailureClass::Disconnected),
        ("auth-required: do tell who you are", FailureClass::Disconnected),
        ("invalid: the note is too long", FailureClass::BadContent),
        ("pow: difficulty 26 is less than 30", FailureClass::BadContent),
        ("rate-limited: slow down", FailureClass::Retry),
        ("error: the database is away", FailureClass::Retry),
    ] {
        let refusing = answering(move |_, _| (false, reason.to_string())).await;
        let channel = Author::new().channel(&refusing.url).await;
        let error = nostr().publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
        assert_eq!(error.class, class, "{reason}: {error}");
        let tries = if class == FailureClass::Retry { 3 } else { 1 };
        assert_eq!(refusing.heard("EVENT").len(), tries, "{reason}");
    }
    let twice = answering(|_, _| (false, "duplicate: already have this event".to_string())).await;
    let channel = Author::new().channel(&twice.url).await;
    nostr().publish(&channel, handle(&channel), &post(&["x"])).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_unknown_then_found_and_repeating_it_does_not_double() {
    let Some(relay) = relay() else { return };
    let author = Author::new();
    let lossy = Stub::start(Some(&relay), |message, count| match message[0].as_str() {
        Some("EVENT") if count <= 3 => Verdict::LoseAnswer,
        _ => Verdict::Forward,
    })
    .await;
    let channel = author.channel(&lossy.url).await;
    let (handle, one) = (handle(&channel), post(&["one"]));
    let error = nostr().publish(&channel, handle, &one).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    let found = nostr().find(&channel, handle, &one).await.unwrap();
    let again = nostr().publish(&channel, handle, &one).await.unwrap();
    assert_eq!(found, Lookup::Found(again));
    assert_eq!(notes(&relay, &author).await.len(), 1);
}

#[tokio::test]
async fn garbage_and_silence_are_unknown_within_the_time_of_a_call() {
    let garbage = Stub::start(None, |message, _| match message[0].as_str() {
        Some("EVENT") => Verdict::Say(
            (0..600).map(|n| format!("[\"NOTICE\",\"{n}\"]")).chain([ok(message, true, "")]).collect(),
        ),
        _ => Verdict::Say(vec![end_of(message)]),
    })
    .await;
    let channel = Author::new().channel(&garbage.url).await;
    let error = nostr().publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    assert!(error.message.ends_with("does not answer as a Nostr relay does"), "{error}");

    let mute = Stub::start(None, |message, _| match message[0].as_str() {
        Some("EVENT") => Verdict::Silence,
        _ => Verdict::Say(vec![end_of(message)]),
    })
    .await;
    let channel = Author::new().channel(&mute.url).await;
    let started = std::time::Instant::now();
    let error = nostr().publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
    assert_eq!(error.class, FailureClass::OutcomeUnknown, "{error}");
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert!(!mute.heard("EVENT").is_empty());
}

#[tokio::test]
async fn a_relay_that_can_not_be_asked_is_not_one_that_has_nothing() {
    let broken = Stub::start(None, |message, count| match (message[0].as_str(), count) {
        // It says who the key is, and nothing after that.
        (Some("REQ"), 1) => Verdict::Say(vec![end_of(message)]),
        (Some("REQ"), _) => {
            Verdict::Say(vec![json!(["CLOSED", message[1], "error: shutting down"]).to_string()])
        }
        _ => Verdict::Silence,
    })
    .await;
    let channel = Author::new().channel(&broken.url).await;
    let error = nostr().find(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Retry, "{error}");
    assert!(error.message.ends_with("shutting down"), "{error}");
}

#[tokio::test]
async fn a_relay_that_wants_to_know_is_told_who_we_are() {
    let strict = Stub::start(None, |message, count| match message[0].as_str() {
        Some("EVENT") if count == 1 => Verdict::Say(vec![
            json!(["AUTH", "a challenge"]).to_string(),
            ok(message, false, "auth-required: members only"),
        ]),
        Some("EVENT" | "AUTH") => Verdict::Say(vec![ok(message, true, "")]),
        _ => Verdict::Say(vec![end_of(message)]),
    })
    .await;
    let author = Author::new();
    let channel = author.channel(&strict.url).await;
    nostr().publish(&channel, handle(&channel), &post(&["x"])).await.unwrap();
    let introduced = strict.heard("AUTH");
    assert_eq!(introduced.len(), 1);
    let event = &introduced[0][1];
    assert_eq!((event["kind"].as_u64(), &event["pubkey"]), (Some(22_242), &Value::from(author.public_key())));
    assert_eq!(event["tags"], json!([["relay", format!("{}/", strict.url)], ["challenge", "a challenge"]]));
    assert_eq!(strict.heard("EVENT").len(), 2);
}

#[tokio::test]
async fn credentials_that_are_incomplete_are_a_channel_to_connect_again() {
    let relay = answering(|_, _| (true, String::new())).await;
    let mut channel = Author::new().channel(&relay.url).await;
    channel.credentials["privateKey"] = json!("gone");
    let error = nostr().publish(&channel, handle(&channel), &post(&["x"])).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Disconnected, "{error}");
}
