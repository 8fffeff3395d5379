//! Posts: the calendar, drafts, versions, what was done and by whom.

use annals_tests::{Api, Server, StatusCode};
use chrono::{Duration, Utc};
use serde_json::json;

use crate::support::{draft, feed_channel, history, ids, in_seconds, later, now, until, write};

#[tokio::test]
async fn posts_are_found_by_time_status_channel_tag_and_text() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let (news, blog) = (feed_channel(&api, "News").await, feed_channel(&api, "Blog").await);
    let mut tagged = later("100% launch", &[&news], &in_seconds(3_600));
    tagged["tags"] = json!(["Launch"]);
    let first = write(&api, tagged).await;
    let second = write(&api, later("Later that day", &[&news, &blog], &in_seconds(7_200))).await;
    let third = write(&api, draft("An idea")).await;

    let tags = api.get("posts/tags").await.expect(StatusCode::OK);
    assert_eq!(tags.at("/data/0/name"), "Launch");
    let tag = tags.text_at("/data/0/id");
    let from = in_seconds(0);
    let to = in_seconds(5_400);
    let day = (Utc::now() + Duration::days(1)).format("%Y-%m-%d");
    for (query, expected) in [
        (String::new(), vec![&third, &second, &first]),
        (format!("?startDate={from}"), vec![&first, &second]),
        (format!("?startDate={from}&endDate={to}"), vec![&first]),
        (format!("?endDate={day}&timezone=Asia/Tokyo"), vec![&first, &second]),
        ("?status=draft".to_string(), vec![&third]),
        ("?status=draft,scheduled".to_string(), vec![&third, &second, &first]),
        (format!("?channel={blog}"), vec![&second]),
        (format!("?tag={tag}"), vec![&first]),
        ("?q=THAT".to_string(), vec![&second]),
        ("?q=100%25".to_string(), vec![&first]),
        ("?q=%25".to_string(), vec![&first]),
        ("?perPage=1&page=2".to_string(), vec![&second]),
        ("?page=9".to_string(), vec![]),
    ] {
        let found = api.get(&format!("posts{query}")).await.expect(StatusCode::OK);
        assert_eq!(ids(&found).iter().collect::<Vec<_>>(), expected, "{query}");
        let total = found.at("/meta/total").as_u64();
        assert!(total.is_some_and(|total| total >= expected.len() as u64), "{query}: {total:?}");
    }
    let page = api.get("posts?perPage=2").await;
    assert_eq!((page.at("/meta/total"), page.at("/meta/totalPages")), (&json!(3), &json!(2)));
}

