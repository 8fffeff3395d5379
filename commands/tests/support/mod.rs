//! What the tests of the write side share: nodes on one real Postgres, and a small aggregate.
#![expect(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and fails by panicking")]

use std::{future::Future, sync::Arc, time::Duration};

use annals_commands::{
    bus::{CommandBus, CommandError, Context, IdempotencyKey},
    ports::clock::SystemClock,
};
use annals_domain::{Refusal, RefusalKind};
use annals_eventstore::{
    Actor, ActorKind, EventStore, Source, StoreOptions, StreamId,
    testing::{self, TestDatabase},
};
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};

/// A database with the tables of the log and of the write side.
pub(crate) async fn database() -> TestDatabase {
    let database = testing::database().await;
    annals_commands::migrate(&database.pool).await.unwrap();
    database
}

/// A node's own connections to the database.
pub(crate) async fn pool_at(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(6).connect(url).await.unwrap()
}

/// A node: a store with a cache of its own, and its bus.
pub(crate) async fn node_at(url: &str) -> CommandBus {
    let options = StoreOptions::new(testing::master_key());
    let store = EventStore::open(pool_at(url).await, options).await.unwrap();
    CommandBus::new(store, Arc::new(SystemClock))
}

pub(crate) async fn node(database: &TestDatabase) -> CommandBus {
    node_at(&database.url).await
}

pub(crate) fn context() -> Context {
    let actor = Actor { kind: ActorKind::User, id: Some("0198c0de".to_string()) };
    Context::new(actor, None, Source::Api)
}

pub(crate) fn keyed(key: &str, request: &str) -> Context {
    let idempotency = IdempotencyKey {
        scope: "user:0198c0de".to_string(),
        key: key.to_string(),
        request: request.as_bytes().to_vec(),
    };
    Context { idempotency: Some(idempotency), ..context() }
}

/// Waits until it holds, for at most 30 s.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not happen within 30 s");
}

/// A vault: opened by its password, which is an event-less decision like a login.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Vault {
    pub password: String,
    pub coins: u64,
    pub closed: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum VaultCommand {
    SetPassword(String),
    /// Changes nothing.
    Unlock(String),
    Deposit(u64),
    Close,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum VaultEvent {
    PasswordSet(String),
    Deposited(u64),
    Closed,
}

impl DomainEvent for VaultEvent {
    fn event_type(&self) -> String {
        match self {
            Self::PasswordSet(_) => "test.vault.password_set",
            Self::Deposited(_) => "test.vault.deposited",
            Self::Closed => "test.vault.closed",
        }
        .to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum VaultError {
    #[error("the password is wrong")]
    WrongPassword,
    #[error("the vault is closed")]
    Closed,
}

impl Refusal for VaultError {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::WrongPassword => RefusalKind::Unauthorized,
            Self::Closed => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::WrongPassword => "WRONG_PASSWORD",
            Self::Closed => "VAULT_CLOSED",
        }
    }
}

impl Aggregate for Vault {
    const TYPE: &'static str = "test.vault";
    type Command = VaultCommand;
    type Event = VaultEvent;
    type Error = VaultError;
    type Services = ();

    async fn handle(
        &mut self,
        command: VaultCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), VaultError> {
        if self.closed {
            return Err(VaultError::Closed);
        }
        match command {
            VaultCommand::SetPassword(new) => sink.write(VaultEvent::PasswordSet(new), self).await,
            VaultCommand::Unlock(given) if given == self.password => {}
            VaultCommand::Unlock(_) => return Err(VaultError::WrongPassword),
            VaultCommand::Deposit(coins) => sink.write(VaultEvent::Deposited(coins), self).await,
            VaultCommand::Close => sink.write(VaultEvent::Closed, self).await,
        }
        Ok(())
    }

    fn apply(&mut self, event: VaultEvent) {
        match event {
            VaultEvent::PasswordSet(new) => self.password = new,
            VaultEvent::Deposited(coins) => self.coins += coins,
            VaultEvent::Closed => self.closed = true,
        }
    }
}

/// The types of a vault's events, as stored.
pub(crate) async fn events_of(bus: &CommandBus, id: &str) -> Vec<String> {
    let stored = bus.store().read_stream(&StreamId::of::<Vault>(id), 0, 1_000).await.unwrap();
    stored.into_iter().map(|event| event.event_type).collect()
}

pub(crate) async fn deposit(bus: &CommandBus, id: &str, coins: u64) {
    bus.execute::<Vault>(&context(), "Deposit", id, VaultCommand::Deposit(coins)).await.unwrap();
}

/// The code of a refusal.
pub(crate) fn code(error: &CommandError) -> &'static str {
    match error {
        CommandError::Refused(refusal) => refusal.code(),
        other => panic!("not a refusal: {other:?}"),
    }
}
