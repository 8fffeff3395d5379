//! Posts that recur, on a real Postgres and by a clock that the test moves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use annals_commands::{
    ports::social::{FailureClass, IdempotencyKind},
    publishing::series::SeriesRequest,
};
use annals_domain::{
    kernel::{IntegrationId, PostId, SeriesId, TimeZone},
    publishing::{
        Post, PostStatus, Series, SeriesStatus,
        post::{Due, Plan, Schedule},
    },
};
use chrono::TimeDelta;
use platform::{Desk, Next};
use support::context;

fn request(desk: &Desk, channel: IntegrationId, start: &str, rule: &str) -> SeriesRequest {
    let zone = TimeZone::parse("Europe/Berlin").unwrap();
    let mut post = desk.request("hello again", &[channel], 0);
    post.plan = Plan::Publish(Due::At(Schedule::parse(start, zone).unwrap()));
    SeriesRequest { post, rule: rule.to_string() }
}

/// The series that a recurring post began, and its occurrences.
async fn started(desk: &Desk, request: SeriesRequest) -> (SeriesId, Vec<PostId>) {
    let outcome = desk.posts.start_series(&context(), desk.member, request).await.unwrap();
    let first = desk.bus.load::<Post>(outcome.value.unwrap()).await.unwrap().state;
    let series = first.occurrence().unwrap().series_id;
    (series, desk.bus.load::<Series>(series).await.unwrap().state.posts().to_vec())
}

async fn statuses(desk: &Desk, posts: &[PostId]) -> Vec<PostStatus> {
    let mut statuses = Vec::new();
    for post in posts {
        statuses.push(desk.bus.load::<Post>(*post).await.unwrap().state.status());
    }
    statuses
}

/// Moves the clock to each occurrence in turn and publishes it, not a minute early; says when that was.
async fn publish_all(desk: &Desk, posts: &[PostId], channel: IntegrationId) -> Vec<String> {
    let mut moments = Vec::new();
    for post in posts {
        let due = desk.bus.load::<Post>(*post).await.unwrap().state.schedule().unwrap().at;
        desk.clock.advance(due - desk.bus.now() - TimeDelta::minutes(1));
        let calls = *desk.platform.calls.lock();
        desk.fire(*post, channel, 1).await;
        assert_eq!(*desk.platform.calls.lock(), calls, "not before its time");
        desk.clock.advance(TimeDelta::minutes(1));
        desk.fire(*post, channel, 1).await;
        moments.push(desk.bus.now().format("%m-%d %H:%M").to_string());
    }
    moments
}

#[tokio::test]
async fn each_occurrence_has_its_outcome_across_both_changes_of_the_clocks() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let channel = desk.connect().await;
    let autumn = request(&desk, channel, "2026-10-24T02:30", "FREQ=DAILY;COUNT=3");
    let (_, autumn) = started(&desk, autumn).await;
    let spring = request(&desk, channel, "2027-03-27T02:30", "FREQ=DAILY;COUNT=3");
    let (_, spring) = started(&desk, spring).await;

    desk.platform.next([Next::Publish, Next::Fail(FailureClass::BadContent)]);
    let moments = publish_all(&desk, &autumn, channel).await;
    assert_eq!(moments, ["10-24 00:30", "10-25 00:30", "10-26 01:30"], "02:30 by the clocks of Berlin");
    let [published, failed] = [PostStatus::Published, PostStatus::Failed];
    assert_eq!(
        statuses(&desk, &autumn).await,
        [published, failed, published],
        "one fails, the series goes on"
    );

    let moments = publish_all(&desk, &spring, channel).await;
    assert_eq!(moments, ["03-27 01:30", "03-28 01:30", "03-29 00:30"], "there is no 02:30 on the 28th");
    assert_eq!(statuses(&desk, &spring).await, [published; 3]);
    assert_eq!(desk.platform.count(), 5);
}

#[tokio::test]
async fn a_series_is_paused_resumed_changed_and_ended() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let channel = desk.connect().await;
    let weekly = request(&desk, channel, "2026-06-01T09:00", "FREQ=WEEKLY;COUNT=4");
    let (series, posts) = started(&desk, weekly).await;
    publish_all(&desk, &posts[..1], channel).await;
    let [draft, scheduled, published] = [PostStatus::Draft, PostStatus::Scheduled, PostStatus::Published];

    desk.posts.pause_series(&context(), desk.member, series).await.unwrap();
    assert_eq!(statuses(&desk, &posts).await, [published, draft, draft, draft]);
    desk.clock.advance(TimeDelta::days(8));
    desk.posts.resume_series(&context(), desk.member, series).await.unwrap();
    assert_eq!(statuses(&desk, &posts).await, [published, draft, scheduled, scheduled], "one was missed");

    let daily = request(&desk, channel, "2026-07-01T09:00", "FREQ=DAILY;COUNT=2");
    desk.posts.change_series(&context(), desk.member, series, daily).await.unwrap();
    assert_eq!(statuses(&desk, &posts[2..]).await, [PostStatus::Cancelled; 2]);
    let changed = desk.bus.load::<Series>(series).await.unwrap().state;
    assert_eq!(statuses(&desk, changed.posts()).await, [scheduled; 2]);
    let fifth = desk.bus.load::<Post>(changed.posts()[0]).await.unwrap().state;
    assert_eq!(fifth.occurrence().map(|occurrence| occurrence.number), Some(5));

    let stranger = platform::admin(desk.member);
    desk.posts.end_series(&context(), stranger, series).await.unwrap();
    assert_eq!(statuses(&desk, changed.posts()).await, [PostStatus::Cancelled; 2]);
    let ended = desk.bus.load::<Series>(series).await.unwrap().state;
    assert_eq!(ended.status(), SeriesStatus::Ended);
    desk.posts.resume_series(&context(), desk.member, series).await.unwrap_err();
}
