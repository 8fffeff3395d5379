//! Aggregates from the log, with upcasting, through the cache, on several nodes.

use std::sync::Arc;

use annals_eventstore::{EventStore, Expected, NewEvent, RecordedEvent, Upcast, Upcaster, testing::database};
use serde_json::json;
use uuid::Uuid;

use crate::account::{Account, account, append, deposit, deposited, open, options};

#[tokio::test]
async fn an_aggregate_is_what_its_events_made_it() {
    let database = database().await;
    let store = open(&database).await;
    let none = store.load::<Account>("1").await.unwrap();
    assert_eq!((none.version, none.state.balance), (0, 0));
    for version in 0..5 {
        deposit(&store, "1", version, 10).await.unwrap();
        let loaded = store.load::<Account>("1").await.unwrap();
        assert_eq!((loaded.version, loaded.state.balance), (version + 1, 10 * (version as i64 + 1)));
        assert_eq!(loaded.state.applied, version + 1, "each event is applied once");
    }
}

#[tokio::test]
async fn a_second_node_confirms_before_it_refuses() {
    let database = database().await;
    let (one, two) = (open(&database).await, open(&database).await);
    deposit(&one, "1", 0, 1).await.unwrap();
    let before = two.load::<Account>("1").await.unwrap();
    assert!(two.confirm(&[(account(1), before.version)]).await.unwrap());
    deposit(&one, "1", 1, 1).await.unwrap();
    // At once, whatever the second node's cache still holds.
    assert!(!two.confirm(&[(account(1), before.version)]).await.unwrap());
    let conflict = deposit(&two, "1", before.version, 1).await.unwrap_err();
    assert!(matches!(conflict, annals_eventstore::AppendError::VersionConflict { actual: 2, .. }));
    // The conflict told the cache: what is loaded now is the newest.
    assert_eq!(two.load::<Account>("1").await.unwrap().version, 2);
    two.evict(&account(1));
    assert_eq!(two.load::<Account>("1").await.unwrap().version, 2);
}

struct SplitDeposit;

impl Upcaster for SplitDeposit {
    fn upcast(&self, event: RecordedEvent) -> Upcast {
        if event.event_type != "test.account.doubled" {
            return Upcast::Unchanged(event);
        }
        let amount = event.payload["amount"].as_i64().unwrap_or_default();
        let half = RecordedEvent {
            event_type: "test.account.deposited".to_string(),
            payload: json!({"Deposited": {"amount": amount}}),
            ..event
        };
        Upcast::Into(vec![half.clone(), half])
    }
}

#[tokio::test]
async fn an_old_event_becomes_several_of_today() {
    let database = database().await;
    let mut options = options();
    options.upcasters.push(Arc::new(SplitDeposit));
    let store = EventStore::open(database.pool.clone(), options).await.unwrap();
    let old = NewEvent {
        event_id: Uuid::now_v7(),
        event_type: "test.account.doubled".to_string(),
        event_version: "0".to_string(),
        payload: r#"{"amount":21}"#.to_string(),
    };
    store.append(append(account(1), Expected::Exact(0), vec![deposited(8), old])).await.unwrap();
    let loaded = store.load::<Account>("1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.balance), (2, 50));
    let mut reader =
        store.subscribe(0, annals_eventstore::Filter::default(), annals_eventstore::Opening::Nothing);
    let parts: Vec<(u64, u32)> =
        reader.next(10).await.unwrap().events.iter().map(|event| (event.position, event.part)).collect();
    assert_eq!(parts, [(1, 0), (2, 0), (2, 1)]);
}
