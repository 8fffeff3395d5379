//! Threads on a real Postgres: part by part, in order, each once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::{sync::Arc, time::Duration};

use annals_commands::{
    ports::social::{FailureClass, IdempotencyKind},
    process::ProcessManagers,
    publishing::{
        Publisher,
        retry::{Doubling, RetryRequest},
    },
    timers::{Fired, TimerHandler, TimerWorkers},
};
use annals_domain::{
    kernel::{AttemptId, IntegrationId, PostId},
    publishing::{
        Post, PostCommand, PostStatus,
        post::{DeliveryState, PartDraft},
    },
};
use chrono::TimeDelta;
use platform::{Desk, Next};
use support::{context, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A thread of three that is due; the third part comes five minutes after the second.
async fn due_thread(desk: &Desk) -> (PostId, IntegrationId) {
    let channel = desk.connect().await;
    let mut request = desk.request("one", &[channel], 10);
    request.draft.thread = vec!["two".into()];
    let post = desk.posts.create(&context(), desk.member, request).await.unwrap().value.unwrap();
    let late = PartDraft { delay_seconds: 300, ..PartDraft::from("three") };
    desk.posts.reply(&context(), desk.member, post, late).await.unwrap();
    desk.clock.advance(TimeDelta::minutes(10));
    (post, channel)
}

async fn status(desk: &Desk, post: PostId) -> PostStatus {
    desk.bus.load::<Post>(post).await.unwrap().state.status()
}

fn retry() -> RetryRequest {
    RetryRequest { channel: None, doubling: Doubling::Never }
}

#[tokio::test]
async fn parts_follow_each_other_and_a_delayed_one_waits_for_its_timer() {
    let desk = Desk::new(IdempotencyKind::None).await;
    let (post, channel) = due_thread(&desk).await;
    let stop = CancellationToken::new();
    let managers = ProcessManagers::new(desk.bus.clone()).with(Publisher).start(stop.clone()).await.unwrap();
    let handlers: Vec<Arc<dyn TimerHandler>> = vec![Arc::new(desk.worker())];
    let workers = TimerWorkers::new(desk.database.pool.clone(), Arc::new(desk.clock.clone()), handlers)
        .with_poll_interval(Duration::from_millis(20))
        .start(stop.clone());

    let third_is_due = desk.bus.now() + TimeDelta::minutes(5);
    eventually("a timer for the third part", || async {
        let due: Vec<chrono::DateTime<chrono::Utc>> =
            sqlx::query_scalar("SELECT due_at FROM process.timers WHERE state = 'waiting'")
                .fetch_all(&desk.database.pool)
                .await
                .unwrap();
        due == [third_is_due] && desk.platform.count() == 2
    })
    .await;
    assert_eq!(desk.platform.texts(post, channel), ["one", "two"]);
    assert_eq!(status(&desk, post).await, PostStatus::Publishing);

    desk.clock.advance(TimeDelta::minutes(5));
    eventually("the whole thread", || async { status(&desk, post).await == PostStatus::Published }).await;
    assert_eq!(desk.platform.texts(post, channel), ["one", "two", "three"]);
    stop.cancel();
    managers.stopped().await;
    workers.stopped().await;
}

#[tokio::test]
async fn a_worker_that_died_at_any_part_is_followed_by_one_that_goes_on_there() {
    for dies_at in 0..3 {
        let desk = Desk::new(IdempotencyKind::ByHandle).await;
        let (post, channel) = due_thread(&desk).await;
        for part in 0..3 {
            desk.clock.advance(TimeDelta::minutes(5));
            if part == dies_at {
                // It recorded its attempt, the platform acted, and nobody heard of it.
                let attempt_id = AttemptId::new(Uuid::now_v7());
                let command = PostCommand::BeginAttempt { channel, attempt_id, now: desk.bus.now() };
                desk.bus.execute::<Post>(&context(), "PublishPost", post, command).await.unwrap();
            }
            let fired = desk.fire(post, channel, 1).await;
            match part {
                2 => assert!(matches!(fired, Fired::Done), "{fired:?}"),
                _ => assert!(matches!(fired, Fired::Later { .. }), "{fired:?}"),
            }
        }
        assert_eq!(desk.platform.texts(post, channel), ["one", "two", "three"], "died at {dies_at}");
        assert_eq!(status(&desk, post).await, PostStatus::Published);
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_and_no_part_doubles() {
    let desk = Desk::new(IdempotencyKind::Searchable).await;
    let (post, channel) = due_thread(&desk).await;
    desk.platform.next([Next::Publish, Next::PublishAndHang]);
    for _ in 0..4 {
        desk.fire(post, channel, 1).await;
        desk.clock.advance(TimeDelta::minutes(5));
    }
    assert_eq!(desk.platform.texts(post, channel), ["one", "two", "three"]);
    assert_eq!(status(&desk, post).await, PostStatus::Published);
}

#[tokio::test]
async fn a_part_that_fails_leaves_the_earlier_and_a_retry_goes_on_from_there() {
    let desk = Desk::new(IdempotencyKind::None).await;
    let (post, channel) = due_thread(&desk).await;
    desk.platform.next([Next::Publish, Next::Fail(FailureClass::BadContent)]);
    desk.fire(post, channel, 1).await;
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
    assert!(matches!(desk.state(post, channel).await, DeliveryState::Failed { .. }));
    assert_eq!(status(&desk, post).await, PostStatus::PartlyPublished);
    assert_eq!(desk.platform.texts(post, channel), ["one"]);

    desk.posts.retry(&context(), desk.member, post, retry()).await.unwrap();
    for _ in 0..2 {
        desk.fire(post, channel, 1).await;
        desk.clock.advance(TimeDelta::minutes(5));
    }
    assert_eq!(desk.platform.texts(post, channel), ["one", "two", "three"]);
    assert_eq!(status(&desk, post).await, PostStatus::Published);
}
