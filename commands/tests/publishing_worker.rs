//! The publishing worker on a real Postgres: never twice, and nothing lost silently.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::{sync::Arc, time::Duration};

use annals_commands::{
    bus::CommandError,
    ports::social::{FailureClass, IdempotencyKind},
    process::ProcessManagers,
    publishing::{
        Publisher,
        channels::ChannelChange,
        retry::{Doubling, RetryRequest},
    },
    timers::{Fired, TimerHandler, TimerWorkers},
};
use annals_domain::{
    kernel::{AttemptId, IntegrationId, PostId},
    publishing::{
        Integration, IntegrationStatus, Post, PostCommand, PostStatus,
        post::{DeliveryState, FailureClass as Why},
    },
};
use chrono::TimeDelta;
use platform::{Desk, Next, timer};
use serde_json::json;
use support::{context, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn is_soon(fired: &Fired) -> bool {
    matches!(fired, Fired::Later { .. })
}

/// A worker that recorded its attempt and died.
async fn die_after_attempt(desk: &Desk, post: PostId, channel: IntegrationId) {
    let attempt_id = AttemptId::new(Uuid::now_v7());
    let command = PostCommand::BeginAttempt { channel, attempt_id, now: desk.bus.now() };
    desk.bus.execute::<Post>(&context(), "PublishPost", post, command).await.unwrap();
}

fn retry(doubling: Doubling) -> RetryRequest {
    RetryRequest { channel: None, doubling }
}

#[tokio::test]
async fn what_is_due_is_attempted_published_and_recorded() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
    assert_eq!(desk.events(post).await, ["drafted", "scheduled", "publish_attempted", "published"]);
    assert_eq!(desk.platform.count(), 1);
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done), "there is nothing left to do");
    assert_eq!(*desk.platform.calls.lock(), 1);
}

#[tokio::test]
async fn what_is_not_due_waits_for_its_time() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let channel = desk.connect().await;
    let post = desk.schedule(&[channel]).await;
    let due = desk.bus.now() + TimeDelta::minutes(10);
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Later { due_at } if due_at == due));
    assert_eq!(*desk.platform.calls.lock(), 0);
}

#[tokio::test]
async fn what_was_cancelled_is_not_published() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    desk.posts.delete(&context(), desk.member, post).await.unwrap();
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
    assert_eq!(desk.platform.count(), 0);
}

#[tokio::test]
async fn what_did_not_act_is_tried_three_times_and_then_failed_with_what_to_do() {
    let desk = Desk::new(IdempotencyKind::None).await;
    let (post, channel) = desk.due().await;
    desk.platform.next([Next::Fail(FailureClass::Retry); 3]);
    for attempt in 1..=2 {
        let fired = desk.fire(post, channel, attempt).await;
        assert!(matches!(fired, Fired::NotActed { .. }), "{attempt}: {fired:?}");
    }
    assert!(matches!(desk.fire(post, channel, 3).await, Fired::Done));
    let DeliveryState::Failed { failure, .. } = desk.state(post, channel).await else { panic!("not failed") };
    assert_eq!(failure.class, Why::NotActed);
    assert_eq!(desk.platform.count(), 0);

    desk.posts.retry(&context(), desk.member, post, retry(Doubling::Never)).await.unwrap();
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done), "a person's wish counts anew");
    assert_eq!(desk.platform.count(), 1);
}

/// A dead worker costs the timer a try, and must not cost the post one.
#[tokio::test]
async fn the_timer_is_not_parked_before_the_post_says_that_it_failed() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    desk.platform.next([Next::Fail(FailureClass::Retry)]);
    assert!(is_soon(&desk.fire(post, channel, 7).await));
}

#[tokio::test]
async fn bad_content_is_failed_at_once() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    desk.platform.next([Next::Fail(FailureClass::BadContent)]);
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
    let DeliveryState::Failed { failure, .. } = desk.state(post, channel).await else { panic!("not failed") };
    assert_eq!(failure.class, Why::BadContent);
}

