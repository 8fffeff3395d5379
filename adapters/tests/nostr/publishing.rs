//! What stands on the relay after publishing.

use annals_commands::ports::social::{FailureClass, IdempotencyKind, Lookup, SocialProvider};

use crate::{
    relay::{Author, handle, nostr, notes, post, relay},
    stub::answering,
};

#[tokio::test]
async fn a_thread_hangs_together_and_stands_once_however_often_it_is_published() {
    let Some(relay) = relay() else { return };
    let author = Author::new();
    let channel = author.channel(&relay).await;
    let (handle, thread) =
        (handle(&channel), post(&["one #Annals", "two https://example.com \"\\\n", "three"]));
    assert_eq!(nostr().find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound);
    let first = nostr().publish(&channel, handle, &thread).await.unwrap();
    for _ in 0..3 {
        assert_eq!(nostr().publish(&channel, handle, &thread).await.unwrap(), first);
    }
    assert_eq!(nostr().find(&channel, handle, &thread).await.unwrap(), Lookup::Found(first.clone()));
    let standing = notes(&relay, &author).await;
    let texts: Vec<_> = standing.iter().map(|note| note["content"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one #Annals", "two https://example.com \"\\\n", "three"]);
    assert_eq!(first.remote_id, standing[0]["id"].as_str().unwrap());
    assert!(first.url.unwrap().starts_with("nostr:note1"));
    let answers = |index: usize| {
        let tags = standing[index]["tags"].as_array().unwrap().iter();
        let of: Vec<_> =
            tags.filter(|tag| tag[0] == "e").map(|tag| (tag[1].clone(), tag[3].clone())).collect();
        of
    };
    let (root, second) = (standing[0]["id"].clone(), standing[1]["id"].clone());
    assert_eq!(answers(0), []);
    assert_eq!(answers(1), [(root.clone(), "root".into())]);
    assert_eq!(answers(2), [(root, "root".into()), (second, "reply".into())]);
    assert_eq!(standing[0]["tags"][0], serde_json::json!(["t", "annals"]));
    assert_eq!(standing[0]["created_at"], thread.at.timestamp());
    assert_eq!(nostr().info().idempotency, IdempotencyKind::ByHandle);
}

#[tokio::test]
async fn a_thread_that_goes_out_part_by_part_hangs_together_and_posts_with_one_text_stand_beside_each_other()
{
    let Some(relay) = relay() else { return };
    let author = Author::new();
    let channel = author.channel(&relay).await;
    let (first_handle, mut thread) = (handle(&channel), post(&["again"]));
    for text in ["two", "three"] {
        let stands = nostr().publish(&channel, first_handle, &thread).await.unwrap();
        thread.standing.push(stands);
        thread.parts.push(text.into());
        assert_eq!(nostr().find(&channel, first_handle, &thread).await.unwrap(), Lookup::NotFound);
    }
    let last = nostr().publish(&channel, first_handle, &thread).await.unwrap();
    assert_eq!(nostr().find(&channel, first_handle, &thread).await.unwrap(), Lookup::Found(last));
    let mut other = post(&["again"]);
    other.at = thread.at;
    nostr().publish(&channel, handle(&channel), &other).await.unwrap();
    assert_eq!(notes(&relay, &author).await.len(), 4);
}

#[tokio::test]
async fn one_relay_that_takes_it_is_enough_and_the_others_are_tried_again_meanwhile() {
    let Some(relay) = relay() else { return };
    let author = Author::new();
    let busy = answering(|_, count| match count {
        1 => (false, "rate-limited: slow down".to_string()),
        2 => (false, "error: the database is away".to_string()),
        _ => (true, String::new()),
    })
    .await;
    let closed = answering(|_, _| (false, "blocked: not you".to_string())).await;
    let channel = author.channel(&format!("ws://127.0.0.1:1 {} {} {relay}", busy.url, closed.url)).await;
    let (handle, one) = (handle(&channel), post(&["to many"]));
    let published = nostr().publish(&channel, handle, &one).await.unwrap();
    assert_eq!(notes(&relay, &author).await.len(), 1);
    let sent = busy.heard("EVENT");
    assert_eq!(sent.len(), 3, "tried until it was taken");
    assert!(sent.iter().all(|message| message[1]["id"] == published.remote_id), "the same note each time");
    assert_eq!(closed.heard("EVENT").len(), 1, "who refuses is not asked again");
    // The stubs keep nothing: the relay that does is enough to find it.
    assert_eq!(nostr().find(&channel, handle, &one).await.unwrap(), Lookup::Found(published));
}

#[tokio::test]
async fn a_relays_own_limit_is_told_in_its_words() {
    let Some(relay) = relay() else { return };
    let author = Author::new();
    let channel = author.channel(&relay).await;
    let mut old = post(&["from long ago"]);
    old.at -= chrono::TimeDelta::days(800);
    let error = nostr().publish(&channel, handle(&channel), &old).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent, "{error}");
    assert!(error.message.contains("is too old"), "{error}");
    assert_eq!(notes(&relay, &author).await.len(), 0);
}
