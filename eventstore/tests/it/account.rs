//! A small aggregate to test with, and short ways to append.

use annals_eventstore::{
    Actor, ActorKind, Append, AppendError, ClientInfo, EventStore, Expected, Metadata, NewEvent, Receipt,
    Source, StoreOptions, StreamAppend, StreamId,
    testing::{TestDatabase, master_key},
};
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) applied: u64,
    /// As the domain's `Personal`: `{"$personal":{"subject","value"}}`.
    pub(crate) holder: Option<Value>,
    pub(crate) pin: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum AccountEvent {
    Opened { holder: Option<Value>, pin: Option<Value> },
    Deposited { amount: i64 },
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Opened { .. } => "test.account.opened".to_string(),
            Self::Deposited { .. } => "test.account.deposited".to_string(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the amount must be positive")]
pub(crate) struct NotPositive;

impl Aggregate for Account {
    const TYPE: &'static str = "test.account";
    type Command = i64;
    type Event = AccountEvent;
    type Error = NotPositive;
    type Services = ();

    async fn handle(
        &mut self,
        amount: i64,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), NotPositive> {
        if amount <= 0 {
            return Err(NotPositive);
        }
        sink.write(AccountEvent::Deposited { amount }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        self.applied += 1;
        match event {
            AccountEvent::Opened { holder, pin } => (self.holder, self.pin) = (holder, pin),
            AccountEvent::Deposited { amount } => self.balance += amount,
        }
    }
}

pub(crate) fn options() -> StoreOptions {
    StoreOptions::new(master_key())
}

pub(crate) async fn open(database: &TestDatabase) -> EventStore {
    EventStore::open(database.pool.clone(), options()).await.unwrap()
}

/// Another node: a store with a pool of its own on the same database.
pub(crate) async fn open_node(url: &str, options: StoreOptions) -> EventStore {
    let pool = PgPoolOptions::new().max_connections(8).connect(url).await.unwrap();
    EventStore::open(pool, options).await.unwrap()
}

pub(crate) fn metadata() -> Metadata {
    Metadata {
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        command: "Test".into(),
        actor: Actor { kind: ActorKind::User, id: Some("1".to_string()) },
        organization_id: None,
        source: Source::Api,
        request_id: None,
        trace_parent: None,
        client: None,
    }
}

pub(crate) fn client() -> ClientInfo {
    ClientInfo { ip: Some("192.0.2.7".to_string()), user_agent: Some("tests".to_string()) }
}

pub(crate) fn account(id: impl ToString) -> StreamId {
    StreamId::of::<Account>(id)
}

pub(crate) fn deposited(amount: i64) -> NewEvent {
    NewEvent::of(Uuid::now_v7(), &AccountEvent::Deposited { amount }).unwrap()
}

pub(crate) fn opened(subject: &str, name: &str, pin: &str) -> NewEvent {
    let event = AccountEvent::Opened {
        holder: Some(json!({"$personal": {"subject": subject, "value": name}})),
        pin: Some(json!({"$secret": {"owner": subject, "value": pin}})),
    };
    NewEvent::of(Uuid::now_v7(), &event).unwrap()
}

/// One stream, some events.
pub(crate) fn append(stream: StreamId, expected: Expected, events: Vec<NewEvent>) -> Append {
    let mut append = Append::new(metadata());
    append.streams.push(StreamAppend { stream, expected, events });
    append
}

pub(crate) async fn deposit(
    store: &EventStore,
    id: &str,
    version: u64,
    amount: i64,
) -> Result<Receipt, AppendError> {
    store.append(append(account(id), Expected::Exact(version), vec![deposited(amount)])).await
}
