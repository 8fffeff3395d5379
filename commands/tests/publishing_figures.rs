//! Figures of what was published: asked for when due, recorded when new, once, whoever dies or looks twice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::{sync::Arc, time::Duration};

use annals_commands::{
    Running,
    ports::social::{FIGURES_POSTS_MAX, FailureClass, Figure, IdempotencyKind, PostReading},
    process::ProcessManagers,
    publishing::{FiguresKeeper, FiguresTimer, Publisher, channels::ChannelChange},
    timers::{Fired, Timer, TimerHandler, TimerWorkers},
};
use annals_domain::{
    kernel::{IntegrationId, PostId},
    publishing::{
        ChannelFigures, Integration, IntegrationStatus, PostFigures,
        figures::{AccountCounts, ChannelFiguresId, PostCounts, PostFiguresId},
    },
};
use annals_eventstore::StreamId;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use platform::Desk;
use support::{context, eventually};

const GIVEN: &[Figure] = &[Figure::Likes, Figure::Followers];

/// A desk whose platform counts, with the list of whom to ask about being kept.
struct Stage {
    desk: Desk,
    stop: CancellationToken,
    managers: Running,
}

impl Stage {
    async fn new() -> Self {
        let desk = Desk::new(IdempotencyKind::ByHandle).await;
        {
            let mut counting = desk.platform.counting.lock();
            counting.given = GIVEN;
            counting.account = AccountCounts { followers: Some(10), ..AccountCounts::default() };
        }
        let stop = CancellationToken::new();
        let managers = ProcessManagers::new(desk.bus.clone())
            .with(Publisher)
            .with(FiguresKeeper)
            .start(stop.clone())
            .await
            .unwrap();
        Self { desk, stop, managers }
    }

    async fn end(self) {
        self.stop.cancel();
        self.managers.stopped().await;
    }

    /// A channel whose account was looked at.
    async fn channel(&self) -> IntegrationId {
        let channel = self.desk.connect().await;
        self.watched(channel, channel.uuid()).await;
        self.fire(channel).await;
        assert_eq!(self.desk.platform.counting.lock().accounts_asked, 1, "when it is connected");
        // Its time of day follows from its id, which is another in each run: not while a test looks at posts.
        let tomorrow = self.desk.bus.now() + TimeDelta::days(1);
        for statement in ["UPDATE process.figures SET due_at = $1", "UPDATE process.timers SET due_at = $1"] {
            sqlx::query(statement).bind(tomorrow).execute(&self.desk.database.pool).await.unwrap();
        }
        channel
    }

    /// A post that was published now, and is watched.
    async fn published(&self, channel: IntegrationId) -> PostId {
        let post = self.desk.schedule(&[channel]).await;
        self.desk.clock.advance(TimeDelta::minutes(10));
        assert!(matches!(self.desk.fire(post, channel, 1).await, Fired::Done));
        self.watched(channel, post.uuid()).await;
        post
    }

    fn likes(&self, post: PostId, channel: IntegrationId, likes: u64) {
        let counts = PostCounts { likes: Some(likes), ..PostCounts::default() };
        self.reads(post, channel, PostReading::Counts(counts));
    }

    fn reads(&self, post: PostId, channel: IntegrationId, reading: PostReading) {
        let id = format!("stage:{post}:{channel}:0");
        self.desk.platform.counting.lock().posts.insert(id, reading);
    }

