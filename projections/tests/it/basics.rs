//! One node: rows and checkpoint, waiting, stopping, batches.

use std::{sync::atomic::Ordering, time::Duration};

use annals_eventstore::StreamId;
use annals_projections::{Projector, ReadError, Reader};
use tokio_util::sync::CancellationToken;

use crate::support::{Ledger, Log, PATIENCE, Running, Switch, append, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_shape_that_was_never_built_says_so() {
    let log = Log::new().await;
    let reader = Reader::new(log.pool().clone());
    let error = reader.wait::<Ledger<1>>(0, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, ReadError::NotBuilt { name: "ledger", position: 0, .. }), "{error}");
    assert_eq!(reader.applied().await.unwrap().len(), 0);

    let position = log.add("ada", 1).await;
    let running = Running::start::<1>(&log.store, &Switch::new("a"));
    reader.wait::<Ledger<1>>(position, PATIENCE).await.unwrap();
    reader.wait::<Ledger<1>>(0, Duration::ZERO).await.unwrap();
    let applied = &reader.applied().await.unwrap()[0];
    assert_eq!((applied.name.as_str(), applied.version, applied.generation), ("ledger", 1, 1));
    assert_eq!((applied.state.as_str(), applied.position, applied.head), ("live", 1, 1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_position_reads_their_write() {
    let log = Log::new().await;
    let running = Running::start::<1>(&log.store, &Switch::new("a"));
    // Both kinds: woken by the node's own leader, and asking the database.
    let readers = [running.reader.clone(), Reader::new(log.pool().clone())];
    for turn in 0..200_i64 {
        let account = format!("account-{}", turn % 5);
        let position = log.add(&account, turn).await;
        let reader = &readers[usize::from(turn % 2 == 0)];
        reader.wait::<Ledger<1>>(position, PATIENCE).await.unwrap();
        let amount: i64 = sqlx::query_scalar("SELECT amount FROM read.entries_v1 WHERE position = $1")
            .bind(position.cast_signed())
            .fetch_one(reader.pool())
            .await
            .unwrap();
        assert_eq!(amount, turn);
    }
    let head = log.store.head().await.unwrap();
    let within = Duration::from_millis(60);
    for reader in &readers {
        let error = reader.wait::<Ledger<1>>(head + 1, within).await.unwrap_err();
        assert!(matches!(error, ReadError::Behind { wanted, .. } if wanted == head + 1), "{error}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_others_move_the_checkpoint_too() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&log.store, &switch);
    log.add("ada", 1).await;
    let mut other = append("added", "x", serde_json::json!({"amount": 1}));
    other.streams[0].stream = StreamId::new("test.other", "x");
    let position = log.store.append(other).await.unwrap().position;
    for reader in [running.reader.clone(), Reader::new(log.pool().clone())] {
        reader.wait::<Ledger<1>>(position, PATIENCE).await.unwrap();
    }
    running.stop().await;
    assert_eq!(log.contents(1).await.events(), 1);
    let position: i64 =
        sqlx::query_scalar("SELECT position FROM projection.versions").fetch_one(log.pool()).await.unwrap();
    assert_eq!(position, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_the_batch_and_starting_goes_on_from_it() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&log.store, &switch);
    log.add("ada", 1).await;
    log.caught_up::<1>().await;
    switch.delay_ms.store(100, Ordering::SeqCst);
    log.add("ada", 2).await;
    crate::support::eventually("the batch begins", || {
        switch.entered.load(Ordering::SeqCst) > switch.left.load(Ordering::SeqCst)
    })
    .await;
    running.stop().await;
    assert_eq!(log.contents(1).await.events(), 2, "the batch under way was finished");

    let again = Switch::new("b");
    let running = Running::start::<1>(&log.store, &again);
    log.add("ada", 3).await;
    log.caught_up::<1>().await;
    running.stop().await;
    assert_eq!(again.applied(), 1, "only what was new");
    assert_eq!(log.contents(1).await.totals, [("ada".to_string(), 6, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_grow_under_load_and_stay_bounded() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let options = annals_projections::ProjectorOptions { batch_events_max: 50, ..quick() };
    let running = Running::start_with::<1>(&log.store, &switch, options);
    log.add("ada", 1).await;
    log.caught_up::<1>().await;
    assert_eq!(switch.batch_max.load(Ordering::SeqCst), 1);
    switch.paused.send_replace(true);
    futures::future::join_all((0..300).map(|_| log.add("ada", 1))).await;
    switch.paused.send_replace(false);
    log.caught_up::<1>().await;
    running.stop().await;
    assert_eq!(switch.batch_max.load(Ordering::SeqCst), 50);
    assert_eq!(log.contents(1).await.totals, [("ada".to_string(), 301, 301)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projections_of_one_name_are_refused() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let twice = Projector::new(log.store.clone()).with(Ledger::<1>(switch.clone())).with(Ledger::<2>(switch));
    let error = twice.start(CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the projections are not well-formed: ledger is there twice");
}
