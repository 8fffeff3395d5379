//! Timers: listed, tried again, cancelled.

use annals_tests::{Api, Server, StatusCode, eventually};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{PATIENCE, operated, recorded, user};

/// A post that is due in an hour, with its timer's id.
async fn scheduled(api: &Api) -> (String, String) {
    let channel = api.post("integrations/connect", json!({"platform": "feed", "name": "News"})).await;
    let channel = channel.expect(StatusCode::CREATED).text_at("/data/id");
    let at = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let body =
        json!({"content": "Hello", "type": "schedule", "scheduledAt": at, "integrations": [{"id": channel}]});
    let post = api.post("posts", body).await.expect(StatusCode::CREATED).text_at("/data/id");
    let timer = eventually("the timer is set", PATIENCE, || async {
        let list = api.get("admin/timers?kind=publishing.publish").await.expect(StatusCode::OK);
        let rows = list.at("/data").as_array().cloned().unwrap_or_default();
        let of_post = rows.iter().find(|row| row["key"].as_str().is_some_and(|key| key.contains(&post)));
        of_post.and_then(|row| row["id"].as_str().map(str::to_string))
    })
    .await;
    (post, timer)
}

/// As three attempts that did not act leave it.
async fn park(server: &Server, timer: &str) {
    let parked = sqlx::query(
        "UPDATE process.timers SET state = 'parked', attempt = 3, reason = 'the platform is down'
         WHERE id = $1::uuid",
    )
    .bind(timer)
    .execute(&server.database().expect("on the test server").pool)
    .await
    .expect("the database answers");
    assert_eq!(parked.rows_affected(), 1);
}

async fn listed(api: &Api, query: &str) -> Vec<Value> {
    let answer = api.get(&format!("admin/timers?{query}")).await.expect(StatusCode::OK);
    answer.at("/data").as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_parked_timer_is_tried_again_and_a_waiting_one_is_not() {
    let (server, ada) = operated().await;
    let (_, timer) = scheduled(&ada.api).await;
    let why = json!({"reason": "the platform is back"});
    let retry = format!("admin/timers/{timer}/retry");
    let refused = ada.api.post(&retry, why.clone()).await.expect(StatusCode::CONFLICT);
    assert_eq!(refused.at("/code"), "TIMER_NOT_PARKED", "a post is not published before its time");
    assert_eq!(listed(&ada.api, "state=parked").await, Vec::<Value>::new());

    park(&server, &timer).await;
    let parked = listed(&ada.api, "state=parked").await;
    assert_eq!((&parked[0]["id"], &parked[0]["reason"]), (&json!(timer), &json!("the platform is down")));
    assert_eq!(parked[0]["organizationId"], json!(ada.organization_id));
    assert_eq!(listed(&ada.api, "state=waiting&kind=publishing.publish").await, Vec::<Value>::new());
    let retried = ada.api.post(&retry, why).await.expect(StatusCode::OK);
    assert_eq!(retried.at("/data/status"), "due");
    // Its handler asks the post, which is not due: the timer waits for its time again.
    eventually("its handler was called", PATIENCE, || async {
        let waiting = listed(&ada.api, "state=waiting&kind=publishing.publish").await;
        (!waiting.is_empty()).then_some(())
    })
    .await;
    let why = "the platform is back".to_string();
    assert_eq!(recorded(&server).await, [("operations.timer.retriggered".to_string(), why, user(&ada))]);
}

#[tokio::test]
async fn a_cancelled_timer_is_gone_and_pages_hold_each_timer_once() {
    let (server, ada) = operated().await;
    let mut timers = Vec::new();
    for _ in 0..3 {
        timers.push(scheduled(&ada.api).await.1);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("admin/timers?kind=publishing.publish&limit=2{cursor}");
        let page = ada.api.get(&path).await.expect(StatusCode::OK);
        let rows = page.at("/data").as_array().cloned().unwrap_or_default();
        seen.extend(rows.iter().filter_map(|row| row["id"].as_str().map(str::to_string)));
        match page.at("/meta/nextCursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, timers, "the soonest due first, each once");

    let why = json!({"reason": "its post is about a product that was withdrawn"});
    let cancel = format!("admin/timers/{}/cancel", timers[0]);
    let keyed = ada.api.with_header("Idempotency-Key", "cancel-1");
    let cancelled = keyed.post(&cancel, why.clone()).await.expect(StatusCode::OK);
    assert_eq!(cancelled.at("/data/status"), "cancelled");
    assert_eq!(
        keyed.post(&cancel, why.clone()).await.expect(StatusCode::OK).position(),
        cancelled.position()
    );
    ada.api.post(&cancel, why).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(listed(&ada.api, "kind=publishing.publish").await.len(), 2);
    let why = "its post is about a product that was withdrawn".to_string();
    assert_eq!(recorded(&server).await, [("operations.timer.cancelled".to_string(), why, user(&ada))]);
}
