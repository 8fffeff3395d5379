//! What stands on the PDS after publishing.

use annals_commands::ports::social::{FailureClass, IdempotencyKind, Lookup, SocialProvider, check_settings};
use serde_json::json;

use crate::pds::{GIF, bluesky, channel, gif, gone, handle, pds, post};

#[tokio::test]
async fn a_post_stands_with_its_facets() {
    let Some(pds) = pds() else { return };
    let (account, friend) = (pds.account().await, pds.account().await);
    let channel = channel(&pds.url, &account).await;
    let text = format!("🦀 see https://example.com/x, @{} and @nobody.test #rust", friend.handle);
    let published = bluesky().publish(&channel, handle(&channel), &post(&[&text])).await.unwrap();

    let posts = pds.posts(&account.did).await;
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0]["uri"], published.remote_id);
    assert_eq!(published.url.as_deref(), Some(published.remote_id.as_str()));
    let value = &posts[0]["value"];
    assert_eq!(value["text"], text);
    assert_eq!(value["createdAt"], "2026-03-02T09:00:00.000Z");
    assert_eq!(value.get("reply"), None);
    let facets: Vec<_> = value["facets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|facet| {
            let byte = |name: &str| usize::try_from(facet["index"][name].as_u64().unwrap()).unwrap();
            (&text[byte("byteStart")..byte("byteEnd")], facet["features"][0].clone())
        })
        .collect();
    let mention = format!("@{}", friend.handle);
    assert_eq!(
        facets,
        [
            (
                "https://example.com/x",
                json!({"$type": "app.bsky.richtext.facet#link", "uri": "https://example.com/x"})
            ),
            (mention.as_str(), json!({"$type": "app.bsky.richtext.facet#mention", "did": friend.did})),
            ("#rust", json!({"$type": "app.bsky.richtext.facet#tag", "tag": "rust"})),
        ]
    );
}

#[tokio::test]
async fn parts_that_are_published_one_by_one_make_the_same_thread() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let (handle, whole) = (handle(&channel), post(&["one", "two", "three"]));
    let mut thread = post(&[]);
    for text in &whole.parts {
        thread.parts.push(text.clone());
        assert_eq!(bluesky().find(&channel, handle, &thread).await.unwrap(), Lookup::NotFound, "{text:?}");
        let published = bluesky().publish(&channel, handle, &thread).await.unwrap();
        assert_eq!(bluesky().publish(&channel, handle, &thread).await.unwrap(), published, "{text:?}");
        let found = bluesky().find(&channel, handle, &thread).await.unwrap();
        assert_eq!(found, Lookup::Found(published.clone()), "{text:?}");
        thread.standing.push(published);
    }
    let one_by_one = pds.posts(&account.did).await;
    assert_eq!(one_by_one.len(), 3);
    bluesky().publish(&channel, handle, &whole).await.unwrap();
    assert_eq!(pds.posts(&account.did).await, one_by_one, "as a whole it is the same");
}

#[tokio::test]
async fn a_thread_hangs_together_and_stands_once_however_often_it_is_published() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let (handle, thread) = (handle(&channel), post(&["one", "two https://example.com", "three"]));
    let first = bluesky().publish(&channel, handle, &thread).await.unwrap();
    let before = pds.posts(&account.did).await;
    assert_eq!(before.len(), 3);
    let texts: Vec<_> = before.iter().map(|post| post["value"]["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        ["one", "two https://example.com", "three"],
        "the keys of a thread's parts are in order"
    );
    let reference = |n: usize| json!({"uri": before[n]["uri"], "cid": before[n]["cid"]});
    assert_eq!(before[1]["value"]["reply"], json!({"root": reference(0), "parent": reference(0)}));
    assert_eq!(before[2]["value"]["reply"], json!({"root": reference(0), "parent": reference(1)}));
    assert_eq!(first.remote_id, before[0]["uri"].as_str().unwrap());

    for _ in 0..3 {
        assert_eq!(bluesky().publish(&channel, handle, &thread).await.unwrap(), first);
    }
    assert_eq!(pds.posts(&account.did).await, before, "byte for byte what stood there");
    assert_eq!(bluesky().info().idempotency, IdempotencyKind::ByHandle);
}

#[tokio::test]
async fn simultaneous_attempts_stand_once() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let (handle, thread) = (handle(&channel), post(&["one", "two"]));
    let provider = bluesky();
    let attempts = (0..8).map(|_| provider.publish(&channel, handle, &thread));
    let outcomes = futures::future::join_all(attempts).await;
    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    assert_eq!(pds.posts(&account.did).await.len(), 2);
}

