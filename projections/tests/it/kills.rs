//! Killed, cut off and started again: every event counts once.

use std::{sync::atomic::Ordering, time::Duration};

use rand::Rng;

use crate::support::{Log, Running, Switch, Writers, until};

const KILLS: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_killed_again_and_again_counts_every_event_once() {
    let log = Log::new().await;
    let writers = Writers::start(&log.store, 4, Duration::from_millis(1));
    let switch = Switch::new("a");
    // Long enough that many kills hit a transaction.
    switch.delay_ms.store(3, Ordering::SeqCst);
    let (mut within_batch, mut between) = (0, 0);
    for _ in 0..KILLS {
        let node = log.node().await;
        let entered = switch.entered.load(Ordering::SeqCst);
        let running = Running::start::<1>(&node, &switch);
        let mut after_ms = rand::rng().random_range(0..60);
        // Let it get to work first, more often than not: a kill at the start proves little.
        if rand::rng().random_bool(0.8) {
            crate::support::eventually("it works", || switch.entered.load(Ordering::SeqCst) > entered).await;
            after_ms /= 3;
        }
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        running.kill().await;
        match switch.entered.load(Ordering::SeqCst) > switch.left.load(Ordering::SeqCst) {
            true => within_batch += 1,
            false => between += 1,
        }
        switch.left.store(switch.entered.load(Ordering::SeqCst), Ordering::SeqCst);
        node.close().await;
        node.pool().close().await;
    }
    switch.delay_ms.store(0, Ordering::SeqCst);
    let written = writers.stop().await;
    let running = Running::start::<1>(&log.store, &switch);
    log.caught_up::<1>().await;
    running.stop().await;

    assert!(within_batch >= 10 && between >= 3, "kills within a batch: {within_batch}, between: {between}");
    let contents = log.contents(1).await;
    assert_eq!(contents.entries.len() as u64, written, "rows");
    assert_eq!(contents.events(), written, "counted");
    let head = log.store.head().await.unwrap();
    assert_eq!(head, written);
    until("the checkpoint", log.pool(), &format!("position = {head} AND parked_keys = 0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_under_load_lose_nothing_and_double_nothing() {
    let log = Log::new().await;
    let node = log.node().await;
    let switch = Switch::new("a");
    switch.delay_ms.store(1, Ordering::SeqCst);
    let running = Running::start::<1>(&node, &switch);
    log.add("ada", 1).await;
    log.caught_up::<1>().await;
    let writers = Writers::start(&log.store, 3, Duration::from_millis(1));
    let mut cut = 0;
    for _ in 0..25 {
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(5..60))).await;
        // All of the projector's: leader's lock and whatever writes to its tables at the moment.
        cut += sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND (application_name LIKE 'annals lead %' OR query LIKE '%entries%'
                    OR query LIKE '%projection.%')",
        )
        .fetch_one(log.pool())
        .await
        .unwrap();
    }
    switch.delay_ms.store(0, Ordering::SeqCst);
    let written = 1 + writers.stop().await;
    log.caught_up::<1>().await;
    running.stop().await;
    assert!(cut >= 25, "{cut} connections were cut");
    let contents = log.contents(1).await;
    assert_eq!((contents.entries.len() as u64, contents.events()), (written, written));
    until("nothing parked", log.pool(), "parked_keys = 0").await;
}
