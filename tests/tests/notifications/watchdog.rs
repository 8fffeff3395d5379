//! A post whose timer was lost is found, told, and published after all, by the running program.

use annals_tests::{Server, Settings, StatusCode, eventually};
use serde_json::json;

use crate::support::{PATIENCE, feed_channel, kinds, rows, scheduled, told};

fn impatient() -> Settings {
    Settings::default().variable("ANNALS_WATCHDOG_LATE_BY_S", 2).variable("ANNALS_WATCHDOG_SWEEPS_EVERY_S", 1)
}

#[tokio::test]
async fn a_lost_timer_is_found_told_and_set_again() {
    let server = Server::start_with(impatient()).await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let post = scheduled(&ada.api, &channel, "Hello", 6).await;
    let pool = &server.database().expect("has a database").pool;
    eventually("its timer is lost", PATIENCE, || async {
        let lost = sqlx::query("delete from process.timers where kind = 'publishing.publish'");
        let lost = lost.execute(pool).await.expect("deletes").rows_affected();
        (lost == 1).then_some(())
    })
    .await;
    let answer = told(&ada.api, 1).await;
    assert_eq!(kinds(&answer), ["post_overdue"]);
    let row = rows(&answer).remove(0);
    assert_eq!(row["title"], "A post is overdue on News");
    assert_eq!(row["links"]["page"], format!("/console/posts/{post}"));
    assert!(row["about"]["dueAt"].is_string() && row["whatToDo"].is_string(), "{row}");
    eventually("it is published after all", PATIENCE, || async {
        let post = ada.api.get(&format!("posts/{post}")).await;
        (post.at("/data/status") == "published").then_some(())
    })
    .await;
    let history = ada.api.get(&format!("posts/{post}/history")).await.expect(StatusCode::OK);
    let types: Vec<String> =
        rows(&history).iter().filter_map(|row| row["type"].as_str().map(str::to_string)).collect();
    let found = types.iter().filter(|name| name.as_str() == "publishing.post.found_overdue");
    assert_eq!(found.count(), 1, "{types:?}");
    let metrics = server.api().get("/metrics").await.text;
    assert!(metrics.contains("annals_posts_found_overdue_total{cause=\"timer_lost\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_timer_that_the_operator_cancelled_stays_so_until_the_post_is_rescheduled() {
    let server = Server::start_with(impatient()).await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let post = scheduled(&ada.api, &channel, "Hello", 8).await;
    let timer = eventually("its timer is set", PATIENCE, || async {
        let timers = ada.api.get("admin/timers?kind=publishing.publish").await.expect(StatusCode::OK);
        rows(&timers).first().and_then(|row| row["id"].as_str().map(str::to_string))
    })
    .await;
    let reason = json!({"reason": "its campaign was withdrawn"});
    ada.api.post(&format!("admin/timers/{timer}/cancel"), reason).await.expect(StatusCode::OK);
    let answer = told(&ada.api, 1).await;
    assert_eq!(kinds(&answer), ["post_overdue"]);
    let text = answer.text_at("/data/0/text");
    assert!(text.contains("its timer was cancelled"), "{text}");
    let status = ada.api.get(&format!("posts/{post}")).await.at("/data/status").clone();
    assert_eq!(status, "scheduled");
}
