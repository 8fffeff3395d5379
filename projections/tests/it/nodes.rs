//! Several nodes: one leads, another takes over, a leader that was paused writes nothing.

use std::{sync::atomic::Ordering, time::Duration};

use sqlx::PgPool;

use crate::support::{Log, PATIENCE, Running, Switch, Writers, eventually, until};

async fn rows_by(pool: &PgPool, node: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM read.entries_v1 WHERE node = $1")
        .bind(node)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Ends the connection that holds the leader's lock, as a broken network would.
async fn steal_lock(pool: &PgPool) {
    let ended: i64 = sqlx::query_scalar(
        "SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid))
         FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'annals lead ledger v1'
           AND a.datname = current_database()",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(ended, 1, "one connection holds the lock");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_one_writes_and_the_other_takes_over_when_it_dies() {
    let log = Log::new().await;
    let (one, other) = (log.node().await, log.node().await);
    let (first, second) = (Switch::new("first"), Switch::new("second"));
    let leading = Running::start::<1>(&one, &first);
    log.add("ada", 1).await;
    log.caught_up::<1>().await;
    let waiting = Running::start::<1>(&other, &second);
    let writers = Writers::start(&log.store, 4, Duration::from_millis(1));
    eventually("the first works", || first.applied() > 300).await;
    assert_eq!(second.entered.load(Ordering::SeqCst), 0, "the second only watches");

    leading.kill().await;
    eventually("the second takes over", || second.applied() > 300).await;
    let written = 1 + writers.stop().await;
    log.caught_up::<1>().await;
    waiting.stop().await;
    let (by_first, by_second) = (rows_by(log.pool(), "first").await, rows_by(log.pool(), "second").await);
    assert!(by_first > 0 && by_second > 0);
    assert_eq!((by_first + by_second).cast_unsigned(), written);
    assert_eq!(log.contents(1).await.events(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_paused_in_a_batch_writes_nothing_when_it_wakes() {
    let log = Log::new().await;
    let (one, other) = (log.node().await, log.node().await);
    let (first, second) = (Switch::new("first"), Switch::new("second"));
    let paused = Running::start::<1>(&one, &first);
    log.add("ada", 1).await;
    log.caught_up::<1>().await;

    first.paused.send_replace(true);
    log.add("ada", 10).await;
    eventually("the first is in the middle of a batch", || {
        first.entered.load(Ordering::SeqCst) > first.left.load(Ordering::SeqCst)
    })
    .await;
    let left = first.left.load(Ordering::SeqCst);
    // The second contends first, so that it is the one that gets the lock.
    let successor = Running::start::<1>(&other, &second);
    eventually_waiting(log.pool()).await;
    steal_lock(log.pool()).await;
    log.add("ada", 100).await;
    log.caught_up::<1>().await;
    assert_eq!(second.applied(), 2, "the second did what the first had not finished");

    first.paused.send_replace(false);
    eventually("the first wakes", || first.left.load(Ordering::SeqCst) > left).await;
    log.add("ada", 1000).await;
    log.caught_up::<1>().await;
    assert_eq!(rows_by(log.pool(), "first").await, 1);
    assert_eq!(rows_by(log.pool(), "second").await, 3);
    assert_eq!(log.contents(1).await.totals, [("ada".to_string(), 1111, 4)]);
    paused.stop().await;
    successor.stop().await;
}

/// Until two connections contend for the lock.
async fn eventually_waiting(pool: &PgPool) {
    let asked = async {
        loop {
            let contending: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE application_name = 'annals lead ledger v1' AND datname = current_database()
                   AND query LIKE '%pg_try_advisory_lock%'",
            )
            .fetch_one(pool)
            .await
            .unwrap();
            if contending >= 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("the second contends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_epoch_was_taken_between_reading_and_writing_writes_nothing() {
    let log = Log::new().await;
    let node = log.node().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&node, &switch);
    log.add("ada", 1).await;
    log.caught_up::<1>().await;
    // The batch arrives while its checkpoint is held, so it waits with its compare-and-set.
    let mut taking = log.pool().begin().await.unwrap();
    sqlx::query("UPDATE projection.versions SET epoch = epoch + 1").execute(&mut *taking).await.unwrap();
    log.add("ada", 10).await;
    batch_waits(log.pool()).await;
    let entered = switch.entered.load(Ordering::SeqCst);
    switch.paused.send_replace(true);
    taking.commit().await.unwrap();
    // It lets go, contends again, and does its work under an epoch of its own.
    eventually("it works again", || switch.entered.load(Ordering::SeqCst) > entered).await;
    let epoch: i64 =
        sqlx::query_scalar("SELECT epoch FROM projection.versions").fetch_one(log.pool()).await.unwrap();
    assert_eq!(epoch, 3, "nothing was applied under an epoch that was taken");
    switch.paused.send_replace(false);
    log.caught_up::<1>().await;
    running.stop().await;
    assert_eq!(log.contents(1).await.totals, [("ada".to_string(), 11, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_not_written_again() {
    let log = Log::new().await;
    let node = log.node().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&node, &switch);
    log.add("ada", 1).await;
    log.caught_up::<1>().await;
    // What the leader finds then: its batch is in the tables, and its own epoch is still the newest.
    let mut lost = log.pool().begin().await.unwrap();
    sqlx::query("UPDATE projection.versions SET position = position + 1").execute(&mut *lost).await.unwrap();
    log.add("ada", 10).await;
    for rows in [
        "INSERT INTO ledger_v1_g1.entries VALUES (2, 'ada', 10, NULL, 'lost')",
        "UPDATE ledger_v1_g1.totals SET total = total + 10, events = events + 1",
    ] {
        sqlx::query(rows).execute(&mut *lost).await.unwrap();
    }
    batch_waits(log.pool()).await;
    lost.commit().await.unwrap();
    log.add("ada", 100).await;
    log.caught_up::<1>().await;
    until("nothing is parked", log.pool(), "parked_keys = 0 AND position = 3").await;
    running.stop().await;
    assert_eq!(log.contents(1).await.totals, [("ada".to_string(), 111, 3)]);
    assert_eq!((rows_by(log.pool(), "a").await, rows_by(log.pool(), "lost").await), (2, 1));
}

/// Until a batch waits with its compare-and-set for a checkpoint that the test holds.
async fn batch_waits(pool: &PgPool) {
    let asked = async {
        loop {
            let blocked: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                   AND wait_event_type = 'Lock' AND query LIKE '%UPDATE projection.versions SET position%')",
            )
            .fetch_one(pool)
            .await
            .unwrap();
            if blocked {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("the batch waits");
}
