//! What is told to whom, and going on where one stopped.

use annals_tests::{Server, StatusCode};
use serde_json::{Value, json};

use crate::stream::{Events, draft};

#[tokio::test]
async fn a_listener_who_is_cut_off_again_and_again_misses_nothing_and_sees_nothing_twice() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let first = draft(&ada.api, "Before").await;
    let writer = {
        let api = ada.api.clone();
        tokio::spawn(async move {
            for number in 0..60 {
                draft(&api, &format!("Idea {number}")).await;
            }
        })
    };
    let path = "live?type=publishing.post.drafted";
    let mut seen = Vec::new();
    let mut after = first - 1;
    // Ends in the past, at the seam to the present, and in the present.
    for count in [1, 3, 1, 20, 2, 5, 1, 28] {
        let api = ada.api.with_header("Last-Event-ID", after);
        let mut events = Events::open(&api, path).await;
        seen.extend(events.positions(count).await);
        // What was read ahead and not looked at is read again by the next.
        after = *seen.last().expect("there is one");
    }
    writer.await.expect("writes");
    let all = ada.api.get("events?type=publishing.post.drafted").await.expect(StatusCode::OK);
    let all: Vec<u64> = all
        .at("/data")
        .as_array()
        .map(|rows| rows.iter().filter_map(|row| row["position"].as_u64()).collect())
        .unwrap_or_default();
    assert_eq!(all.len(), 61);
    assert_eq!(seen, all);
}

#[tokio::test]
async fn each_sees_what_is_theirs_to_see() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    let ada = server.api().register("Ada").await;
    let eve = server.api().register("Eve").await;
    let viewer = ada.member("viewer").await;
    // That somebody joined is told to Ada as a notification, at a time of its own.
    let mut of_ada = Events::open(&ada.api, "live?type=publishing").await;
    let mut of_viewer = Events::open(&viewer, "live?type=publishing").await;
    let mut of_eve = Events::open(&eve.api, "live?type=publishing").await;
    let mut of_root = Events::open(&root.api, "live?aggregateType=publishing.post").await;
    let created = ada.api.post("posts", json!({"content": "Secret plans", "type": "draft"})).await;
    let created = created.expect(StatusCode::CREATED);
    let (post, position) = (created.text_at("/data/id"), created.position());

    let full = of_ada.next().await.expect("is told");
    assert_eq!(full.id, Some(position));
    assert_eq!(full.data["type"], "publishing.post.drafted");
    assert_eq!(full.data["aggregateId"], post.as_str());
    assert!(full.data["data"].to_string().contains("Secret plans"));
    assert_eq!(full.data["client"]["$personal"]["value"], Value::Null, "what is sealed stays sealed");
    assert_eq!(of_root.next().await.as_ref(), Some(&full));

    let notice = of_viewer.next().await.expect("is told");
    let expected = json!({
        "position": position, "type": "publishing.post.drafted", "aggregateType": "publishing.post",
        "aggregateId": post, "version": 1, "at": full.data["at"],
    });
    assert_eq!(notice.data, expected, "a viewer learns that it happened");

    // The first that Eve hears of is her own, though Ada's was before it.
    let own = draft(&eve.api, "Hers").await;
    assert_eq!(of_eve.next().await.and_then(|told| told.data["position"].as_u64()), Some(own));
    let mut one = Events::open(&ada.api, &format!("live?after=0&aggregateId={post}")).await;
    assert_eq!(one.next().await.as_ref(), Some(&full));
}

#[tokio::test]
async fn bad_input_is_named_and_a_token_in_the_address_is_none() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    for (query, field) in [("after=x", "after"), ("type=", "type"), ("kind=post", "kind")] {
        let answer = ada.api.get(&format!("live?{query}")).await;
        answer.expect_field(StatusCode::BAD_REQUEST, field);
    }
    let odd = ada.api.with_header("Last-Event-ID", "first");
    odd.get("live").await.expect_field(StatusCode::BAD_REQUEST, "Last-Event-ID");
    server.api().get("live").await.expect(StatusCode::UNAUTHORIZED);
    for name in ["token", "access_token", "ticket"] {
        let path = format!("live?{name}={}", ada.refresh_token);
        server.api().get(&path).await.expect(StatusCode::UNAUTHORIZED);
    }
}
