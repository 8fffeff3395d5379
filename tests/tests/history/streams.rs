//! One aggregate through time: its history, the commands behind it, what it was, what changed.

use std::time::Duration;

use annals_tests::{Api, Server, StatusCode, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn an_aggregate_is_shown_as_it_stood_and_what_changed_since() {
    let server = Server::start().await;
    server.api().register("Root").await;
    let ada = server.api().register("Ada").await;
    let draft = |text: &str| json!({"content": text, "type": "draft"});
    let created = ada.api.post("posts", draft("First")).await.expect(StatusCode::CREATED);
    let (post, first) = (created.text_at("/data/id"), created.position());
    let second =
        ada.api.put(&format!("posts/{post}"), draft("Second")).await.expect(StatusCode::OK).position();
    let third = ada.api.delete(&format!("posts/{post}")).await.expect(StatusCode::OK).position();

    let path = format!("streams/publishing.post/{post}");
    let stream = ada.api.get(&path).await.expect(StatusCode::OK);
    let events = stream.at("/data/events").as_array().cloned().unwrap_or_default();
    let numbers: Vec<_> = events.iter().map(|event| event["position"].as_u64()).collect();
    assert_eq!(numbers, [Some(first), Some(second), Some(third)]);
    let commands = stream.at("/data/causation/commands").as_array().cloned().unwrap_or_default();
    let names: Vec<_> = commands.iter().filter_map(|command| command["command"].as_str()).collect();
    assert_eq!(names, ["CreatePost", "RevisePost", "DeletePost"]);
    let page = ada.api.get(&format!("{path}?limit=2")).await.expect(StatusCode::OK);
    let next = page.text_at("/meta/nextCursor");
    let rest = ada.api.get(&format!("{path}?limit=2&cursor={next}")).await.expect(StatusCode::OK);
    assert_eq!(rest.at("/data/events/0/position"), third);

    let state = async |at: Value| {
        let text = at.as_str().map_or_else(|| at.to_string(), str::to_string);
        let answer = ada.api.get(&format!("{path}/state?at={text}")).await.expect(StatusCode::OK);
        (answer.at("/data/version").clone(), answer.at("/data/state").clone())
    };
    assert_eq!(state(json!(first - 1)).await, (json!(0), Value::Null));
    let (version, then) = state(json!(first)).await;
    assert_eq!((version, &then["stage"]), (json!(1), &json!("draft")));
    assert!(then.to_string().contains("First"));
    let (version, then) = state(events[1]["at"].clone()).await;
    assert_eq!(version, 2);
    assert!(then.to_string().contains("Second"));
    let now = ada.api.get(&format!("{path}/state")).await.expect(StatusCode::OK);
    assert_eq!((now.at("/data/version"), now.at("/data/state/stage")), (&json!(3), &json!("deleted")));

    let changed = ada.api.get(&format!("{path}/difference?from={first}&to={second}")).await;
    let changed = changed.expect(StatusCode::OK);
    assert_eq!((changed.at("/data/from/version"), changed.at("/data/to/version")), (&json!(1), &json!(2)));
    let changes = changed.at("/data/changes").as_array().cloned().unwrap_or_default();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!((&changes[0]["old"], &changes[0]["new"]), (&json!("First"), &json!("Second")));
    let born = ada.api.get(&format!("{path}/difference?to={first}")).await.expect(StatusCode::OK);
    assert_eq!(born.at("/data/changes/0/path"), "");
    assert_eq!(born.at("/data/changes/0/old"), &Value::Null);
    let backwards = ada.api.get(&format!("{path}/difference?from={second}&to={first}")).await;
    backwards.expect_field(StatusCode::BAD_REQUEST, "to");
    ada.api.get(&format!("{path}/state?at=then")).await.expect_field(StatusCode::BAD_REQUEST, "at");
}

#[tokio::test]
async fn nothing_sealed_is_in_a_state_whoever_asks() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    let ada = server.api().register("Ada Lovelace").await;
    let path = format!("streams/identity.user/{}/state", ada.user_id);
    let shown = root.api.get(&path).await.expect(StatusCode::OK);
    assert_eq!(
        shown.at("/data/version"),
        3,
        "registered, joined their organization, was asked for the address"
    );
    for hidden in ["Lovelace", ada.email.as_str(), "$argon2"] {
        assert!(!shown.text.contains(hidden), "{hidden} is shown");
    }
    assert!(shown.text.contains("$personal") && shown.text.contains("$secret"));
}

async fn until_published(api: &Api, post: &str) {
    eventually("the post is published", Duration::from_secs(60), || async {
        let answer = api.get(&format!("posts/{post}")).await;
        (answer.at("/data/status") == "published").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_process_did_stands_under_the_event_that_caused_it() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = ada.api.post("integrations/connect", json!({"platform": "feed", "name": "News"})).await;
    let channel = channel.expect(StatusCode::CREATED).text_at("/data/id");
    let body = json!({"content": "Hello", "type": "now", "integrations": [{"id": channel}]});
    let created = ada.api.post("posts", body).await.expect(StatusCode::CREATED);
    let post = created.text_at("/data/id");
    until_published(&ada.api, &post).await;
    let last = ada.api.get(&format!("posts/{post}/history")).await.expect(StatusCode::OK);
    let last = last.at("/data").as_array().and_then(|rows| rows.last()?["position"].as_u64());
    let reader = ada.api.with_header("Annals-After", last.expect("has a history"));
    let stream = reader.get(&format!("streams/publishing.post/{post}")).await.expect(StatusCode::OK);
    let commands = stream.at("/data/causation/commands").as_array().cloned().unwrap_or_default();
    assert_eq!(commands.len(), 1, "all of it came of one command: {commands:#?}");
    assert_eq!(commands[0]["command"], "CreatePost");
    assert_eq!(commands[0]["actor"]["id"], ada.user_id.as_str());
    let done = commands[0]["events"].as_array().cloned().unwrap_or_default();
    let is_scheduled = |event: &&Value| event["type"] == "publishing.post.scheduled";
    let (scheduled, others): (Vec<_>, Vec<_>) = done.iter().partition(is_scheduled);
    assert_eq!(scheduled.len(), 1, "{done:#?}");
    assert!(others.iter().all(|event| event["caused"] == json!([])), "{others:#?}");
    let caused = scheduled[0]["caused"].as_array().cloned().unwrap_or_default();
    assert!(caused.iter().all(|command| command["actor"]["type"] == "process"), "{caused:#?}");
    let kinds: Vec<_> = caused
        .iter()
        .flat_map(|command| command["events"].as_array().cloned().unwrap_or_default())
        .filter_map(|event| event["type"].as_str().map(str::to_string))
        .collect();
    assert_eq!(kinds, ["publishing.post.publish_attempted", "publishing.post.published"]);
}
