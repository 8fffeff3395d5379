//! Runs projections: batches, checkpoints, leadership, versions side by side.
//!
//! How to write a read model, what its versions and generations are and what an admin can do is in
//! `docs/read-models.md`. The rooms: [`model`] names things, `tables` keeps the books, `lock` and
//! `leader` decide who writes, `generation` follows the log into one set of tables, `pages` reads, `batch` and [`CopyIn`] write,
//! `pace` holds a build back, `takeover` swaps the views, `housekeeping` clears away, [`Reader`] waits, and
//! `admin` repairs: `status` says how it is, `control` guides builds, `parked` and `replay` are about what failed,
//! `compare` holds a live model to a fresh build.

mod admin;
mod batch;
mod compare;
mod control;
mod copy;
mod failure;
mod generation;
mod housekeeping;
mod leader;
pub(crate) mod lock;
mod metrics;
mod model;
mod pace;
mod pages;
mod parked;
mod projector;
mod reader;
mod replay;
mod rows;
mod status;
mod tables;
mod takeover;

use annals_eventstore::{DecodeError, Filter, Metadata, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use sqlx::PgConnection;

pub use admin::{Admin, AdminError, request_rebuild};
pub use compare::Compared;
pub use control::UnderWay;
pub use copy::{CopyIn, CopyRow};
pub use parked::{ParkedEvent, ParkedKey};
pub use projector::{Projector, ProjectorOptions};
pub use reader::{Applied, ReadError, Reader};
pub use replay::Replayed;
pub use rows::{Rows, TableRow};
pub use status::{GenerationState, GenerationStatus};

/// A read model: its tables and how events change them. One file each, with its queries.
///
/// Its tables live in a schema of this version and generation (`posts_v3_g2`) that is the
/// `search_path` while [`Projection::CREATE`] and [`Projection::apply`] run, so SQL names them plainly.
/// Readers go through the views `read.<table>_v<VERSION>`, made for every table in [`Projection::TABLES`].
#[async_trait]
pub trait Projection: Send + Sync + 'static {
    /// `posts`: stable, lower case, digits and underscores.
    const NAME: &'static str;
    /// Changes with the tables' shape or meaning; a newer one builds beside the old one.
    const VERSION: u32;
    const TABLES: &'static [&'static str];
    /// The tables with their primary keys.
    const CREATE: &'static str;
    /// Further indexes, made when a build has caught up.
    const INDEXES: &'static str = "";

    fn filter(&self) -> Filter;

    /// What [`Projection::apply`] looks at of the events' metadata. Builds read the less the faster.
    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Everything
    }

    /// Decodes an event ahead ([`UnparsedEvent::decode_ahead`]), while the page before is written. A model
    /// that does so builds faster; nothing else changes.
    fn decode_ahead(&self, _event: &UnparsedEvent) {}

    /// The key that parks together: what follows on a parked key waits with it. By default the stream.
    fn key(&self, event: &UnparsedEvent) -> String {
        event.stream.to_string()
    }

    /// Whether this event removes a forgotten person's values from the tables.
    ///
    /// Such an event does not wait behind a parked key: it is applied when it comes, and once more in
    /// its order when the key is replayed. So applying it twice must be harmless.
    fn purges(&self, _event: &UnparsedEvent) -> bool {
        false
    }

    /// Writes what a batch of events changes. Called in the transaction that moves the checkpoint.
    /// Personal values may be erased (`null`): then the row shows what it showed once the person is forgotten.
    ///
    /// # Errors
    /// [`ProjectionError::Event`] blames one event (it is then isolated and parked);
    /// [`ProjectionError::Database`] is tried again for ever, unless it is one that the same event
    /// would meet again (a constraint, a value out of range): that blames the event too.
    async fn apply(&self, events: &[UnparsedEvent], tables: &mut PgConnection)
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
    /// Two projections of one node want the same name, or a name is not fit for a schema.
    #[error("the projections are not well-formed: {why}")]
    Malformed { why: String },
}

impl ProjectionError {
    pub fn event(event: &UnparsedEvent, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Event { position: event.position, source: source.into() }
    }
}

/// Decodes an event's payload, blaming the event if that fails.
///
/// # Errors
/// [`ProjectionError::Event`].
pub fn decode<E: serde::de::DeserializeOwned + 'static>(event: &UnparsedEvent) -> Result<E, ProjectionError> {
    event.decode().map_err(|error| ProjectionError::event(event, error))
}

/// How an event came to be, blaming the event if that does not read.
///
/// # Errors
/// [`ProjectionError::Event`].
pub fn metadata(event: &UnparsedEvent) -> Result<Metadata, ProjectionError> {
    event.metadata().map_err(|error: DecodeError| ProjectionError::event(event, error))
}

/// The stream's id as a uuid, blaming the event if it is none.
///
/// # Errors
/// [`ProjectionError::Event`].
pub fn stream_id(event: &UnparsedEvent) -> Result<uuid::Uuid, ProjectionError> {
    event.stream.aggregate_id.parse().map_err(|error: uuid::Error| ProjectionError::event(event, error))
}

/// After folding so many events, a projector lets others run: a build's page would hold a thread for
/// a good part of a second.
const EVENTS_IN_A_ROW: usize = 256;

/// Lets others run after some events; `nth` counts those of a batch from 0.
pub async fn give_way(nth: usize) {
    if nth % EVENTS_IN_A_ROW == EVENTS_IN_A_ROW - 1 {
        tokio::task::yield_now().await;
    }
}

/// A position as Postgres keeps it.
fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// A position as Postgres kept it; never negative there.
fn unsigned(position: i64) -> u64 {
    u64::try_from(position).unwrap_or(0)
}

/// A version or generation as Postgres keeps it.
fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn unsigned_small(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