#[tokio::test]
async fn a_draft_is_written_scheduled_changed_and_cancelled_by_version() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let created = api.post("posts", draft("An idea")).await.expect(StatusCode::CREATED);
    assert_eq!(created.at("/data/status"), "draft");
    let path = format!("posts/{}", created.text_at("/data/id"));

    let scheduled = api.put(&path, later("An idea", &[&channel], &in_seconds(3_600))).await;
    let scheduled = scheduled.expect(StatusCode::OK);
    assert_eq!(scheduled.at("/data/status"), "scheduled");
    assert_eq!(scheduled.at("/data/integrations/0/name"), "News");
    let etag = scheduled.headers["etag"].to_str().expect("is text").to_string();

    let better = later("A better idea", &[&channel], &in_seconds(3_600));
    let matched = api.with_header("If-Match", &etag);
    matched.put(&path, better.clone()).await.expect(StatusCode::OK);
    let stale = matched.put(&path, better).await.expect(StatusCode::CONFLICT);
    assert_eq!(stale.at("/code"), "VERSION_CONFLICT");
    let shown = api.get(&path).await.expect(StatusCode::OK);
    assert_eq!(shown.at("/data/content"), "A better idea");
    assert_eq!(shown.at("/data/author/name"), "Ada");
    assert_eq!(
        shown.headers["etag"].to_str().ok(),
        Some(format!("\"{}\"", stale.at("/currentVersion"))).as_deref()
    );

    let cancelled = api.delete(&path).await.expect(StatusCode::OK);
    assert_eq!(cancelled.at("/data/status"), "cancelled");
    let refused = api.put(&path, draft("After all")).await.expect(StatusCode::CONFLICT);
    assert_eq!(refused.at("/code"), "POST_NOT_EDITABLE");
    assert_eq!(api.delete(&path).await.expect(StatusCode::OK).at("/data/status"), "archived");
    assert_eq!(ids(&api.get("posts").await), Vec::<String>::new());
    api.get(&path).await.expect(StatusCode::OK);

    let gone = write(&api, draft("Nothing")).await;
    let deleted = api.delete(&format!("posts/{gone}")).await.expect(StatusCode::OK);
    assert_eq!(deleted.at("/data/status"), "deleted");
    api.get(&format!("posts/{gone}")).await.expect(StatusCode::NOT_FOUND);
    api.get(&format!("posts/{gone}/history")).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_was_done_is_told_by_history_timeline_and_figures() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let api = &ada.api;
    let channel = feed_channel(api, "News").await;
    let post = write(api, now("Hello", &[&channel])).await;
    until(api, &post, "published").await;
    write(api, later("Tomorrow", &[&channel], &in_seconds(86_400))).await;

    assert_eq!(history(api, &post).await, ["drafted", "scheduled", "publish_attempted", "published"]);
    let rows = api.get(&format!("posts/{post}/history")).await;
    assert_eq!(rows.at("/data/0/actor/name"), "Ada");
    assert_eq!(rows.at("/data/2/actor/type"), "process");
    assert_eq!(rows.at("/data/2/source"), "WORKER");
    assert_eq!(rows.at("/data/2/correlationId"), rows.at("/data/1/correlationId"), "what caused it is known");
    assert_eq!(rows.at("/data/2/causationId"), rows.at("/data/1/eventId"));

    let overview = api.get("analytics/overview?timezone=Europe/Berlin").await.expect(StatusCode::OK);
    assert_eq!(
        (overview.at("/data/posts/published"), overview.at("/data/posts/scheduled")),
        (&json!(1), &json!(1))
    );
    assert_eq!(overview.at("/data/byChannel/0/counts"), &json!({"published": 1, "scheduled": 1}));
    assert_eq!(overview.at("/data/byDay").as_array().map(Vec::len), Some(2));

    let all = api.get("activity").await.expect(StatusCode::OK);
    let types: Vec<_> = all
        .at("/data")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|line| line["type"].as_str().map(str::to_string))
        .collect();
    for name in
        ["identity.organization.created", "publishing.integration.connected", "publishing.post.published"]
    {
        assert!(types.iter().any(|found| found == name), "{name} is not in {types:?}");
    }
    assert!(!all.text.contains("@example.org"), "no address in the timeline");
    let mine = api.get(&format!("activity?actor={}&type=publishing.post&subject={post}", ada.user_id)).await;
    assert_eq!(mine.at("/data").as_array().map(Vec::len), Some(2), "{}", mine.text);

    let mut seen = Vec::new();
    let mut path = "activity?limit=2".to_string();
    loop {
        let page = api.get(&path).await.expect(StatusCode::OK);
        seen.extend(page.at("/data").as_array().into_iter().flatten().map(|line| line["position"].as_u64()));
        let Some(cursor) = page.at("/meta/nextCursor").as_str() else { break };
        path = format!("activity?limit=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), types.len(), "pages of two hold what one page holds");
    assert!(seen.is_sorted_by(|a, b| a >= b), "the newest first: {seen:?}");
}

#[tokio::test]
async fn what_happens_to_an_organization_is_in_its_own_timeline_whomever_it_was_done_for() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let ben = server.api().register("Ben").await;
    let invite = json!({"email": ben.email, "role": "user"});
    let invited = ada.api.post(&format!("agencies/{}/invite", ada.organization_id), invite).await;
    let token = invited.expect(StatusCode::CREATED).text_at("/data/token");
    // Ben accepts while he acts for his own organization.
    let accepted = ben.api.post("agencies/invitations/accept", json!({"token": token})).await;
    let position = accepted.expect(StatusCode::OK).at("/meta/position").to_string();
    let accepted_in = async |api: &Api| {
        let timeline = api.with_header("Annals-After", &position).get("activity").await;
        timeline.expect(StatusCode::OK).text.matches("identity.organization.invitation_accepted").count()
    };
    assert_eq!((accepted_in(&ada.api).await, accepted_in(&ben.api).await), (1, 0));
}