    async fn watched(&self, channel: IntegrationId, subject: Uuid) {
        let is_there = async || {
            let count: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM process.figures f JOIN process.timers t ON t.key = f.channel_id::text
                 WHERE f.channel_id = $1 AND f.subject_id = $2 AND t.kind = 'publishing.figures'",
            )
            .bind(channel.uuid())
            .bind(subject)
            .fetch_one(&self.desk.database.pool)
            .await
            .unwrap();
            count == 1
        };
        eventually("it is watched", || async { is_there().await }).await;
    }

    /// The timer of a channel, as it is set.
    async fn timer(&self, channel: IntegrationId) -> Option<Timer> {
        let row = sqlx::query(
            "SELECT id, key, due_at, payload, caused_by, organization_id FROM process.timers
             WHERE kind = 'publishing.figures' AND key = $1",
        )
        .bind(channel.to_string())
        .fetch_optional(&self.desk.database.pool)
        .await
        .unwrap()?;
        Some(Timer {
            id: row.get(0),
            kind: "publishing.figures".to_string(),
            key: row.get(1),
            due_at: row.get(2),
            payload: row.get(3),
            attempt: 1,
            caused_by: row.get(4),
            organization_id: row.get(5),
            leased_until: Utc::now() + TimeDelta::minutes(1),
        })
    }

    /// Fires the channel's timer now, and writes what became of it as a worker does.
    async fn fire(&self, channel: IntegrationId) -> Option<DateTime<Utc>> {
        let timer = self.timer(channel).await?;
        let pool = &self.desk.database.pool;
        match self.handler().fire(&timer).await {
            Fired::Done => {
                sqlx::query("DELETE FROM process.timers WHERE id = $1")
                    .bind(timer.id)
                    .execute(pool)
                    .await
                    .unwrap();
                None
            }
            Fired::Later { due_at } => {
                sqlx::query("UPDATE process.timers SET due_at = $2 WHERE id = $1")
                    .bind(timer.id)
                    .bind(due_at)
                    .execute(pool)
                    .await
                    .unwrap();
                Some(due_at)
            }
            other => panic!("{other:?}"),
        }
    }

    fn handler(&self) -> FiguresTimer {
        FiguresTimer::new(self.desk.bus.clone(), self.desk.platforms.clone())
    }

    fn posts_asked(&self) -> usize {
        self.desk.platform.counting.lock().posts_asked.len()
    }

    async fn payloads(&self, stream: StreamId) -> Vec<Value> {
        self.desk.opened(stream).await
    }

    async fn of_post(&self, post: PostId, channel: IntegrationId) -> Vec<Value> {
        self.payloads(StreamId::of::<PostFigures>(PostFiguresId { post, channel })).await
    }

    async fn of_channel(&self, channel: IntegrationId) -> Vec<Value> {
        let id = ChannelFiguresId::at(channel, self.desk.bus.now());
        self.payloads(StreamId::of::<ChannelFigures>(id)).await
    }

    async fn status(&self, channel: IntegrationId) -> IntegrationStatus {
        self.desk.bus.load::<Integration>(channel).await.unwrap().state.status()
    }
}

fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_is_looked_at_when_it_is_due_and_what_is_new_is_recorded() {
    let stage = Stage::new().await;
    let channel = stage.channel().await;
    let post = stage.published(channel).await;
    stage.likes(post, channel, 0);
    let start = stage.desk.bus.now();
    stage.desk.clock.advance(minutes(5));
    assert_eq!(stage.fire(channel).await, Some(start + minutes(15)), "not before its time");
    assert_eq!(stage.posts_asked(), 0);

    stage.desk.clock.advance(minutes(10));
    assert_eq!(stage.fire(channel).await, Some(start + minutes(60)));
    let first = stage.of_post(post, channel).await;
    assert_eq!(first.len(), 1, "that nobody came yet is news the first time");
    assert_eq!(first[0]["counts"], json!({"likes": 0}), "what the platform does not give is absent");

    stage.desk.clock.advance(minutes(45));
    let six_hours = start + TimeDelta::hours(6);
    assert_eq!(stage.fire(channel).await, Some(six_hours));
    assert_eq!((stage.posts_asked(), stage.of_post(post, channel).await.len()), (2, 1), "nothing is new");

    stage.likes(post, channel, 3);
    stage.desk.clock.advance(TimeDelta::hours(5));
    let next = stage.fire(channel).await.unwrap();
    assert!(next > six_hours && next <= six_hours + TimeDelta::days(1), "then with the channel, once a day");
    assert_eq!(stage.of_post(post, channel).await[1]["counts"], json!({"likes": 3}));
    assert_eq!(stage.of_channel(channel).await.len(), 1, "the account did not change");

    // A month of days, each looked at once; then weeks, and then no more.
    let mut looks = Vec::new();
    loop {
        let Some(next) = stage.fire(channel).await else { panic!("the account is watched for ever") };
        stage.desk.clock.advance(next - stage.desk.bus.now());
        let asked = stage.posts_asked();
        stage.fire(channel).await;
        if stage.posts_asked() > asked {
            looks.push(stage.desk.bus.now() - start);
        }
        if stage.desk.bus.now() - start > TimeDelta::days(110) {
            break;
        }
    }
    assert!((38..=42).contains(&looks.len()), "{}: {looks:?}", looks.len());
    assert!(looks.iter().all(|age| *age < TimeDelta::days(97)), "{looks:?}");
    assert_eq!(stage.of_post(post, channel).await.len(), 2, "only what is new is in the log");
    let days: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events WHERE event_type = 'publishing.channel_figures.looked'",
    )
    .fetch_one(&stage.desk.database.pool)
    .await
    .unwrap();
    assert!((105..=115).contains(&days), "{days}: each day of looks is noted once");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_asks_to_come_back_later_is_left_alone_until_then() {
    let stage = Stage::new().await;
    let channel = stage.channel().await;
    let post = stage.published(channel).await;
    stage.likes(post, channel, 1);
    let two_hours = Duration::from_secs(7_200);
    stage.desk.platform.counting.lock().failures.push_back((FailureClass::Retry, Some(two_hours)));
    stage.desk.clock.advance(minutes(15));
    let held = stage.desk.bus.now() + TimeDelta::hours(2);
    assert_eq!(stage.fire(channel).await, Some(held));
    let noted = stage.of_channel(channel).await;
    assert_eq!(noted[1]["missing"], json!({"class": "unavailable", "reason": "as told: Retry"}));

    // A new post does not shorten the pause.
    let other = stage.published(channel).await;
    stage.likes(other, channel, 2);
    stage.desk.clock.advance(minutes(15));
    assert_eq!(stage.fire(channel).await, Some(held));
    assert_eq!(stage.posts_asked(), 1);

    stage.desk.clock.advance(held - stage.desk.bus.now());
    stage.fire(channel).await;
    assert_eq!(stage.desk.platform.counting.lock().posts_asked, [1, 2], "both at once");
    assert_eq!(stage.of_post(post, channel).await.len(), 1);
    assert_eq!(stage.of_post(other, channel).await.len(), 1);
    assert_eq!(stage.of_channel(channel).await[2].get("missing"), None, "it is well again");

    // Without a word of when, the pauses grow.
    let next = stage.timer(channel).await.unwrap().due_at;
    stage.desk.clock.advance(next - stage.desk.bus.now());
    for pause in [15, 30, 60].map(minutes) {
        stage.desk.platform.counting.lock().failures.push_back((FailureClass::OutcomeUnknown, None));
        assert_eq!(stage.fire(channel).await, Some(stage.desk.bus.now() + pause));
        stage.desk.clock.advance(pause);
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_is_repeated_after_a_crash_records_nothing_twice() {
    let stage = Stage::new().await;
    let channel = stage.channel().await;
    let post = stage.published(channel).await;
    stage.likes(post, channel, 1);
    stage.desk.clock.advance(minutes(15));

    // Killed while the platform thinks: nothing was recorded, and it is asked again.
    stage.desk.platform.counting.lock().hangs = true;
    let timer = stage.timer(channel).await.unwrap();
    let handler = stage.handler();
    let killed = tokio::time::timeout(Duration::from_millis(300), handler.fire(&timer)).await;
    assert!(killed.is_err(), "{killed:?}");
    assert_eq!(stage.of_post(post, channel).await.len(), 0);
    stage.desk.platform.counting.lock().hangs = false;

    // Killed after the append and before its timer was settled: the same occurrence again.
    assert!(matches!(handler.fire(&timer).await, Fired::Later { .. }));
    stage.likes(post, channel, 2);
    sqlx::query("UPDATE process.figures SET due_at = $1")
        .bind(stage.desk.bus.now())
        .execute(&stage.desk.database.pool)
        .await
        .unwrap();
    assert!(matches!(handler.fire(&timer).await, Fired::Later { .. }));
    let recorded = stage.of_post(post, channel).await;
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!(recorded[0]["counts"], json!({"likes": 1}));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_ask_once() {
    let stage = Stage::new().await;
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let bus = platform::node(&stage.desk.database, &stage.desk.clock).await;
        let handler: Arc<dyn TimerHandler> = Arc::new(FiguresTimer::new(bus, stage.desk.platforms.clone()));
        let pool = support::pool_at(&stage.desk.database.url).await;
        let node = TimerWorkers::new(pool, Arc::new(stage.desk.clock.clone()), vec![handler]);
        workers.push(node.with_poll_interval(Duration::from_millis(10)).start(stop.clone()));
    }
    let channel = stage.desk.connect().await;
    let account = async || stage.of_channel(channel).await.len();
    eventually("the account is looked at", || async { account().await == 1 }).await;
    let post = stage.published(channel).await;
    let next = async || {
        let timer = stage.timer(channel).await?;
        (timer.due_at > stage.desk.bus.now()).then_some(timer.due_at)
    };
    for likes in 1..=3 {
        stage.likes(post, channel, likes);
        eventually("it is looked at", || async {
            let Some(next) = next().await else { return false };
            // What was due is settled: on to what is next.
            let is_seen = stage.of_post(post, channel).await.len() as u64 == likes;
            if !is_seen {
                stage.desk.clock.advance(next - stage.desk.bus.now());
            }
            is_seen
        })
        .await;
    }
    assert_eq!(stage.desk.platform.counting.lock().posts_asked, [1, 1, 1]);
    stop.cancel();
    for worker in workers {
        worker.stopped().await;
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_off_is_left_alone_until_it_is_on_again_and_one_that_is_gone_for_ever() {
    let stage = Stage::new().await;
    let channel = stage.channel().await;
    let post = stage.published(channel).await;
    stage.likes(post, channel, 1);
    let (channels, organization) = (&stage.desk.channels, stage.desk.member.organization);
    channels.change(&context(), organization, channel, ChannelChange::Disable).await.unwrap();
    stage.desk.clock.advance(minutes(15));
    assert_eq!(stage.fire(channel).await, None);
    assert_eq!(stage.posts_asked(), 0);

    channels.change(&context(), organization, channel, ChannelChange::Enable).await.unwrap();
    stage.watched(channel, channel.uuid()).await;
    stage.fire(channel).await;
    assert_eq!((stage.posts_asked(), stage.of_post(post, channel).await.len()), (1, 1));
    assert_eq!(stage.desk.platform.counting.lock().accounts_asked, 2);

    channels.disconnect(&context(), organization, channel).await.unwrap();
    let rows = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM process.figures")
            .fetch_one(&stage.desk.database.pool)
            .await
            .unwrap()
    };
    eventually("nobody asks any more", || async {
        rows().await == 0 && stage.timer(channel).await.is_none()
    })
    .await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_refreshed_and_an_account_that_refuses_us_is_lost() {
    let stage = Stage::new().await;
    let channel = stage.channel().await;
    *stage.desk.platform.token.lock() = 2;
    stage.desk.clock.advance(TimeDelta::days(1));
    stage.fire(channel).await;
    assert_eq!(*stage.desk.platform.refreshes.lock(), 1);
    assert_eq!(stage.desk.platform.counting.lock().accounts_asked, 2);
    assert_eq!(stage.status(channel).await, IntegrationStatus::Connected);

    stage.desk.platform.counting.lock().failures.push_back((FailureClass::Disconnected, None));
    stage.desk.clock.advance(TimeDelta::days(1));
    assert_eq!(stage.fire(channel).await, None);
    assert_eq!(stage.status(channel).await, IntegrationStatus::Expired);
    let noted = stage.of_channel(channel).await;
    assert_eq!(noted.last().unwrap()["missing"]["class"], "refused");

    assert_eq!(stage.desk.connect().await, channel);
    stage.watched(channel, channel.uuid()).await;
    stage.fire(channel).await;
    assert_eq!(stage.of_channel(channel).await.last().unwrap().get("missing"), None);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_platform_does_not_offer_is_said_once_and_costs_the_channel_nothing() {
    let stage = Stage::new().await;
    let channel = stage.channel().await;
    let post = stage.published(channel).await;
    stage.desk.platform.counting.lock().posts_fail = Some(FailureClass::Unsupported);
    stage.desk.clock.advance(minutes(15));
    let next = stage.fire(channel).await.unwrap();
    assert!(next > stage.desk.bus.now() + minutes(5));
    let missing = json!({"class": "unsupported", "reason": "as told: Unsupported"});
    assert_eq!(stage.of_channel(channel).await[1]["missing"], missing);
    stage.desk.clock.advance(next - stage.desk.bus.now());
    stage.fire(channel).await;
    assert_eq!(stage.of_post(post, channel).await.len(), 0);
    assert_eq!(stage.status(channel).await, IntegrationStatus::Connected);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_gives_nothing_is_never_asked() {
    let stage = Stage::new().await;
    stage.desk.platform.counting.lock().given = &[];
    let channel = stage.desk.connect().await;
    stage.watched(channel, channel.uuid()).await;
    assert!(stage.fire(channel).await.unwrap() > stage.desk.bus.now());
    assert_eq!(stage.desk.platform.counting.lock().accounts_asked, 0);
    assert_eq!(stage.of_channel(channel).await.len(), 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_or_archived_is_asked_for_no_more() {
    let stage = Stage::new().await;
    let channel = stage.channel().await;
    let (lost, archived) = (stage.published(channel).await, stage.published(channel).await);
    stage.reads(lost, channel, PostReading::Gone);
    stage.desk.posts.delete(&context(), stage.desk.member, archived).await.unwrap();
    let rows = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM process.figures WHERE remote_id IS NOT NULL")
            .fetch_one(&stage.desk.database.pool)
            .await
            .unwrap()
    };
    eventually("the archived one is off the list", || async { rows().await == 1 }).await;
    stage.desk.clock.advance(minutes(15));
    stage.fire(channel).await;
    assert_eq!(stage.of_post(lost, channel).await[0]["type"], "lost");
    assert_eq!(rows().await, 0);
    assert_eq!(stage.desk.platform.counting.lock().posts_asked, [1]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_posts_are_asked_for_in_turns() {
    let stage = Stage::new().await;
    let channel = stage.channel().await;
    let since = stage.desk.bus.now();
    for n in 0..(FIGURES_POSTS_MAX + 5) {
        let post = PostId::new(Uuid::now_v7());
        sqlx::query(
            "INSERT INTO process.figures (channel_id, subject_id, remote_id, since, due_at) VALUES ($1, $2, $3, $4, $4)",
        )
        .bind(channel.uuid())
        .bind(post.uuid())
        .bind(format!("stage:{n}"))
        .bind(since)
        .execute(&stage.desk.database.pool)
        .await
        .unwrap();
    }
    let again = stage.fire(channel).await.unwrap();
    assert_eq!(again, since + TimeDelta::seconds(10), "soon, and not at once");
    stage.desk.clock.advance(TimeDelta::seconds(10));
    stage.fire(channel).await;
    assert_eq!(stage.desk.platform.counting.lock().posts_asked, [FIGURES_POSTS_MAX, 5]);
    stage.end().await;
}
