//! What an author may want to know, after a command and before one.

use annals_tests::{Answer, Api, Server, StatusCode};
use serde_json::{Value, json};

use crate::support::{draft, feed_channel, in_seconds, later, now, until, write};

/// Code and other posts of each warning.
fn warnings(answer: &Answer) -> Vec<(String, Vec<String>)> {
    let warnings = answer.at("/data/warnings").as_array().cloned().expect("there are warnings, or none");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let posts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
    warnings.iter().map(|warning| (text(&warning["code"]), posts(&warning["posts"]))).collect()
}

fn doubled(post: &str) -> (String, Vec<String>) {
    ("DUPLICATE_CONTENT".to_string(), vec![post.to_string()])
}

fn busy(post: &str) -> (String, Vec<String>) {
    ("BUSY_HOUR".to_string(), vec![post.to_string()])
}

async fn created(api: &Api, body: Value) -> (String, Vec<(String, Vec<String>)>) {
    let answer = api.post("posts", body).await.expect(StatusCode::CREATED);
    (answer.text_at("/data/id"), warnings(&answer))
}

#[tokio::test]
async fn a_text_that_a_channel_has_already_and_a_busy_hour_are_warned_of_and_not_refused() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let (news, blog) = (feed_channel(&api, "News").await, feed_channel(&api, "Blog").await);
    let (hour, day) = (3_600, 86_400);
    let (first, none) = created(&api, later("We open at nine", &[&news], &in_seconds(day))).await;
    assert_eq!(none, []);
    let (second, told) =
        created(&api, later("we  OPEN at nine", &[&blog, &news], &in_seconds(5 * day))).await;
    assert_eq!(told, [doubled(&first)], "on one of its channels");
    let (_, told) = created(&api, later("Something else", &[&news], &in_seconds(day + hour / 2))).await;
    assert_eq!(told, [busy(&first)]);
    let (_, told) = created(&api, later("We open at nine", &[&blog], &in_seconds(40 * day))).await;
    assert_eq!(told, [], "35 days are a while, and the hour is free");
    let (idea, told) = created(&api, draft("We open at nine")).await;
    assert_eq!(told, [], "a draft for no channel is compared with nothing");

    // A post is not its own neighbour, and a draft is nobody's.
    let path = format!("posts/{first}");
    let moved = api.put(&path, later("We open at nine", &[&news], &in_seconds(day + 60))).await;
    let told = warnings(&moved.expect(StatusCode::OK));
    assert_eq!(
        told.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(),
        ["DUPLICATE_CONTENT", "BUSY_HOUR"]
    );
    assert_eq!(told[0], doubled(&second));
    api.delete(&format!("posts/{second}")).await.expect(StatusCode::OK);
    let (_, told) = created(&api, now("We open at nine", &[&blog])).await;
    assert_eq!(told, [], "what was cancelled does not count");
    let shown = api.get(&format!("posts/{idea}")).await.expect(StatusCode::OK);
    assert_eq!(shown.body["data"].get("warnings"), None, "only where it was just written");
}

#[tokio::test]
async fn what_is_published_counts_and_occurrences_of_one_series_do_not() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let news = feed_channel(&api, "News").await;
    let published = write(&api, now("Good morning", &[&news])).await;
    until(&api, &published, "published").await;
    let (_, told) = created(&api, later("Good morning", &[&news], &in_seconds(86_400))).await;
    assert_eq!(told, [doubled(&published)]);
    let mut series = later("Every day", &[&news], &in_seconds(2 * 86_400));
    series["recurrence"] = json!("FREQ=DAILY;COUNT=3");
    let (first, told) = created(&api, series).await;
    assert_eq!(told, []);
    let again =
        api.put(&format!("posts/{first}"), later("Every day", &[&news], &in_seconds(2 * 86_400 + 60))).await;
    assert_eq!(warnings(&again.expect(StatusCode::OK)), []);
}

/// Where the newest event of a post stands in the log.
async fn newest(api: &Api) -> Value {
    let newest =
        api.get("events?order=newest&limit=1&aggregateType=publishing.post").await.expect(StatusCode::OK);
    newest.at("/data/0/position").clone()
}

#[tokio::test]
async fn a_check_says_what_is_wrong_and_what_to_know_and_writes_nothing() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let api = &ada.api;
    let news = feed_channel(api, "News").await;
    let created = api.post("posts", later("We open", &[&news], &in_seconds(86_400))).await;
    let post = created.expect(StatusCode::CREATED).text_at("/data/id");
    let position = newest(api).await;
    let problems = |answer: &Answer| -> Vec<String> {
        let problems = answer.at("/data/problems").as_array().cloned().unwrap_or_default();
        problems.iter().filter_map(|problem| problem["field"].as_str().map(str::to_string)).collect()
    };

    let mut same = later("We open", &[&news], &in_seconds(86_400));
    same["tags"] = json!(["A tag that is not there yet"]);
    let found = api.post("posts/check", same.clone()).await.expect(StatusCode::OK);
    assert_eq!((problems(&found), warnings(&found)), (vec![], vec![doubled(&post), busy(&post)]));
    let found = api.post(&format!("posts/check?post={post}"), same.clone()).await.expect(StatusCode::OK);
    assert_eq!((problems(&found), warnings(&found)), (vec![], vec![]), "it is the post itself");

    let unknown = "0198e000-0000-7000-8000-000000000042";
    for (body, field) in [
        (json!({"content": "", "type": "draft"}), "content"),
        (later("x", &[unknown], &in_seconds(3_600)), "integrations[0].id"),
        (later("x", &[&news], &in_seconds(-3_600)), "scheduledAt"),
        (later("x", &[&news], "soon"), "scheduledAt"),
        (later("x", &[], &in_seconds(3_600)), "integrations"),
    ] {
        let found = api.post("posts/check", body.clone()).await.expect(StatusCode::OK);
        assert_eq!(problems(&found), [field], "{body}");
    }
    let mut recurring = same.clone();
    recurring["recurrence"] = json!("FREQ=SECONDLY");
    let found = api.post("posts/check", recurring).await.expect(StatusCode::OK);
    assert_eq!(problems(&found), ["recurrence"]);
    let bad = api.post("posts/check", json!({"content": "x", "type": "draft", "colour": 1})).await;
    bad.expect_field(StatusCode::BAD_REQUEST, "colour");
    api.post(&format!("posts/check?post={unknown}"), same.clone()).await.expect(StatusCode::NOT_FOUND);
    let keyed = api.with_header("Idempotency-Key", "once");
    keyed.post("posts/check", same.clone()).await.expect(StatusCode::OK);
    assert_eq!(newest(api).await, position, "nothing was written");
    assert_eq!(api.get("posts/tags").await.at("/data"), &json!([]));
    keyed.post("posts", same.clone()).await.expect(StatusCode::CREATED);

    ada.member("viewer").await.post("posts/check", same.clone()).await.expect(StatusCode::FORBIDDEN);
    let theirs = ada.member("user").await.post(&format!("posts/check?post={post}"), same.clone()).await;
    theirs.expect(StatusCode::FORBIDDEN);
    let stranger = server.api().register("Eve").await.api;
    let found = stranger.post("posts/check", same.clone()).await.expect(StatusCode::OK);
    assert_eq!(problems(&found), ["integrations[0].id"]);
    stranger.post(&format!("posts/check?post={post}"), same).await.expect(StatusCode::NOT_FOUND);
}
