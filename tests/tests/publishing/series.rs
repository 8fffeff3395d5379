//! A series read by itself, and where posts came from.

use annals_tests::{Answer, Method, Server, StatusCode};
use serde_json::json;

use crate::support::{draft, feed_channel, ids, in_seconds, later, write};

#[tokio::test]
async fn a_series_is_read_with_its_rule_its_state_what_is_next_and_its_posts() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let api = &ada.api;
    let channel = feed_channel(api, "News").await;
    let mut body = later("Every day", &[&channel], &in_seconds(3_600));
    body["recurrence"] = json!("FREQ=DAILY;COUNT=7");
    let first = api.post("posts", body.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(first.at("/data/series/status"), "active");
    let id = first.text_at("/data/series/id");
    let path = format!("posts/series/{id}");
    write(api, later("Alone", &[&channel], &in_seconds(7_200))).await;

    let series = api.get(&format!("{path}?perPage=3&page=2")).await.expect(StatusCode::OK);
    assert_eq!(
        (series.at("/data/recurrence"), series.at("/data/status"), series.at("/data/author/name")),
        (&json!("FREQ=DAILY;COUNT=7"), &json!("active"), &json!("Ada"))
    );
    assert_eq!(
        (series.at("/data/counts"), series.at("/data/timezone")),
        (&json!({"scheduled": 7}), &json!("UTC"))
    );
    assert_eq!(series.at("/data/next").as_array().map(Vec::len), Some(5));
    assert_eq!(series.at("/data/next/0/id"), first.at("/data/id"));
    assert_eq!(
        (series.at("/meta/total"), series.at("/data/posts/0/series/occurrence")),
        (&json!(7), &json!(4))
    );
    assert_eq!(series.headers["etag"], "\"1\"");

    api.post(&format!("{path}/pause"), json!({})).await.expect(StatusCode::OK);
    api.delete(&format!("posts/{}", first.text_at("/data/id"))).await.expect(StatusCode::OK);
    let paused = api.get(&path).await.expect(StatusCode::OK);
    assert_eq!(
        (paused.at("/data/status"), paused.at("/data/counts")),
        (&json!("paused"), &json!({"draft": 6}))
    );
    assert_eq!(paused.at("/data/next/0/status"), "draft");
    assert_eq!(paused.at("/data/posts/0/series/status"), "paused");
    let calendar = api.get(&format!("posts?startDate={}&series={id}", in_seconds(0))).await;
    assert_eq!(ids(&calendar.expect(StatusCode::OK)).len(), 6);

    body["recurrence"] = json!("FREQ=WEEKLY;COUNT=2");
    api.put(&path, body).await.expect(StatusCode::OK);
    api.delete(&path).await.expect(StatusCode::OK);
    let ended = api.get(&path).await.expect(StatusCode::OK);
    assert_eq!((ended.at("/data/status"), ended.at("/data/next")), (&json!("ended"), &json!([])));
    assert_eq!(ended.at("/data/counts/cancelled"), 2);
    let of = |status: &str| format!("posts/series?status={status}");
    assert_eq!(ids(&api.get("posts/series").await.expect(StatusCode::OK)), std::slice::from_ref(&id));
    assert_eq!(ids(&api.get(&of("ended")).await.expect(StatusCode::OK)), std::slice::from_ref(&id));
    assert_eq!(ids(&api.get(&of("active")).await.expect(StatusCode::OK)), Vec::<String>::new());

    api.get(&of("lost")).await.expect_field(StatusCode::BAD_REQUEST, "status");
    api.get("posts/series?perPage=0").await.expect_field(StatusCode::BAD_REQUEST, "perPage");
    api.get(&format!("{path}?page=0")).await.expect_field(StatusCode::BAD_REQUEST, "page");
    ada.member("viewer").await.get(&path).await.expect(StatusCode::OK);
    let stranger = server.api().register("Eve").await.api;
    stranger.get(&path).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(ids(&stranger.get("posts/series").await.expect(StatusCode::OK)), Vec::<String>::new());
    server.api().get(&path).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn where_a_post_came_from_is_shown_and_found() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let by_person = write(&api, later("By a person", &[&channel], &in_seconds(3_600))).await;
    let key = json!({"name": "all", "scopes": []});
    let key = api.post("settings/api-keys", key).await.expect(StatusCode::CREATED).text_at("/data/key");
    let program = server.api().with_token(&key);
    let by_program = write(&program, draft("By a program")).await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "create_post", "arguments": {"post": draft("By an assistant")},
    }});
    let request =
        program.request(Method::POST, "/mcp").header("Accept", "application/json, text/event-stream");
    let told =
        annals_tests::Api::send(request.header("MCP-Protocol-Version", "2025-06-18").json(&call)).await;
    let by_assistant = told.expect(StatusCode::OK).text_at("/result/structuredContent/id");

    for (post, source) in [(&by_person, "WEB"), (&by_program, "API"), (&by_assistant, "MCP")] {
        let after = |answer: Answer| answer.expect(StatusCode::OK);
        let shown = after(program.get(&format!("posts/{post}")).await);
        assert_eq!(shown.at("/data/source"), source);
        assert_eq!(
            ids(&after(program.get(&format!("posts?source={source}")).await)),
            std::slice::from_ref(post)
        );
    }
    api.get("posts?source=FAX").await.expect_field(StatusCode::BAD_REQUEST, "source");

    let postiz = server.api().with_header("Authorization", &key);
    let (from, to) = (in_seconds(0), in_seconds(86_400));
    let listed = postiz.get(&format!("/public/v1/posts?startDate={from}&endDate={to}")).await;
    assert_eq!(listed.expect(StatusCode::OK).at("/posts/0/creationMethod"), "WEB");
}
