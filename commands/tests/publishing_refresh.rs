//! Channels' credentials: refreshed before they end, by the timer and by hand; what is lost holds posts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::{sync::Arc, time::Duration};

use annals_commands::{
    Running,
    bus::CommandError,
    ports::social::{FailureClass, IdempotencyKind},
    process::ProcessManagers,
    publishing::{CredentialsKeeper, Publisher, RefreshTimer},
    timers::{Fired, TimerHandler, TimerWorkers},
};
use annals_domain::{
    kernel::IntegrationId,
    publishing::{
        Integration, IntegrationCommand, IntegrationStatus, Post,
        post::{DeliveryState, PostStatus},
    },
};
use chrono::TimeDelta;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use platform::Desk;
use support::{context, eventually};

async fn channel(desk: &Desk, id: IntegrationId) -> Arc<Integration> {
    desk.bus.load::<Integration>(id).await.unwrap().state
}

/// Process managers and timers of a node, with a clock that the test moves.
async fn node(desk: &Desk, stop: &CancellationToken) -> [Running; 2] {
    let managers = ProcessManagers::new(desk.bus.clone())
        .with(Publisher)
        .with(CredentialsKeeper)
        .start(stop.clone())
        .await
        .unwrap();
    let handlers: Vec<Arc<dyn TimerHandler>> =
        vec![Arc::new(desk.worker()), Arc::new(RefreshTimer::new(desk.bus.clone(), desk.platforms.clone()))];
    let workers = TimerWorkers::new(desk.database.pool.clone(), Arc::new(desk.clock.clone()), handlers)
        .with_poll_interval(Duration::from_millis(20))
        .start(stop.clone());
    [managers, workers]
}

async fn stopped(running: [Running; 2], stop: CancellationToken) {
    stop.cancel();
    for running in running {
        running.stopped().await;
    }
}

