//! Process managers: react to events with commands.

mod checkpoint;
mod follow;
mod leader;

use std::sync::Arc;

use annals_eventstore::{Filter, Opening, RecordedEvent, StoreError};
use async_trait::async_trait;
use sqlx::{PgPool, Postgres, Transaction, postgres::PgPoolOptions};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub use checkpoint::{Checkpoint, checkpoints};

use crate::{
    Running,
    bus::{CommandBus, CommandError},
};

/// Reacts to events. Its state and its checkpoint are its own; its commands' keys derive from the event.
#[async_trait]
pub trait ProcessManager: Send + Sync + 'static {
    /// Its checkpoint's name; never changes.
    const NAME: &'static str;

    /// Where it starts when it is first deployed.
    const START: Start = Start::Head;

    fn filter(&self) -> Filter;

    /// How much of the events it may see. What it does not need stays sealed.
    fn opening(&self) -> Opening {
        Opening::Nothing
    }

    /// Reacts to one event. What it writes to `tx` (its own tables, timers) commits together
    /// with its checkpoint; commands it gives through the bus carry [`crate::bus::Context::process`],
    /// so that a crash in between changes nothing.
    ///
    /// # Errors
    /// A failure is retried with growing pauses, for ever, and shows in the metrics.
    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The head of the moment it is first deployed: a new process manager never mails history.
    Head,
    Beginning,
}

#[derive(Debug, thiserror::Error)]
pub enum ReactError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    #[error("the event can't be decoded")]
    Decode(#[from] serde_json::Error),
    #[error("it panicked")]
    Panicked,
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// The process managers of a node, each led by one node at a time.
pub struct ProcessManagers {
    bus: CommandBus,
    node: Uuid,
    managers: Vec<Arc<dyn AnyManager>>,
}

impl ProcessManagers {
    pub fn new(bus: CommandBus) -> Self {
        Self { bus, node: Uuid::now_v7(), managers: Vec::new() }
    }

    /// Names the node that runs them: it is what their checkpoints call the leader.
    #[must_use]
    pub fn on_node(mut self, node: Uuid) -> Self {
        self.node = node;
        self
    }

    #[must_use]
    pub fn with<P: ProcessManager>(mut self, manager: P) -> Self {
        self.managers.push(Arc::new(manager));
        self
    }

    /// Records where each of them starts, if it is new here, and runs them until `stop` is
    /// cancelled. What is appended after this returned is reacted to.
    ///
    /// Needs [`crate::migrate`] to have run.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn start(self, stop: CancellationToken) -> Result<Running, StoreError> {
        let store = self.bus.store();
        for manager in &self.managers {
            let position = match manager.start() {
                Start::Beginning => 0,
                Start::Head => store.head().await?,
            };
            checkpoint::register(store.pool(), manager.name(), position).await?;
        }
        let pool = own_pool(store.pool(), self.managers.len());
        let tasks = TaskTracker::new();
        for manager in self.managers {
            let follower = follow::Follower::new(self.bus.store().clone(), pool.clone(), manager, self.node);
            tasks.spawn(follower.run(stop.clone()));
        }
        Ok(Running::new(tasks))
    }
}

/// Transactions that stay open while a process manager gives commands: not from the pool that
/// those commands and all requests share, or each could wait for the other.
fn own_pool(shared: &PgPool, managers: usize) -> PgPool {
    // A transaction whose owner was paused must not hold its rows for ever against the next leader.
    let options = (*shared.connect_options())
        .clone()
        .options([("idle_in_transaction_session_timeout", "60s"), ("application_name", "annals-process")]);
    let connections_max = u32::try_from(managers.max(1)).unwrap_or(u32::MAX);
    PgPoolOptions::new().max_connections(connections_max).min_connections(0).connect_lazy_with(options)
}

/// A [`ProcessManager`] of whatever type.
#[async_trait]
trait AnyManager: Send + Sync {
    fn name(&self) -> &'static str;
    fn start(&self) -> Start;
    fn filter(&self) -> Filter;
    fn opening(&self) -> Opening;
    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError>;
}

#[async_trait]
impl<P: ProcessManager> AnyManager for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn start(&self) -> Start {
        P::START
    }

    fn filter(&self) -> Filter {
        ProcessManager::filter(self)
    }

    fn opening(&self) -> Opening {
        ProcessManager::opening(self)
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        ProcessManager::react(self, event, tx).await
    }
}
