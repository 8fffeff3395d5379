//! Process managers: react to events with commands.

use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use sqlx::{Postgres, Transaction};

/// Reacts to events. Its state and its checkpoint are its own; its commands' keys derive from the event.
#[async_trait]
pub trait ProcessManager: Send + Sync + 'static {
    /// Its checkpoint's name; never changes.
    const NAME: &'static str;

    /// Where it starts when it is first deployed.
    const START: Start = Start::Head;

    fn filter(&self) -> Filter;

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
    Command(#[from] crate::bus::CommandError),
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    #[error("the event can't be decoded")]
    Decode(#[from] serde_json::Error),
}
