//! A ledger as read model, and short ways to write to its log and to look at its rows.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use annals_eventstore::{
    Actor, ActorKind, Append, EventStore, Expected, Filter, Metadata, NewEvent, Source, StoreOptions,
    StreamAppend, StreamId, UnparsedEvent,
    testing::{TestDatabase, database, master_key},
};
use annals_projections::{
    Projection, ProjectionError, Projector, ProjectorOptions, Reader,
    runtime::{Admin, decode},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for a busy machine; nothing waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a test does to a projector from outside.
pub(crate) struct Switch {
    /// Written into each row: which node it was.
    pub(crate) node: &'static str,
    /// Events with one of these notes fail, in the way the note says.
    pub(crate) broken: AtomicBool,
    /// While `true`, `apply` waits in the middle of its transaction.
    pub(crate) paused: watch::Sender<bool>,
    pub(crate) delay_ms: AtomicU64,
    pub(crate) entered: AtomicU64,
    pub(crate) left: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) batch_max: AtomicU64,
    pub(crate) positions: Mutex<HashSet<u64>>,
}

impl Switch {
    pub(crate) fn new(node: &'static str) -> Arc<Self> {
        Arc::new(Self {
            node,
            broken: AtomicBool::new(true),
            paused: watch::Sender::new(false),
            delay_ms: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            left: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            batch_max: AtomicU64::new(0),
            positions: Mutex::default(),
        })
    }

    pub(crate) fn heal(&self) {
        self.broken.store(false, Ordering::SeqCst);
    }

    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }
}

/// Sums and entries per account. Version 2 keeps the amount doubled, in a column of its own.
pub(crate) struct Ledger<const V: u32>(pub(crate) Arc<Switch>);

#[derive(Debug, Deserialize)]
pub(crate) struct Added {
    amount: i64,
    #[serde(default)]
    note: Option<Value>,
}

impl Added {
    fn note(&self) -> Option<&str> {
        match self.note.as_ref()? {
            Value::String(note) => Some(note),
            sealed => sealed.pointer("/$personal/value")?.as_str(),
        }
    }
}

#[async_trait]
impl<const V: u32> Projection for Ledger<V> {
    const NAME: &'static str = "ledger";
    const VERSION: u32 = V;
    const TABLES: &'static [&'static str] = &["totals", "entries"];
    const CREATE: &'static str = if V == 1 {
        "CREATE TABLE totals (account text PRIMARY KEY, total bigint NOT NULL, events bigint NOT NULL);
         CREATE TABLE entries (position bigint PRIMARY KEY, account text NOT NULL, amount bigint NOT NULL,
                               note text CHECK (note <> 'constraint'), node text NOT NULL);"
    } else {
        "CREATE TABLE totals (account text PRIMARY KEY, total bigint NOT NULL, events bigint NOT NULL);
         CREATE TABLE entries (position bigint PRIMARY KEY, account text NOT NULL, amount bigint NOT NULL,
                               note text CHECK (note <> 'constraint'), node text NOT NULL,
                               doubled bigint GENERATED ALWAYS AS (amount * 2) STORED);"
    };
    const INDEXES: &'static str = "CREATE INDEX entries_by_account ON entries (account, position);";

    fn filter(&self) -> Filter {
        Filter { aggregate_types: vec!["test.account".to_string()], event_types: Vec::new() }
    }

    fn purges(&self, event: &UnparsedEvent) -> bool {
        event.event_type == "test.account.forgotten"
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        let switch = &self.0;
        switch.entered.fetch_add(1, Ordering::SeqCst);
        switch.batch_max.fetch_max(events.len() as u64, Ordering::SeqCst);
        for event in events {
            let account = &event.stream.aggregate_id;
            if event.event_type == "test.account.forgotten" {
                sqlx::query("UPDATE entries SET note = NULL WHERE account = $1")
                    .bind(account)
                    .execute(&mut *tables)
                    .await?;
                continue;
            }
            let added: Added = decode(event)?;
            let note = added.note();
            if switch.broken.load(Ordering::SeqCst) {
                match note {
                    Some("poison") => return Err(ProjectionError::event(event, "poisoned \"secret\" value")),
                    Some("panic") => panic!("a projector that panics"),
                    _ => {}
                }
            }
            let note = note.filter(|note| *note != "constraint" || switch.broken.load(Ordering::SeqCst));
            sqlx::query(
                "INSERT INTO entries (position, account, amount, note, node) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(event.position.cast_signed())
            .bind(account)
            .bind(added.amount)
            .bind(note)
            .bind(switch.node)
            .execute(&mut *tables)
            .await?;
            sqlx::query(
                "INSERT INTO totals VALUES ($1, $2, 1) ON CONFLICT (account)
                 DO UPDATE SET total = totals.total + excluded.total, events = totals.events + 1",
            )
            .bind(account)
            .bind(added.amount)
            .execute(&mut *tables)
            .await?;
            switch.positions.lock().insert(event.position);
        }
        let mut paused = switch.paused.subscribe();
        drop(paused.wait_for(|paused| !*paused).await);
        let delay_ms = switch.delay_ms.load(Ordering::SeqCst);
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        switch.applied.fetch_add(events.len() as u64, Ordering::SeqCst);
        switch.left.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Intervals for tests: nothing waits long.
pub(crate) fn quick() -> ProjectorOptions {
    ProjectorOptions {
        control_interval: Duration::from_millis(30),
        transaction_idle: Duration::from_millis(700),
        retry_pause_max: Duration::from_millis(200),
        retire_after: Duration::from_millis(300),
        drop_after: Duration::from_secs(3600),
        ..ProjectorOptions::default()
    }
}

/// A database with one store on it; more nodes may join.
pub(crate) struct Log {
    pub(crate) database: TestDatabase,
    pub(crate) store: EventStore,
}

impl Log {
    pub(crate) async fn new() -> Self {
        let database = database().await;
        let store = open(database.pool.clone()).await;
        Self { database, store }
    }

    /// A store with a pool of its own: another node.
    pub(crate) async fn node(&self) -> EventStore {
        let pool = PgPoolOptions::new().max_connections(5).connect(&self.database.url).await.unwrap();
        open(pool).await
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    pub(crate) async fn add(&self, account: &str, amount: i64) -> u64 {
        add(&self.store, account, json!({"amount": amount})).await
    }

    pub(crate) async fn add_noted(&self, account: &str, amount: i64, note: &str) -> u64 {
        add(&self.store, account, json!({"amount": amount, "note": note})).await
    }

    /// Everything of the ledger as readers of version `version` see it, but for who wrote it.
    pub(crate) async fn contents(&self, version: u32) -> Contents {
        contents(self.pool(), version).await
    }

    /// Waits until the ledger is live and has everything.
    pub(crate) async fn caught_up<const V: u32>(&self) {
        let head = self.store.head().await.unwrap();
        Reader::new(self.pool().clone()).wait::<Ledger<V>>(head, PATIENCE).await.unwrap();
    }
}

async fn open(pool: PgPool) -> EventStore {
    EventStore::open(pool, StoreOptions::new(master_key())).await.unwrap()
}

pub(crate) async fn add(store: &EventStore, account: &str, payload: Value) -> u64 {
    store.append(append("added", account, payload)).await.unwrap().position
}

pub(crate) fn append(event: &str, account: &str, payload: Value) -> Append {
    let mut append = Append::new(Metadata {
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        command: "Add".into(),
        actor: Actor { kind: ActorKind::Process, id: Some("test".to_string()) },
        organization_id: None,
        source: Source::Worker,
        request_id: None,
        trace_parent: None,
        client: None,
    });
    append.streams.push(StreamAppend {
        stream: StreamId::new("test.account", account),
        expected: Expected::Any,
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            event_type: format!("test.account.{event}"),
            event_version: "1".to_string(),
            payload: payload.to_string(),
        }],
    });
    append
}

/// Writes to a few accounts from several tasks until it is stopped; tells how much.
pub(crate) struct Writers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<u64>>,
}

