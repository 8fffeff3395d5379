//! The same version once more, beside the live one.

use std::{sync::atomic::Ordering, time::Duration};

use annals_projections::{ProjectorOptions, runtime::request_rebuild};

use crate::{
    support::{Log, Running, Switch, Writers, quick, until},
    versions::Watcher,
};

#[tokio::test(flavor = "multi_thread")]
async fn rebuilding_again_and_again_under_writes_is_invisible_to_readers() {
    let log = Log::new().await;
    let options = ProjectorOptions { build_batch_events_max: 60, ..quick() };
    let running = Running::start_with::<1>(&log.node().await, &Switch::new("a"), options);
    let writers = Writers::start(&log.store, 4, Duration::from_millis(3));
    until("some history", log.pool(), "state = 'live' AND position > 300").await;
    let readers = Watcher::start(&log.database.url, 1, 0).await;
    for generation in 2..=8 {
        assert_eq!(request_rebuild(log.pool(), "ledger").await.unwrap(), generation);
        assert_eq!(
            running.admin.rebuild("ledger", 0, None).await.unwrap().generation,
            generation,
            "one at a time"
        );
        until("it takes over", log.pool(), &format!("generation = {generation} AND state = 'live'")).await;
    }
    readers.has_asked(100).await;
    let written = writers.stop().await;
    log.caught_up::<1>().await;
    readers.stop().await;
    let contents = log.contents(1).await;
    assert_eq!((contents.entries.len() as u64, contents.events()), (written, written));
    until("the old ones are dropped", log.pool(), "generation = 7 AND dropped_at IS NOT NULL").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_and_rebuilt_equals_what_was() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&log.store, &switch);
    for turn in 0..200_i64 {
        log.add_noted(&format!("account-{}", turn % 9), turn, &format!("note {turn}")).await;
    }
    log.caught_up::<1>().await;
    let before = log.contents(1).await;
    assert_eq!(before.events(), 200);
    let generation = request_rebuild(log.pool(), "ledger").await.unwrap();
    until("rebuilt", log.pool(), &format!("generation = {generation} AND state = 'live'")).await;
    assert_eq!(log.contents(1).await, before);
    assert_eq!(switch.applied(), 400);
    running.stop().await;

    // Everything gone, books included: it all comes back from the log.
    for sql in ["DROP SCHEMA projection CASCADE", "DROP SCHEMA read CASCADE"] {
        sqlx::query(sql).execute(log.pool()).await.unwrap();
    }
    let running = Running::start::<1>(&log.store, &switch);
    log.caught_up::<1>().await;
    assert_eq!(log.contents(1).await, before);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_killed_goes_on_where_it_was() {
    let log = Log::new().await;
    futures::future::join_all((0..400).map(|_| log.add("ada", 1))).await;
    let options = ProjectorOptions { build_batch_events_max: 20, ..quick() };
    let switch = Switch::new("a");
    switch.delay_ms.store(10, Ordering::SeqCst);
    let node = log.node().await;
    let running = Running::start_with::<1>(&node, &switch, options.clone());
    until("under way", log.pool(), "state = 'building' AND position >= 100").await;
    running.kill().await;
    // What was committed when it died, once its last transaction is gone.
    node.close().await;
    node.pool().close().await;
    let position: i64 =
        sqlx::query_scalar("SELECT position FROM projection.versions").fetch_one(log.pool()).await.unwrap();
    assert!((100..400).contains(&position), "stopped half way, at {position}");

    let again = Switch::new("b");
    let running = Running::start_with::<1>(&log.node().await, &again, options);
    log.caught_up::<1>().await;
    running.stop().await;
    assert!(again.applied() <= 400 - 100, "{} events were applied again", again.applied());
    assert_eq!(log.contents(1).await.totals, [("ada".to_string(), 400, 400)]);
    until("its indexes are there", log.pool(), "indexed AND generation = 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_reader_delays_the_swap_and_nobody_else() {
    let log = Log::new().await;
    let options = ProjectorOptions { lock_timeout: Duration::from_millis(20), ..quick() };
    let running = Running::start_with::<1>(&log.node().await, &Switch::new("a"), options);
    log.add("ada", 1).await;
    log.caught_up::<1>().await;
    let mut report = log.pool().begin().await.unwrap();
    let count = "SELECT count(*) FROM read.entries_v1";
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *report).await.unwrap(), 1);

    request_rebuild(log.pool(), "ledger").await.unwrap();
    until("caught up", log.pool(), "generation = 2 AND indexed").await;
    let readers = Watcher::start(&log.database.url, 1, 1).await;
    for _ in 0..20 {
        log.add("ada", 1).await;
        log.caught_up::<1>().await;
    }
    until("it waits", log.pool(), "generation = 2 AND state = 'building' AND position = 21").await;
    report.commit().await.unwrap();
    until("it takes over", log.pool(), "generation = 2 AND state = 'live'").await;
    readers.stop().await;
    running.stop().await;
}