#[tokio::test]
async fn an_account_that_lets_nobody_in_expires_the_channel_and_holds_the_post_until_it_is_back() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    desk.platform.next([Next::Fail(FailureClass::Disconnected)]);
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::NotActed { .. }));
    let loaded = desk.bus.load::<Integration>(channel).await.unwrap();
    assert_eq!(loaded.state.status(), IntegrationStatus::Expired);
    let calls = *desk.platform.calls.lock();
    for _ in 0..5 {
        let Fired::Later { due_at } = desk.fire(post, channel, 1).await else { panic!("not held") };
        assert!(due_at > desk.bus.now());
        desk.clock.advance(TimeDelta::minutes(10));
    }
    assert_eq!(*desk.platform.calls.lock(), calls, "who is not let in does not knock");
    let DeliveryState::Scheduled { last_reason } = desk.state(post, channel).await else { panic!("burnt") };
    assert_eq!(last_reason.as_deref(), Some("as told: Disconnected"));

    assert_eq!(desk.connect().await, channel, "the same account comes back under its id");
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
    assert_eq!(desk.platform.count(), 1);
}

#[tokio::test]
async fn a_channel_that_is_off_when_it_is_due_fails_in_words() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    let organization = desk.member.organization;
    desk.channels.change(&context(), organization, channel, ChannelChange::Disable).await.unwrap();
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
    let DeliveryState::Failed { failure, .. } = desk.state(post, channel).await else { panic!("not failed") };
    assert_eq!((failure.class, failure.what_to_do.as_str()), (Why::ChannelOff, "enable it, then retry"));
    assert_eq!(*desk.platform.calls.lock(), 0);
}

#[tokio::test]
async fn a_platform_that_acts_and_does_not_answer_is_asked_and_never_told_twice() {
    for kind in [IdempotencyKind::ByHandle, IdempotencyKind::Searchable] {
        let desk = Desk::new(kind).await;
        let (post, channel) = desk.due().await;
        desk.platform.next([Next::PublishAndHang]);
        assert!(is_soon(&desk.fire(post, channel, 1).await));
        assert!(matches!(desk.state(post, channel).await, DeliveryState::Unknown { .. }));
        assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
        assert!(matches!(desk.state(post, channel).await, DeliveryState::Published { .. }));
        assert_eq!((desk.platform.count(), *desk.platform.calls.lock()), (1, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn a_handle_that_did_not_arrive_is_sent_again_by_itself_and_only_so_often() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    desk.platform.next([Next::Hang; 3]);
    for _ in 0..3 {
        assert!(is_soon(&desk.fire(post, channel, 1).await));
    }
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done), "three times is enough");
    assert!(matches!(desk.state(post, channel).await, DeliveryState::Unknown { .. }));
    desk.posts.retry(&context(), desk.member, post, retry(Doubling::Never)).await.unwrap();
    desk.fire(post, channel, 1).await;
    assert_eq!((desk.platform.count(), *desk.platform.calls.lock()), (1, 4));
}

#[tokio::test]
async fn an_attempt_whose_worker_died_is_unknown_first() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    die_after_attempt(&desk, post, channel).await;
    assert!(matches!(desk.fire(post, channel, 2).await, Fired::Done));
    let events = desk.events(post).await;
    let after = ["publish_attempted", "outcome_unknown", "retry_requested", "publish_attempted", "published"];
    assert_eq!(events[2..], after);
    assert_eq!(desk.platform.count(), 1);
}

#[tokio::test]
async fn where_nobody_can_tell_only_a_person_decides() {
    let desk = Desk::new(IdempotencyKind::None).await;
    let (post, channel) = desk.due().await;
    desk.platform.next([Next::PublishAndHang]);
    desk.fire(post, channel, 1).await;
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
    assert!(matches!(desk.state(post, channel).await, DeliveryState::Unknown { .. }));
    assert_eq!(*desk.platform.calls.lock(), 1, "it is not tried by itself");

    let refused = desk.posts.retry(&context(), desk.member, post, retry(Doubling::Never)).await.unwrap_err();
    assert!(matches!(refused, CommandError::Refused(refusal) if refusal.code() == "OUTCOME_UNKNOWN"));
    desk.posts.retry(&context(), desk.member, post, retry(Doubling::MayHappen)).await.unwrap();
    desk.fire(post, channel, 1).await;
    assert_eq!(desk.platform.count(), 2, "as was confirmed");
}

