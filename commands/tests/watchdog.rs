//! What should have been published and was not is found once, whatever the cause, and goes on if it can.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::{sync::Arc, time::Duration};

use annals_commands::{
    Running,
    ports::social::IdempotencyKind,
    process::{ProcessManagers, checkpoints},
    publishing::{DueDeliveries, Publisher, Watchdog, WatchdogOptions, watchdog::Found},
    timers::{TimerHandler, TimerWorkers},
};
use annals_domain::{
    kernel::{IntegrationId, PostId},
    operations::{Reason, TimerControl, TimerControlCommand},
    publishing::{
        Integration, IntegrationCommand, Post, PostCommand, PostEvent, PostStatus,
        post::{Overdue, OverdueCause},
    },
};
use annals_eventstore::{Opening, StreamId};
use chrono::TimeDelta;
use platform::{Desk, Next, node};
use support::{context, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LATE_BY: TimeDelta = TimeDelta::minutes(10);

struct Kennel {
    desk: Desk,
    stop: CancellationToken,
    managers: Option<Running>,
}

impl Kennel {
    async fn new(idempotency: IdempotencyKind) -> Self {
        let mut kennel =
            Self { desk: Desk::new(idempotency).await, stop: CancellationToken::new(), managers: None };
        kennel.follow().await;
        kennel
    }

    async fn follow(&mut self) {
        self.stop = CancellationToken::new();
        let managers = ProcessManagers::new(self.desk.bus.clone()).with(Publisher).with(DueDeliveries);
        self.managers = Some(managers.start(self.stop.clone()).await.unwrap());
    }

    /// The process managers stand still: the tables are as they are.
    async fn rest(&mut self) {
        self.caught_up().await;
        self.stop.cancel();
        self.managers.take().unwrap().stopped().await;
    }

    async fn caught_up(&self) {
        let pool = &self.desk.database.pool;
        eventually("the process managers are at the head", || async {
            let checkpoints = checkpoints(pool).await.unwrap();
            checkpoints.len() == 2 && checkpoints.iter().all(|one| one.position == one.head)
        })
        .await;
    }

    fn watchdog(&self) -> Watchdog {
        let options = WatchdogOptions { late_by: LATE_BY, ..WatchdogOptions::default() };
        Watchdog::new(self.desk.bus.clone(), options)
    }

    /// Looks, with the tables up to date.
    async fn sweep(&self) -> Found {
        self.caught_up().await;
        self.watchdog().sweep().await.unwrap()
    }

    async fn scheduled(&self) -> (PostId, IntegrationId) {
        let channel = self.desk.connect().await;
        let post = self.desk.schedule(&[channel]).await;
        self.caught_up().await;
        (post, channel)
    }

    async fn lose_timers(&self) {
        let lost = sqlx::query("DELETE FROM process.timers").execute(&self.desk.database.pool).await.unwrap();
        assert_eq!(lost.rows_affected(), 1);
    }

    async fn timers(&self) -> i64 {
        let timers =
            sqlx::query_scalar("SELECT count(*) FROM process.timers WHERE kind = 'publishing.publish'");
        timers.fetch_one(&self.desk.database.pool).await.unwrap()
    }

    async fn found(&self, post: PostId) -> Vec<PostEvent> {
        let store = self.desk.bus.store();
        let stored = store.read_stream(&StreamId::of::<Post>(post), 0, 100).await.unwrap();
        let events = store.open_events(&stored, Opening::Nothing).await.unwrap();
        let events = events.iter().map(|event| event.decode::<PostEvent>().unwrap());
        events.filter(|event| matches!(event, PostEvent::FoundOverdue { .. })).collect()
    }

    async fn cause(&self, post: PostId) -> OverdueCause {
        let found = self.found(post).await;
        let [PostEvent::FoundOverdue { cause, reason, what_to_do, .. }] = found.as_slice() else {
            panic!("not found once: {found:?}")
        };
        assert!(!reason.is_empty() && !what_to_do.is_empty());
        *cause
    }

    async fn rows(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT row_to_json(w)::text FROM process.watched w ORDER BY post, channel")
            .fetch_all(&self.desk.database.pool)
            .await
            .unwrap()
    }
}

fn found(overdue: u32, timers_set: u32) -> Found {
    Found { overdue, timers_set }
}

#[tokio::test]
async fn what_goes_as_planned_is_not_found() {
    let kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = kennel.scheduled().await;
    assert_eq!(kennel.sweep().await, found(0, 0), "it is not due yet");
    kennel.desk.clock.advance(TimeDelta::minutes(19));
    assert_eq!(kennel.sweep().await, found(0, 0), "its worker may be busy");
    kennel.desk.fire(post, channel, 1).await;
    kennel.desk.clock.advance(TimeDelta::days(1));
    assert_eq!(kennel.sweep().await, found(0, 0));
    assert_eq!(kennel.rows().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_timer_is_set_again_and_the_post_goes_out() {
    let kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, _) = kennel.scheduled().await;
    kennel.lose_timers().await;
    kennel.desk.clock.advance(TimeDelta::seconds(10 * 60 + 59));
    assert_eq!(kennel.sweep().await, found(0, 0), "it may be on its way");
    kennel.desk.clock.advance(TimeDelta::seconds(1));
    assert_eq!(kennel.sweep().await, found(0, 1));
    assert_eq!(kennel.sweep().await, found(0, 0), "once");

    let stop = CancellationToken::new();
    let handlers: Vec<Arc<dyn TimerHandler>> = vec![Arc::new(kennel.desk.worker())];
    let clock = Arc::new(kennel.desk.clock.clone());
    let workers = TimerWorkers::new(kennel.desk.database.pool.clone(), clock, handlers)
        .with_poll_interval(Duration::from_millis(20))
        .start(stop.clone());
    eventually("it is published", || async {
        kennel.desk.bus.load::<Post>(post).await.unwrap().state.status() == PostStatus::Published
    })
    .await;
    stop.cancel();
    workers.stopped().await;
    assert_eq!(kennel.desk.platform.count(), 1);
}

#[tokio::test]
async fn what_is_late_is_found_once_with_why_and_what_to_do() {
    let kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = kennel.scheduled().await;
    kennel.desk.clock.advance(TimeDelta::minutes(20));
    assert_eq!(kennel.sweep().await, found(1, 0));
    assert_eq!(kennel.cause(post).await, OverdueCause::NotTakenUp);
    for _ in 0..3 {
        kennel.desk.clock.advance(TimeDelta::hours(1));
        assert_eq!(kennel.sweep().await, found(0, 0));
    }
    // It is late and not lost: whoever comes publishes it.
    kennel.desk.fire(post, channel, 1).await;
    kennel.caught_up().await;
    assert_eq!((kennel.desk.platform.count(), kennel.rows().await.len()), (1, 0));
}

#[tokio::test]
async fn a_channel_that_lost_access_is_why() {
    let kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = kennel.scheduled().await;
    let lose = IntegrationCommand::LoseAccess { reason: "gone".to_string(), now: kennel.desk.bus.now() };
    kennel.desk.bus.execute::<Integration>(&context(), "LoseAccess", channel, lose).await.unwrap();
    kennel.desk.clock.advance(TimeDelta::minutes(20));
    assert_eq!(kennel.sweep().await, found(1, 0));
    assert_eq!(kennel.cause(post).await, OverdueCause::LostAccess);
}

#[tokio::test]
async fn a_parked_timer_is_said_and_left_to_a_person() {
    let kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, _) = kennel.scheduled().await;
    sqlx::query("UPDATE process.timers SET state = 'parked', reason = 'the platform is down'")
        .execute(&kennel.desk.database.pool)
        .await
        .unwrap();
    kennel.desk.clock.advance(TimeDelta::minutes(20));
    assert_eq!(kennel.sweep().await, found(1, 0));
    let PostEvent::FoundOverdue { cause, reason, .. } = kennel.found(post).await.remove(0) else { panic!() };
    assert_eq!(cause, OverdueCause::TimerParked);
    assert!(reason.contains("the platform is down"), "{reason}");
}

/// Who cancels a timer means it.
#[tokio::test]
async fn a_timer_that_the_operator_cancelled_is_not_set_again() {
    let kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = kennel.scheduled().await;
    kennel.lose_timers().await;
    let cancel = TimerControlCommand::Cancel {
        kind: "publishing.publish".to_string(),
        key: format!("{post}:{channel}"),
        due_at: kennel.desk.bus.now(),
        reason: Reason::parse("its campaign was withdrawn").unwrap(),
    };
    kennel.desk.bus.execute::<TimerControl>(&context(), "CancelTimer", Uuid::now_v7(), cancel).await.unwrap();
    kennel.desk.clock.advance(TimeDelta::minutes(20));
    assert_eq!(kennel.sweep().await, found(1, 0));
    assert_eq!(kennel.cause(post).await, OverdueCause::TimerCancelled);

    // Until somebody schedules it anew.
    let later = kennel.desk.request("hello", &[channel], 30);
    kennel.desk.posts.revise(&context(), kennel.desk.member, post, later).await.unwrap();
    kennel.caught_up().await;
    kennel.lose_timers().await;
    kennel.desk.clock.advance(TimeDelta::minutes(40));
    assert_eq!(kennel.sweep().await, found(1, 1));
}

#[tokio::test]
async fn an_unknown_outcome_that_nobody_decides_is_found_and_nothing_is_tried_again() {
    let kennel = Kennel::new(IdempotencyKind::None).await;
    let (post, channel) = kennel.scheduled().await;
    kennel.desk.clock.advance(TimeDelta::minutes(10));
    kennel.desk.platform.next([Next::PublishAndHang]);
    kennel.desk.fire(post, channel, 1).await;
    kennel.caught_up().await;
    kennel.lose_timers().await;
    kennel.desk.clock.advance(TimeDelta::minutes(9));
    assert_eq!(kennel.sweep().await, found(0, 0));
    kennel.desk.clock.advance(TimeDelta::minutes(2));
    assert_eq!(kennel.sweep().await, found(1, 0));
    assert_eq!(kennel.cause(post).await, OverdueCause::OutcomeUnknown);
    assert_eq!(kennel.timers().await, 0);
    assert_eq!(*kennel.desk.platform.calls.lock(), 1);
}

/// Whatever of it was done before the kill, the next sweep does the rest and nothing twice.
#[tokio::test]
async fn a_watchdog_killed_in_between_is_followed_by_another() {
    let mut kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = kennel.scheduled().await;
    kennel.lose_timers().await;
    kennel.desk.clock.advance(TimeDelta::minutes(20));
    // Its event is in the log, the timer is not set, and the table has not heard of it.
    kennel.rest().await;
    let overdue = Overdue {
        cause: OverdueCause::TimerLost,
        reason: "its timer was lost".to_string(),
        what_to_do: "nothing".to_string(),
    };
    let command = PostCommand::FindOverdue { channel, late_by: LATE_BY, overdue, at: kennel.desk.bus.now() };
    kennel.desk.bus.execute::<Post>(&context(), "FindOverdue", post, command).await.unwrap();
    assert_eq!(kennel.watchdog().sweep().await.unwrap(), found(0, 1));
    assert_eq!(kennel.watchdog().sweep().await.unwrap(), found(0, 0));
    kennel.follow().await;
    assert_eq!(kennel.sweep().await, found(0, 0));
    assert_eq!((kennel.found(post).await.len(), kennel.timers().await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_nodes_find_it_once() {
    let kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, _) = kennel.scheduled().await;
    kennel.lose_timers().await;
    kennel.desk.clock.advance(TimeDelta::minutes(20));
    let mut sweeps = Vec::new();
    for _ in 0..6 {
        let bus = node(&kennel.desk.database, &kennel.desk.clock).await;
        let options = WatchdogOptions { late_by: LATE_BY, ..WatchdogOptions::default() };
        sweeps.push(tokio::spawn(async move { Watchdog::new(bus, options).sweep().await.unwrap() }));
    }
    let mut sum = Found::default();
    for sweep in sweeps {
        let Found { overdue, timers_set } = sweep.await.unwrap();
        sum = found(sum.overdue + overdue, sum.timers_set + timers_set);
    }
    assert_eq!(sum, found(1, 1));
    assert_eq!(kennel.found(post).await.len(), 1);
}

/// As when a log of years meets its first watchdog.
#[tokio::test]
async fn a_table_that_is_behind_is_not_gone_by() {
    let mut kennel = Kennel::new(IdempotencyKind::ByHandle).await;
    let (post, _) = kennel.scheduled().await;
    kennel.lose_timers().await;
    kennel.desk.clock.advance(TimeDelta::minutes(20));
    kennel.rest().await;
    for sql in [
        "ALTER TABLE events DISABLE TRIGGER USER",
        "UPDATE events SET recorded_at = recorded_at - interval '1 hour'",
        "UPDATE process.checkpoints SET position = 0 WHERE name = 'publishing.watchdog'",
    ] {
        sqlx::query(sql).execute(&kennel.desk.database.pool).await.unwrap();
    }
    assert_eq!(kennel.watchdog().sweep().await.unwrap(), found(0, 0));
    kennel.follow().await;
    assert_eq!(kennel.sweep().await, found(1, 1));
    assert_eq!(kennel.cause(post).await, OverdueCause::TimerLost);
}

#[tokio::test]
async fn its_table_is_what_the_events_say() {
    let mut kennel = Kennel::new(IdempotencyKind::None).await;
    let (post, channel) = kennel.scheduled().await;
    let second = kennel.desk.schedule(&[channel]).await;
    let third = kennel.desk.schedule(&[channel]).await;
    kennel.desk.posts.delete(&context(), kennel.desk.member, third).await.unwrap();
    kennel.desk.clock.advance(TimeDelta::minutes(10));
    kennel.desk.platform.next([Next::Hang]);
    kennel.desk.fire(post, channel, 1).await;
    kennel.desk.clock.advance(TimeDelta::minutes(11));
    assert_eq!(kennel.sweep().await, found(2, 0));
    kennel.rest().await;
    let before = kennel.rows().await;
    assert_eq!(before.len(), 2, "{second} and {post}");
    let pool = &kennel.desk.database.pool;
    for sql in [
        "DELETE FROM process.watched",
        "UPDATE process.checkpoints SET position = 0 WHERE name = 'publishing.watchdog'",
    ] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
    kennel.follow().await;
    kennel.caught_up().await;
    assert_eq!(kennel.rows().await, before);
}
