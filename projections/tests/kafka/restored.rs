//! A log that is not the one that Kafka has.

use annals_projections::relay::RelayState;

use crate::{
    broker::broker,
    support::{Log, Running},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_past_the_head_or_of_another_log_stops_it_with_an_explanation() {
    let Some((broker, _up)) = broker().await else { return };
    let (log, settings) = (Log::new().await, broker.settings());
    log.seed(50).await;
    let relay = Running::start(&log.store, &settings);
    relay.caught_up(&log.store).await;
    relay.stop().await;

    let other = Log::new().await;
    other.seed(20).await;
    let relay = Running::start(&other.store, &settings);
    let halted = relay.until("a halt", |state| matches!(state, RelayState::Halted { .. })).await;
    let RelayState::Halted { why } = halted else { panic!("{halted:?}") };
    assert!(why.contains("position 50") && why.contains("ends at 20") && why.contains("backup"), "{why}");
    relay.stop().await;

    // It went on since, with other events at the same positions.
    other.seed(60).await;
    let relay = Running::start(&other.store, &settings);
    let halted = relay.until("a halt", |state| matches!(state, RelayState::Halted { .. })).await;
    let RelayState::Halted { why } = halted else { panic!("{halted:?}") };
    assert!(why.contains("at position 50") && why.contains("another"), "{why}");
    relay.stop().await;
    assert_eq!(crate::support::assert_exactly_once(&broker, &settings.prefix, 1, 50), 50);
}