#[tokio::test]
async fn a_retry_of_what_is_there_after_all_only_records_it() {
    let desk = Desk::new(IdempotencyKind::Searchable).await;
    let (post, channel) = desk.due().await;
    desk.platform.next([Next::PublishAndHang]);
    desk.fire(post, channel, 1).await;
    desk.posts.retry(&context(), desk.member, post, retry(Doubling::Never)).await.unwrap();
    assert!(matches!(desk.state(post, channel).await, DeliveryState::Published { .. }));
    assert_eq!(*desk.platform.calls.lock(), 1);
}

/// No handle to hide behind: the log alone keeps eight workers from publishing eight times.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_with_one_timer_publish_once() {
    let desk = Desk::new(IdempotencyKind::None).await;
    let (post, channel) = desk.due().await;
    let mut fires = Vec::new();
    for _ in 0..8 {
        let bus = platform::node(&desk.database, &desk.clock).await;
        let lease = Duration::from_secs(20);
        let worker =
            annals_commands::publishing::PublishTimer::with_lease(bus, desk.platforms.clone(), lease);
        fires.push(tokio::spawn(async move { worker.fire(&timer(post, channel, 1)).await }));
    }
    for fire in fires {
        fire.await.unwrap();
    }
    assert_eq!((desk.platform.count(), *desk.platform.calls.lock()), (1, 1));
}

#[tokio::test]
async fn credentials_that_ran_out_are_renewed_recorded_and_used() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    *desk.platform.token.lock() = 2;
    assert!(matches!(desk.fire(post, channel, 1).await, Fired::Done));
    assert_eq!((desk.platform.count(), *desk.platform.refreshes.lock()), (1, 1));
    let loaded = desk.bus.load::<Integration>(channel).await.unwrap();
    assert_eq!(loaded.state.credentials(), Some(&json!({"token": 2})));
}

#[tokio::test]
async fn a_renewal_that_brings_nothing_overwrites_nothing() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    *desk.platform.token.lock() = 2;
    for nothing in [json!(null), json!({}), json!("")] {
        *desk.platform.refresh_answer.lock() = Some(nothing);
        desk.fire(post, channel, 1).await;
        let loaded = desk.bus.load::<Integration>(channel).await.unwrap();
        assert_eq!(loaded.state.credentials(), Some(&json!({"token": 1})));
    }
    // Renewed, and still not let in: the account is lost.
    *desk.platform.refresh_answer.lock() = Some(json!({"token": 99}));
    desk.posts.retry(&context(), desk.member, post, retry(Doubling::Never)).await.unwrap();
    desk.fire(post, channel, 1).await;
    let loaded = desk.bus.load::<Integration>(channel).await.unwrap();
    assert_eq!(loaded.state.status(), IntegrationStatus::Expired);
}

/// The process manager, the timers and the worker together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_post_goes_out_at_its_time_on_each_channel() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let first = desk.connect().await;
    *desk.platform.account.lock() = "bob".to_string();
    let second = desk.connect().await;
    let post = desk.schedule(&[first, second]).await;
    let moved = desk.schedule(&[first]).await;

    let stop = CancellationToken::new();
    let managers = ProcessManagers::new(desk.bus.clone()).with(Publisher).start(stop.clone()).await.unwrap();
    let handlers: Vec<Arc<dyn TimerHandler>> = vec![Arc::new(desk.worker())];
    let workers = TimerWorkers::new(desk.database.pool.clone(), Arc::new(desk.clock.clone()), handlers)
        .with_poll_interval(Duration::from_millis(20))
        .start(stop.clone());

    let later = desk.request("hello", &[first], 60);
    desk.posts.revise(&context(), desk.member, moved, later).await.unwrap();
    eventually("three timers", || async {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM process.timers WHERE due_at > $1")
            .bind(desk.bus.now())
            .fetch_one(&desk.database.pool)
            .await
            .unwrap();
        count == 3
    })
    .await;
    assert_eq!(desk.platform.count(), 0, "nothing before its time");

    desk.clock.advance(TimeDelta::minutes(10));
    eventually("both deliveries", || async {
        desk.bus.load::<Post>(post).await.unwrap().state.status() == PostStatus::Published
    })
    .await;
    assert_eq!(desk.bus.load::<Post>(moved).await.unwrap().state.status(), PostStatus::Scheduled);
    assert_eq!(desk.platform.count(), 2);

    stop.cancel();
    managers.stopped().await;
    workers.stopped().await;
}
