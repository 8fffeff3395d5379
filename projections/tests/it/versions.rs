//! A newer version builds beside the old one and takes over; the old one ends when nobody runs it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use annals_projections::ProjectorOptions;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Log, PATIENCE, Running, Switch, Writers, contents, quick, until};

/// A reader that asks a version's view all the time: an error or a step back fails it.
pub(crate) struct Watcher {
    stop: CancellationToken,
    asked: Arc<AtomicU64>,
    task: JoinHandle<i64>,
}

impl Watcher {
    /// `at_least` is what the first answer must show already.
    pub(crate) async fn start(url: &str, version: u32, at_least: i64) -> Self {
        // More than one connection: a prepared statement lives on each.
        let pool = PgPoolOptions::new().max_connections(3).connect(url).await.unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        let sql = format!(
            "SELECT coalesce((SELECT sum(events) FROM read.totals_v{version}), 0)::bigint,
                    (SELECT count(*) FROM read.entries_v{version}),
                    coalesce((SELECT max(position) FROM read.entries_v{version}), 0)"
        );
        let task = tokio::spawn(async move {
            let mut seen = at_least;
            while !stopped.is_cancelled() {
                let (events, entries, newest): (i64, i64, i64) =
                    sqlx::query_as(&sql).fetch_one(&pool).await.expect("a reader never sees an error");
                assert_eq!((events, entries), (newest, newest), "no row is lost or doubled at any moment");
                assert!(newest >= seen, "went back from {seen} to {newest}");
                seen = newest;
                counted.fetch_add(1, Ordering::Relaxed);
            }
            seen
        });
        Self { stop, asked, task }
    }

    /// Waits until it has asked so many times.
    pub(crate) async fn has_asked(&self, times: u64) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.asked.load(Ordering::Relaxed) < times && !self.task.is_finished() {
            assert!(tokio::time::Instant::now() < deadline, "the reader has not asked {times} times");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it; what it saw last.
    pub(crate) async fn stop(self) -> i64 {
        self.stop.cancel();
        self.task.await.expect("the reader saw neither an error nor a step back")
    }
}

/// Begins to watch a version in the moment it is live, from what the old one shows at that moment.
async fn watch_as_soon_as_live(pool: &PgPool, url: &str, version: u32) -> Watcher {
    let condition = format!("version = {version} AND state = 'live'");
    let before = contents(pool, version - 1).await.entries.len();
    until("the new version takes over", pool, &condition).await;
    Watcher::start(url, version, i64::try_from(before).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_takes_over_under_writes_and_no_reader_notices() {
    let log = Log::new().await;
    let (old_node, new_node) = (log.node().await, log.node().await);
    let old = Running::start::<1>(&old_node, &Switch::new("old"));
    let writers = Writers::start(&log.store, 4, Duration::from_millis(1));
    until("some history", log.pool(), "version = 1 AND state = 'live' AND position > 500").await;
    let old_readers = Watcher::start(&log.database.url, 1, 0).await;

    // Small batches: the build runs behind the live one for a while.
    let options = ProjectorOptions { build_batch_events_max: 40, ..quick() };
    let new = Running::start_with::<2>(&new_node, &Switch::new("new"), options);
    let new_readers = watch_as_soon_as_live(log.pool(), &log.database.url, 2).await;
    until("both go on", log.pool(), "version = 1 AND position > 1500").await;
    until("both go on", log.pool(), "version = 2 AND position > 1500").await;
    old_readers.has_asked(50).await;
    new_readers.has_asked(50).await;

    let written = writers.stop().await;
    log.caught_up::<1>().await;
    log.caught_up::<2>().await;
    old_readers.stop().await;
    new_readers.stop().await;
    let (of_old, of_new) = (log.contents(1).await, log.contents(2).await);
    assert_eq!(of_old, of_new);
    assert_eq!(of_new.events(), written);
    let doubled: i64 = sqlx::query_scalar("SELECT coalesce(sum(doubled), 0)::bigint FROM read.entries_v2")
        .fetch_one(log.pool())
        .await
        .unwrap();
    assert_eq!(doubled.cast_unsigned(), written * 2);
    old.stop().await;
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_is_retired_when_nobody_runs_it_and_goes_on_when_it_comes_back() {
    let log = Log::new().await;
    let old = Running::start::<1>(&log.store, &Switch::new("old"));
    for amount in 0..50 {
        log.add("ada", amount).await;
    }
    log.caught_up::<1>().await;
    let new = Running::start::<2>(&log.node().await, &Switch::new("new"));
    log.caught_up::<2>().await;
    until("the old one stays while it runs", log.pool(), "version = 1 AND state = 'live'").await;
    old.stop().await;
    until("retired", log.pool(), "version = 1 AND state = 'retired' AND position = 50").await;

    // A deployment that is rolled back: the old binary goes on where it stopped.
    log.add("ada", 1).await;
    let back = Switch::new("back");
    let old = Running::start::<1>(&log.node().await, &back);
    log.caught_up::<1>().await;
    log.caught_up::<2>().await;
    assert_eq!(back.applied(), 1);
    assert_eq!(log.contents(1).await, log.contents(2).await);
    old.stop().await;
    new.stop().await;

    let options = ProjectorOptions { drop_after: Duration::ZERO, ..quick() };
    let new = Running::start_with::<2>(&log.node().await, &Switch::new("new"), options);
    until("dropped", log.pool(), "version = 1 AND dropped_at IS NOT NULL").await;
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT schema_name::text FROM information_schema.schemata WHERE schema_name LIKE 'ledger%'",
    )
    .fetch_all(log.pool())
    .await
    .unwrap();
    assert_eq!(left, ["ledger_v2_g1"]);
    new.stop().await;

    // And once more: now it is built from the beginning, as another generation.
    let old = Running::start::<1>(&log.node().await, &Switch::new("old"));
    log.caught_up::<1>().await;
    until("a second generation", log.pool(), "version = 1 AND generation = 2 AND state = 'live'").await;
    assert_eq!(log.contents(1).await, log.contents(2).await);
    old.stop().await;
}
