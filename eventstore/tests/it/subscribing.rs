//! Readers see every position once, in order.

use std::time::Duration;

use annals_eventstore::{Batch, Expected, Filter, Opening, StreamId, Subscription, testing::database};

use crate::account::{account, append, deposit, deposited, open};

pub(crate) async fn next(subscription: &mut Subscription, max: usize) -> Batch {
    let waiting = subscription.next(max);
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("there is something to read").unwrap()
}

#[tokio::test]
async fn a_reader_catches_up_and_goes_on_live_also_with_what_another_node_writes() {
    let database = database().await;
    let (one, two) = (open(&database).await, open(&database).await);
    for version in 0..30 {
        deposit(&one, "1", version, 1).await.unwrap();
    }
    let mut reader = two.subscribe(5, Filter::default(), Opening::Nothing);
    let mut seen = Vec::new();
    while seen.len() < 25 {
        seen.extend(next(&mut reader, 10).await.events.iter().map(|event| event.position));
    }
    assert_eq!(seen, (6..=30).collect::<Vec<_>>());
    for (store, version) in [(&one, 30), (&two, 31), (&one, 32)] {
        deposit(store, "1", version, 1).await.unwrap();
        let batch = next(&mut reader, 10).await;
        assert_eq!(batch.events.len(), 1);
        assert_eq!(batch.position, version + 1);
    }
}

#[tokio::test]
async fn a_filtered_reader_moves_past_what_it_does_not_want() {
    let database = database().await;
    let store = open(&database).await;
    let other = |id: u32| append(StreamId::new("test.other", id), Expected::Exact(0), vec![deposited(1)]);
    deposit(&store, "1", 0, 1).await.unwrap();
    for id in 0..5 {
        store.append(other(id)).await.unwrap();
    }
    let wanted = Filter { aggregate_types: vec!["test.account".to_string()], ..Filter::default() };
    for fresh in [true, false] {
        // A store that was there all along has the events at hand; a new one reads the table.
        let reading = if fresh { store.clone() } else { open(&database).await };
        let mut reader = reading.subscribe(0, wanted.clone(), Opening::Nothing);
        let mut events = Vec::new();
        while reader.position() < 6 {
            events.extend(next(&mut reader, 100).await.events);
        }
        assert_eq!(events.iter().map(|event| event.position).collect::<Vec<_>>(), [1]);
    }
    let mut reader = store.subscribe(6, wanted, Opening::Nothing);
    store.append(other(9)).await.unwrap();
    let batch = next(&mut reader, 100).await;
    assert!(batch.events.is_empty());
    assert_eq!(batch.position, 7);
}

#[tokio::test]
async fn a_reader_that_is_interrupted_skips_nothing() {
    let database = database().await;
    let store = open(&database).await;
    let mut reader = store.subscribe(0, Filter::default(), Opening::Nothing);
    let mut seen = Vec::new();
    for version in 0..50 {
        store.append(append(account(1), Expected::Exact(version), vec![deposited(1)])).await.unwrap();
        // Dropped after its first poll: what it would have given must come with a later call.
        let interrupted = tokio::time::timeout(Duration::ZERO, reader.next(10)).await;
        if let Ok(batch) = interrupted {
            seen.extend(batch.unwrap().events.iter().map(|event| event.position));
        }
    }
    while seen.len() < 50 {
        seen.extend(next(&mut reader, 10).await.events.iter().map(|event| event.position));
    }
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
}
