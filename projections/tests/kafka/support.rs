//! Logs with events of two contexts, and what must hold of their copies in Kafka.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use annals_eventstore::{
    Actor, ActorKind, Append, ClientInfo, EventStore, Expected, Metadata, NewEvent, Source, StoreOptions,
    StreamAppend, StreamId,
    testing::{TestDatabase, database, master_key},
};
use annals_projections::relay::{KafkaSettings, Relay, RelayState};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::broker::{Broker, Record};

/// Long enough for a busy machine; nothing waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const CONTEXTS: [&str; 2] = ["first", "second"];
/// Aggregates of each context that events are spread over.
const KEYS: u64 = 40;

/// A log of a database of its own.
pub(crate) struct Log {
    pub(crate) database: TestDatabase,
    pub(crate) store: EventStore,
}

impl Log {
    pub(crate) async fn new() -> Self {
        let database = database().await;
        let store = open(&database.url).await;
        Self { database, store }
    }

    /// Some thousand events a second, over both contexts.
    pub(crate) async fn seed(&self, events: u64) {
        let mut left = events;
        while left > 0 {
            let now = left.min(800);
            let streams = (0..now).fold(BTreeMap::<StreamId, Vec<NewEvent>>::new(), |mut streams, nth| {
                let key = (left + nth) % KEYS;
                let context = CONTEXTS[usize::try_from(nth % 2).unwrap()];
                let stream = StreamId::new(format!("{context}.thing"), format!("thing-{key}"));
                streams.entry(stream).or_default().push(counted(context));
                streams
            });
            let mut append = Append::new(metadata());
            append.streams = streams
                .into_iter()
                .map(|(stream, events)| StreamAppend { stream, expected: Expected::Any, events })
                .collect();
            self.store.append(append).await.unwrap();
            left -= now;
        }
    }

    pub(crate) async fn append(&self, aggregate_type: &str, id: &str, event: &str, payload: Value) -> u64 {
        let mut append = Append::new(metadata());
        append.streams.push(StreamAppend {
            stream: StreamId::new(aggregate_type.to_string(), id),
            expected: Expected::Any,
            events: vec![NewEvent {
                event_id: Uuid::now_v7(),
                event_type: format!("{aggregate_type}.{event}"),
                event_version: "1".to_string(),
                payload: payload.to_string(),
            }],
        });
        self.store.append(append).await.unwrap().position
    }

    /// Appends small batches until it is stopped.
    pub(crate) fn write(self: &Arc<Self>) -> Writer {
        let (log, goes_on) = (Arc::clone(self), Arc::new(AtomicBool::new(true)));
        let task = tokio::spawn({
            let goes_on = Arc::clone(&goes_on);
            async move {
                while goes_on.load(Ordering::SeqCst) {
                    log.seed(20).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        });
        Writer { task, goes_on }
    }
}

pub(crate) struct Writer {
    task: JoinHandle<()>,
    goes_on: Arc<AtomicBool>,
}

impl Writer {
    pub(crate) async fn stop(self) {
        self.goes_on.store(false, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

pub(crate) async fn open(url: &str) -> EventStore {
    let pool = PgPoolOptions::new().max_connections(8).connect(url).await.unwrap();
    EventStore::open(pool, StoreOptions::new(master_key())).await.unwrap()
}

fn counted(context: &str) -> NewEvent {
    NewEvent {
        event_id: Uuid::now_v7(),
        event_type: format!("{context}.thing.counted"),
        event_version: "1".to_string(),
        payload: json!({"type": "counted", "text": "x".repeat(120)}).to_string(),
    }
}

pub(crate) fn metadata() -> Metadata {
    Metadata {
        correlation_id: Uuid::now_v7(),
        causation_id: Some(Uuid::from_u128(7)),
        command: "Count".into(),
        actor: Actor { kind: ActorKind::User, id: Some("ada".to_string()) },
        organization_id: Some(Uuid::from_u128(9)),
        source: Source::Web,
        request_id: Some("request-1".to_string()),
        trace_parent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_string()),
        client: None,
    }
    .with_client(
        "user:ada",
        &ClientInfo { ip: Some("192.0.2.77".to_string()), user_agent: Some("hidden agent".to_string()) },
    )
}

/// A relay of this process.
pub(crate) struct Running {
    pub(crate) relay: Relay,
    stop: CancellationToken,
}

impl Running {
    pub(crate) fn start(store: &EventStore, settings: &KafkaSettings) -> Self {
        let stop = CancellationToken::new();
        let relay = annals_projections::relay::start(store.clone(), settings.clone(), stop.clone());
        Self { relay, stop }
    }

    /// Waits for a state.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&RelayState) -> bool) -> RelayState {
        let mut state = self.relay.state();
        let waiting = state.wait_for(|state| holds(state));
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found
            .unwrap_or_else(|_| panic!("waited in vain for {what}: {:?}", *self.relay.state().borrow()))
            .unwrap()
            .clone()
    }

    pub(crate) async fn caught_up(&self, store: &EventStore) {
        let head = store.head().await.unwrap();
        self.until(
            &format!("position {head}"),
            |state| matches!(state, RelayState::Running { position, .. } if *position >= head),
        )
        .await;
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.relay.stopped().await;
    }
}

/// Every event of `first..=last` stands once in the topics, in order for each key, in the partition of
/// its key; returns how many records there are.
pub(crate) fn assert_exactly_once(broker: &Broker, prefix: &str, first: u64, last: u64) -> usize {
    let mut seen = HashMap::new();
    let mut count = 0;
    for context in CONTEXTS {
        let mut latest: HashMap<String, (u64, i32)> = HashMap::new();
        for record in broker.committed(&format!("{prefix}.{context}")) {
            count += 1;
            let position = record.position();
            assert!((first..=last).contains(&position), "position {position} was not asked for");
            let twice: Option<Record> = seen.insert(position, record.clone());
            assert!(twice.is_none(), "position {position} stands twice: {twice:?} and {record:?}");
            let sequence: u64 = record.headers["ce_sequence"].parse().unwrap();
            if let Some((before, partition)) = latest.insert(record.key.clone(), (sequence, record.partition))
            {
                assert!(before < sequence, "{} came before {sequence} of {}", before, record.key);
                assert_eq!(partition, record.partition, "{} moved", record.key);
            }
        }
    }
    let missing: Vec<u64> = (first..=last).filter(|position| !seen.contains_key(position)).take(5).collect();
    assert!(missing.is_empty(), "{missing:?} are missing");
    count
}
