//! Runs projections: batches, checkpoints, leadership, versions side by side.

use annals_eventstore::{EventStore, Filter, RecordedEvent};
use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};
use std::{sync::Arc, time::Duration};

/// A read model: its tables and how events change them. One file each, with its queries.
///
/// Its tables live in a schema of this version and generation (`posts_v3_g2`) that is the
/// `search_path` while [`Projection::CREATE`] and [`Projection::apply`] run, so SQL names them plainly.
/// Readers go through the views `read.<table>_v<VERSION>`, made for every table in [`Projection::TABLES`].
#[async_trait]
pub trait Projection: Send + Sync + 'static {
    /// `posts`: stable.
    const NAME: &'static str;
    /// Changes with the tables' shape or meaning; a newer one builds beside the old one.
    const VERSION: u32;
    const TABLES: &'static [&'static str];
    /// The tables with their primary keys.
    const CREATE: &'static str;
    /// Further indexes, made when a build has caught up.
    const INDEXES: &'static str = "";

    fn filter(&self) -> Filter;

    /// The key that parks together: what follows on a parked key waits with it. By default the stream.
    fn key(&self, event: &RecordedEvent) -> String {
        event.stream.to_string()
    }

    /// Writes what a batch of events changes. Called in the transaction that moves the checkpoint.
    /// Personal values may be erased (`null`): then the row shows what it showed once the person is forgotten.
    ///
    /// # Errors
    /// [`ProjectionError::Event`] blames one event (it is then isolated and parked);
    /// [`ProjectionError::Database`] is tried again for ever.
    async fn apply(&self, events: &[RecordedEvent], tables: &mut PgConnection)
    -> Result<(), ProjectionError>;
}

#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    #[error("event {position} can't be applied")]
    Event {
        position: u64,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
}

impl ProjectionError {
    pub fn event(event: &RecordedEvent, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Event { position: event.position, source: source.into() }
    }
}

/// Decodes an event's payload, blaming the event if that fails.
///
/// # Errors
/// [`ProjectionError::Event`].
pub fn decode<E: serde::de::DeserializeOwned>(event: &RecordedEvent) -> Result<E, ProjectionError> {
    event.decode().map_err(|error| ProjectionError::event(event, error))
}

/// A running set of projections: leads those it can, watches the others.
pub struct Projector {
    _private: (),
}

/// How far a projection is.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    pub name: String,
    pub version: u32,
    pub generation: u32,
    pub position: u64,
    pub head: u64,
    /// `building`, `live` or `retired`.
    pub state: String,
    pub parked_keys: u64,
}

#[expect(clippy::todo, unused_variables, reason = "the bodies are being written")]
impl Projector {
    /// A runtime over this log; projections are added with [`Projector::with`].
    pub fn new(store: EventStore) -> Self {
        todo!()
    }

    #[must_use]
    pub fn with<P: Projection>(self, projection: P) -> Self {
        todo!()
    }

    /// Starts the tasks. They end, checkpoints kept, when `stop` is cancelled.
    ///
    /// # Errors
    /// If the bookkeeping tables can't be made.
    pub async fn start(
        self,
        stop: tokio_util::sync::CancellationToken,
    ) -> Result<tokio_util::task::TaskTracker, ProjectionError> {
        todo!()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The read model has never been built; it is on its way.
    #[error("{name} is being built: at {position} of {head}")]
    NotBuilt { name: &'static str, position: u64, head: u64 },
    /// The read model did not reach the position in time.
    #[error("{name} has not reached position {wanted} yet")]
    Behind { name: &'static str, wanted: u64 },
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
}

/// The query side's handle: a pool, and how to wait for a position. One per node, cheap to clone.
#[derive(Clone)]
pub struct Reader {
    #[expect(dead_code, reason = "the body is being written")]
    inner: Arc<()>,
}

#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the bodies are being written")]
impl Reader {
    pub fn new(pool: PgPool) -> Self {
        todo!()
    }

    /// The pool to query `read.*` views with.
    pub fn pool(&self) -> &PgPool {
        todo!()
    }

    /// Waits until a projection has applied everything up to `position`: read your writes.
    /// `position` 0 only checks that it was ever built.
    ///
    /// # Errors
    /// [`ReadError::Behind`] after `within`; [`ReadError::NotBuilt`] for a shape never built.
    pub async fn wait<P: Projection>(&self, position: u64, within: Duration) -> Result<(), ReadError> {
        todo!()
    }

    /// Every projection's state, for readiness, metrics and the admin.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn applied(&self) -> Result<Vec<Applied>, ReadError> {
        todo!()
    }
}