/// The timers of refreshes that wait for a later time.
async fn waiting(desk: &Desk) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM process.timers WHERE kind = 'publishing.refresh' AND due_at > $1",
    )
    .bind(desk.bus.now())
    .fetch_one(&desk.database.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_refreshed_before_they_end_and_again_before_the_new_ones_do() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let stop = CancellationToken::new();
    let running = node(&desk, &stop).await;
    let start = desk.bus.now();
    // Each lives for 100 minutes from when it is given: after 0, 80, 160 and 240 minutes.
    for (token, given) in [(1, 0), (2, 80), (3, 160), (4, 240)] {
        desk.platform.ends.lock().insert(token, start + TimeDelta::minutes(given + 100));
    }
    let id = desk.connect().await;
    for token in 2..5 {
        eventually("a timer for the refresh", || async { waiting(&desk).await == 1 }).await;
        *desk.platform.token.lock() = token;
        desk.clock.advance(TimeDelta::minutes(79));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(*desk.platform.refreshes.lock(), token - 2, "not a minute before its time");
        desk.clock.advance(TimeDelta::minutes(1));
        eventually("the refresh is recorded", || async {
            channel(&desk, id).await.credentials() == Some(&json!({"token": token}))
        })
        .await;
        assert_eq!(*desk.platform.refreshes.lock(), token - 1, "once");
    }
    stopped(running, stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_is_refused_loses_the_account_and_its_posts_go_out_when_it_is_back() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let stop = CancellationToken::new();
    desk.platform.ends.lock().insert(1, desk.bus.now() + TimeDelta::minutes(5));
    *desk.platform.refresh_failure.lock() = Some(FailureClass::Disconnected);
    let running = node(&desk, &stop).await;
    let (post, id) = desk.due().await;
    eventually("access is lost", || async {
        channel(&desk, id).await.status() == IntegrationStatus::Expired
    })
    .await;
    let held = async || {
        let timer: Option<bool> = sqlx::query_scalar(
            "SELECT due_at > $1 FROM process.timers WHERE kind = 'publishing.publish' AND state = 'waiting'",
        )
        .bind(desk.bus.now())
        .fetch_optional(&desk.database.pool)
        .await
        .unwrap();
        timer == Some(true)
    };
    let published =
        async || desk.bus.load::<Post>(post).await.unwrap().state.status() == PostStatus::Published;
    eventually("the post is held, or was published before", || async { held().await || published().await })
        .await;
    desk.platform.ends.lock().clear();
    *desk.platform.refresh_failure.lock() = None;
    assert_eq!(desk.connect().await, id);
    eventually("the post is published without the clock being moved", || async { published().await }).await;
    assert_eq!(desk.platform.count(), 1);
    stopped(running, stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_lost_while_its_post_is_begun_burns_nothing() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    // Another node, so that what the worker looked at has changed when it writes.
    let other = platform::node(&desk.database, &desk.clock).await;
    let mut held = 0;
    for round in 0..60 {
        *desk.platform.account.lock() = format!("account {round}");
        let (post, id) = desk.due().await;
        let lost = async {
            // A little later each time: before the look, between it and the attempt, after it.
            tokio::time::sleep(Duration::from_micros(100 * round)).await;
            let reason = "as told".to_string();
            let command = IntegrationCommand::LoseAccess { reason, now: desk.bus.now() };
            other.execute::<Integration>(&context(), "LoseAccess", id, command).await.unwrap();
        };
        let (fired, ()) = tokio::join!(desk.fire(post, id, 1), lost);
        match desk.state(post, id).await {
            DeliveryState::Published { .. } => assert!(matches!(fired, Fired::Done), "{fired:?}"),
            DeliveryState::Scheduled { .. } => {
                assert!(matches!(fired, Fired::Later { .. }), "{fired:?}");
                held += 1;
            }
            other => panic!("round {round}: {other:?}"),
        }
    }
    assert!(held > 0, "no channel was lost before its post went out");
}

#[tokio::test]
async fn a_refresh_by_hand_renews_and_says_when_the_owner_is_needed() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let id = desk.connect().await;
    let refresh = async || desk.channels.refresh(&context(), desk.member.organization, id).await;
    *desk.platform.token.lock() = 2;
    refresh().await.unwrap();
    assert_eq!(channel(&desk, id).await.credentials(), Some(&json!({"token": 2})));

    let code = |error: CommandError| match error {
        CommandError::Refused(refusal) => refusal.code(),
        other => panic!("{other}"),
    };
    // What is empty, and what did not come through, overwrites nothing.
    *desk.platform.refresh_answer.lock() = Some(json!({}));
    assert_eq!(code(refresh().await.unwrap_err()), "PLATFORM_UNAVAILABLE");
    *desk.platform.refresh_failure.lock() = Some(FailureClass::OutcomeUnknown);
    assert_eq!(code(refresh().await.unwrap_err()), "PLATFORM_UNAVAILABLE");
    assert_eq!(channel(&desk, id).await.credentials(), Some(&json!({"token": 2})));
    assert_eq!(channel(&desk, id).await.status(), IntegrationStatus::Connected);

    *desk.platform.refresh_failure.lock() = Some(FailureClass::Disconnected);
    assert_eq!(code(refresh().await.unwrap_err()), "CHANNEL_EXPIRED");
    assert_eq!(channel(&desk, id).await.status(), IntegrationStatus::Expired);
    let stranger = annals_domain::kernel::OrganizationId::new(uuid::Uuid::now_v7());
    let refused = desk.channels.refresh(&context(), stranger, id).await.unwrap_err();
    assert_eq!(code(refused), "NOT_FOUND");
}

#[tokio::test]
async fn a_channel_without_an_end_needs_no_timer() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let id = desk.connect().await;
    let timer = annals_commands::timers::Timer {
        payload: json!({"channel": id, "since": desk.bus.now(), "correlation": uuid::Uuid::nil()}),
        kind: "publishing.refresh".to_string(),
        ..platform::timer(Default::default(), id, 1)
    };
    let handler = RefreshTimer::new(desk.bus.clone(), desk.platforms.clone());
    assert!(matches!(handler.fire(&timer).await, Fired::Done));
    assert_eq!(*desk.platform.refreshes.lock(), 0);
}
