//! The crates we build on, on our log: where they fit, and that nothing is applied twice.

use std::time::Duration;

use annals_eventstore::{
    CqrsLog, EventStore, SnapshotPolicy, StoreOptions,
    testing::{TestDatabase, database, master_key},
};
use cqrs_es::{CqrsFramework, EventStore as _, persist::PersistedEventRepository};
use postgres_es::PostgresEventRepository;
use serde_json::Value;

use crate::account::{Account, metadata};

fn snapshotting(fingerprint: &'static str) -> StoreOptions {
    let mut options = StoreOptions::new(master_key());
    options.snapshots.insert("test.account", SnapshotPolicy { every: 1, fingerprint });
    options
}

async fn snapshot_at(database: &TestDatabase, sequence: i64) -> Value {
    let found = async {
        loop {
            let state = sqlx::query_scalar::<_, Value>("SELECT state FROM snapshots WHERE sequence = $1")
                .bind(sequence)
                .fetch_optional(&database.pool)
                .await
                .unwrap();
            if let Some(state) = state {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("a snapshot is written")
}

#[tokio::test]
async fn the_framework_runs_on_the_log_and_snapshots_hold_each_event_once() {
    let database = database().await;
    let store = EventStore::open(database.pool.clone(), snapshotting("1")).await.unwrap();
    let framework = CqrsFramework::new(CqrsLog::<Account>::new(store.clone(), metadata()), Vec::new(), ());
    for command in 1..=3_i64 {
        framework.execute("1", 100).await.unwrap();
        let loaded = store.load::<Account>("1").await.unwrap();
        assert_eq!(loaded.state.balance, 100 * command);
        let snapshot = snapshot_at(&database, command).await;
        assert_eq!(snapshot["balance"], 100 * command, "cqrs-es itself stores 200, 400, 600 here");
        assert_eq!(snapshot["applied"], command);
    }
    assert!(framework.execute("1", -1).await.is_err());
    // A node that starts from the snapshot is where the others are.
    let fresh = EventStore::open(database.pool.clone(), snapshotting("1")).await.unwrap();
    let loaded = fresh.load::<Account>("1").await.unwrap();
    assert_eq!((loaded.version, loaded.state.balance, loaded.state.applied), (3, 300, 3));
    let events = CqrsLog::<Account>::new(store, metadata()).load_events("1").await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events[2].metadata["position"], "3");
}

#[tokio::test]
async fn a_snapshot_is_used_only_with_its_fingerprint() {
    let database = database().await;
    let store = EventStore::open(database.pool.clone(), snapshotting("1")).await.unwrap();
    let framework = CqrsFramework::new(CqrsLog::<Account>::new(store.clone(), metadata()), Vec::new(), ());
    framework.execute("1", 100).await.unwrap();
    store.load::<Account>("1").await.unwrap();
    snapshot_at(&database, 1).await;
    // Marked, so that it shows whether it was used.
    sqlx::query("UPDATE snapshots SET state = '{\"balance\":5,\"applied\":1,\"holder\":null,\"pin\":null}'")
        .execute(&database.pool)
        .await
        .unwrap();
    let same = EventStore::open(database.pool.clone(), snapshotting("1")).await.unwrap();
    assert_eq!(same.load::<Account>("1").await.unwrap().state.balance, 5);
    let other = EventStore::open(database.pool.clone(), snapshotting("2")).await.unwrap();
    assert_eq!(other.load::<Account>("1").await.unwrap().state.balance, 100);
}

#[tokio::test]
async fn postgres_es_reads_a_stream_of_the_log() {
    let database = database().await;
    let store = EventStore::open(database.pool.clone(), StoreOptions::new(master_key())).await.unwrap();
    let framework = CqrsFramework::new(CqrsLog::<Account>::new(store, metadata()), Vec::new(), ());
    for amount in [1, 2] {
        framework.execute("1", amount).await.unwrap();
    }
    framework.execute("2", 9).await.unwrap();
    let repository = PostgresEventRepository::new(database.pool.clone());
    let events = repository.get_events::<Account>("1").await.unwrap();
    let read: Vec<_> = events.iter().map(|event| (event.sequence, event.payload.to_string())).collect();
    let expected = [(1, r#"{"Deposited":{"amount":1}}"#), (2, r#"{"Deposited":{"amount":2}}"#)];
    assert_eq!(read, expected.map(|(sequence, payload)| (sequence, payload.to_string())));
    assert_eq!(repository.get_last_events::<Account>("1", 1).await.unwrap().len(), 1);
}