#[tokio::test]
async fn a_handle_is_found_only_if_all_of_it_is_there() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let (handle, other) = (handle(&channel), handle(&channel));
    let thread = post(&["one", "two", "three"]);
    let lookup = async |handle| bluesky().find(&channel, handle, &thread).await.unwrap();

    assert_eq!(lookup(handle).await, Lookup::NotFound);
    let published = bluesky().publish(&channel, handle, &thread).await.unwrap();
    assert_eq!(lookup(handle).await, Lookup::Found(published.clone()));
    assert_eq!(lookup(other).await, Lookup::NotFound);

    let last = pds.posts(&account.did).await.pop().unwrap();
    let rkey = last["uri"].as_str().unwrap().rsplit('/').next().unwrap();
    let body = json!({"repo": account.did, "collection": "app.bsky.feed.post", "rkey": rkey});
    pds.post("com.atproto.repo.deleteRecord", &account.token, body).await;
    assert_eq!(lookup(handle).await, Lookup::NotFound);
    assert_eq!(bluesky().publish(&channel, handle, &thread).await.unwrap(), published);
    assert_eq!(pds.posts(&account.did).await.len(), 3);
}

#[tokio::test]
async fn the_longest_post_is_taken_and_a_longer_one_is_not_sent() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let longest = post(&[&"👍🏽".repeat(300)]);
    assert_eq!(bluesky().check(&longest.parts), []);
    bluesky().publish(&channel, handle(&channel), &longest).await.unwrap();

    let longer = post(&["fine", &"é".repeat(301)]);
    assert_eq!(bluesky().check(&longer.parts)[0].part, 1);
    let error = bluesky().publish(&channel, handle(&channel), &longer).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent);
    assert_eq!(error.message, "part 2 has 301 characters, Bluesky takes 300");
    assert_eq!(pds.posts(&account.did).await.len(), 1);
}

#[tokio::test]
async fn pictures_stand_in_every_part_with_what_they_show() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let mut thread = post(&["one", "two", "three"]);
    thread.parts[0].attachments = vec![gif(Some("one pixel")), gif(None)];
    thread.parts[2].attachments = vec![gif(Some("the end"))];
    let handle = handle(&channel);
    let first = bluesky().publish(&channel, handle, &thread).await.unwrap();
    let before = pds.posts(&account.did).await;
    let embedded = |nth: usize| before[nth]["value"]["embed"].clone();
    assert_eq!(embedded(0)["$type"], "app.bsky.embed.images");
    let images = embedded(0)["images"].as_array().unwrap().clone();
    assert_eq!((&images[0]["alt"], &images[1]["alt"]), (&json!("one pixel"), &json!("")));
    assert_eq!(images[0]["aspectRatio"], json!({"width": 1, "height": 1}));
    assert_eq!(images[0]["image"]["mimeType"], "image/gif");
    assert_eq!(images[0]["image"]["size"], GIF.len());
    assert_eq!(embedded(1), json!(null));
    assert_eq!(embedded(2)["images"][0]["alt"], "the end");
    let stored = pds.blob(&account.did, images[0]["image"]["ref"]["$link"].as_str().unwrap()).await;
    assert_eq!(stored, GIF, "byte for byte");

    assert_eq!(bluesky().publish(&channel, handle, &thread).await.unwrap(), first);
    assert_eq!(pds.posts(&account.did).await, before, "uploaded and written again, it is the same");
    assert_eq!(bluesky().find(&channel, handle, &thread).await.unwrap(), Lookup::Found(first));
}

#[tokio::test]
async fn a_file_that_the_store_does_not_give_leaves_nothing_behind() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let mut shown = post(&["look"]);
    shown.parts[0].attachments = vec![gif(None), gone()];
    let error = bluesky().publish(&channel, handle(&channel), &shown).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (FailureClass::Retry, "the store is away"));
    assert_eq!(pds.posts(&account.did).await.len(), 0);
}

#[tokio::test]
async fn languages_and_labels_stand_in_every_part() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let channel = channel(&pds.url, &account).await;
    let mut thread = post(&["eins", "zwei"]);
    thread.settings =
        json!({"languages": ["de", "en-GB"], "labels": ["nudity"]}).as_object().unwrap().clone();
    let problems = check_settings("Bluesky", &bluesky().info().settings, &thread.settings);
    assert_eq!(problems, []);
    bluesky().publish(&channel, handle(&channel), &thread).await.unwrap();
    for post in pds.posts(&account.did).await {
        assert_eq!(post["value"]["langs"], json!(["de", "en-GB"]));
        let labels = json!({"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "nudity"}]});
        assert_eq!(post["value"]["labels"], labels);
    }
}