#[tokio::test]
async fn a_thread_grows_by_comments_and_is_published_part_by_part() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let post = write(&api, later("First", &[&channel], &in_seconds(2))).await;
    let path = format!("posts/{post}/comments");
    let commented = api.post(&path, json!({"content": "Second", "delaySeconds": 1})).await;
    let commented = commented.expect(StatusCode::CREATED);
    assert_eq!(commented.at("/data/thread/0"), &json!({"content": "Second", "media": [], "delaySeconds": 1}));
    api.post(&path, json!({"content": " "})).await.expect_field(StatusCode::BAD_REQUEST, "content");
    api.post(&path, json!({"content": "x", "delaySeconds": 604_801}))
        .await
        .expect_field(StatusCode::BAD_REQUEST, "delaySeconds");

    let published = until(&api, &post, "published").await;
    let parts = published.at("/data/integrations/0/publishedParts");
    assert_eq!(parts.as_array().map(Vec::len), Some(2), "{parts}");
    let expected = [
        "drafted",
        "scheduled",
        "edited",
        "publish_attempted",
        "published",
        "publish_attempted",
        "published",
    ];
    assert_eq!(history(&api, &post).await, expected);
    let late = api.post(&path, json!({"content": "Third"})).await.expect(StatusCode::CONFLICT);
    assert_eq!(late.at("/code"), "POST_NOT_EDITABLE");

    let stranger = server.api().register("Eve").await.api;
    stranger.post(&path, json!({"content": "Third"})).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_recurring_post_is_in_the_calendar_and_changed_as_one() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let mut body = later("Every day", &[&channel], &in_seconds(3_600));
    body["recurrence"] = json!("FREQ=DAILY;COUNT=3");
    let first = api.post("posts", body.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(first.at("/data/series/occurrence"), 1);
    let series = format!("posts/series/{}", first.text_at("/data/series/id"));
    let calendar = api.get(&format!("posts?startDate={}", in_seconds(0))).await.expect(StatusCode::OK);
    assert_eq!(calendar.at("/meta/total"), 3);
    assert_eq!(calendar.at("/data/2/series/occurrence"), 3);

    let statuses = |answer: &annals_tests::Answer| -> Vec<String> {
        let posts = answer.at("/data/posts").as_array().cloned().unwrap_or_default();
        posts.iter().filter_map(|post| post["status"].as_str().map(str::to_string)).collect()
    };
    let paused = api.post(&format!("{series}/pause"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(
        (paused.text_at("/data/status"), statuses(&paused)),
        ("paused".into(), vec!["draft".into(); 3])
    );
    let resumed = api.post(&format!("{series}/resume"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(statuses(&resumed), ["scheduled"; 3]);
    body["recurrence"] = json!("FREQ=WEEKLY;COUNT=2");
    let changed = api.put(&series, body.clone()).await.expect(StatusCode::OK);
    assert_eq!(statuses(&changed), ["scheduled"; 2]);

    let stranger = server.api().register("Eve").await.api;
    stranger.delete(&series).await.expect(StatusCode::NOT_FOUND);
    let ended = api.delete(&series).await.expect(StatusCode::OK);
    assert_eq!(
        (ended.text_at("/data/status"), statuses(&ended)),
        ("ended".into(), vec!["cancelled".into(); 2])
    );
    body["recurrence"] = json!("FREQ=HOURLY");
    api.post("posts", body.clone()).await.expect_field(StatusCode::BAD_REQUEST, "recurrence");
    body["recurrence"] = json!("FREQ=DAILY");
    body["type"] = json!("draft");
    api.post("posts", body).await.expect_field(StatusCode::BAD_REQUEST, "recurrence");
}
