//! The broker goes away and comes back.

use std::{sync::Arc, time::Duration};

use crate::{
    broker::broker_to_crash,
    support::{Log, Running, assert_exactly_once},
};

const CRASHES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_crashes_under_load_and_stays_away_for_a_while_loses_nothing_and_doubles_nothing() {
    let Some((broker, _down)) = broker_to_crash().await else { return };
    let (log, settings) = (Arc::new(Log::new().await), broker.settings());
    log.seed(20_000).await;
    let writer = log.write();
    let relay = Running::start(&log.store, &settings);
    relay.caught_up(&log.store).await;
    for round in 0..CRASHES {
        // Events that are under way when it crashes.
        log.seed(4_000).await;
        broker.crash();
        log.seed(1_000).await;
        tokio::time::sleep(Duration::from_secs(1 + round as u64)).await;
        broker.start();
        relay.caught_up(&log.store).await;
    }
    writer.stop().await;
    relay.caught_up(&log.store).await;
    relay.stop().await;
    let head = log.store.head().await.unwrap();
    assert_eq!(assert_exactly_once(&broker, &settings.prefix, 1, head) as u64, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_starts_before_its_broker_catches_up_when_it_is_there() {
    let Some((broker, _down)) = broker_to_crash().await else { return };
    let (log, settings) = (Log::new().await, broker.settings());
    log.seed(500).await;
    broker.crash();
    let relay = Running::start(&log.store, &settings);
    tokio::time::sleep(Duration::from_secs(2)).await;
    broker.start();
    relay.caught_up(&log.store).await;
    relay.stop().await;
    assert_eq!(assert_exactly_once(&broker, &settings.prefix, 1, 500), 500);
}