impl Writers {
    pub(crate) fn start(store: &EventStore, writers: usize, pause: Duration) -> Self {
        let stop = CancellationToken::new();
        let tasks = (0..writers)
            .map(|writer| {
                let (store, stop) = (store.clone(), stop.clone());
                tokio::spawn(async move {
                    let mut written = 0;
                    while !stop.is_cancelled() {
                        let account = format!("account-{}", (writer + written as usize) % 7);
                        add(&store, &account, json!({"amount": 1})).await;
                        written += 1;
                        tokio::time::sleep(pause).await;
                    }
                    written
                })
            })
            .collect();
        Self { stop, tasks }
    }

    pub(crate) async fn stop(self) -> u64 {
        self.stop.cancel();
        let mut written = 0;
        for task in self.tasks {
            written += task.await.unwrap();
        }
        written
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Contents {
    pub(crate) totals: Vec<(String, i64, i64)>,
    pub(crate) entries: Vec<(i64, String, i64, Option<String>)>,
}

impl Contents {
    pub(crate) fn events(&self) -> u64 {
        self.totals.iter().map(|(_, _, events)| events.cast_unsigned()).sum()
    }
}

pub(crate) async fn contents(pool: &PgPool, version: u32) -> Contents {
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    let totals = format!("SELECT account, total, events FROM read.totals_v{version} ORDER BY account");
    let entries =
        format!("SELECT position, account, amount, note FROM read.entries_v{version} ORDER BY position");
    Contents {
        totals: sqlx::query_as(&totals).fetch_all(&mut *tx).await.unwrap(),
        entries: sqlx::query_as(&entries).fetch_all(&mut *tx).await.unwrap(),
    }
}

/// A projector of one ledger that runs until it is stopped or killed.
pub(crate) struct Running {
    stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    pub(crate) reader: Reader,
    pub(crate) admin: Admin,
}

impl Running {
    pub(crate) fn start<const V: u32>(store: &EventStore, switch: &Arc<Switch>) -> Self {
        Self::start_with::<V>(store, switch, quick())
    }

    pub(crate) fn start_with<const V: u32>(
        store: &EventStore,
        switch: &Arc<Switch>,
        options: ProjectorOptions,
    ) -> Self {
        let projector = Projector::new(store.clone()).with(Ledger::<V>(Arc::clone(switch))).options(options);
        let (reader, admin) = (projector.reader(), projector.admin());
        let stop = CancellationToken::new();
        let run = projector.run(stop.clone());
        Self { stop, task: tokio::spawn(async move { run.await.unwrap() }), reader, admin }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }

    /// As if the process died: nothing is finished, connections just close.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

/// Waits until a condition of the books holds, asking again and again.
pub(crate) async fn until(what: &str, pool: &PgPool, condition: &str) {
    let sql = format!("SELECT EXISTS (SELECT FROM projection.versions WHERE {condition})");
    let asked = async {
        while !sqlx::query_scalar::<_, bool>(&sql).fetch_one(pool).await.unwrap_or(false) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{what}: never"));
}

pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let asked = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{what}: never"));
}
