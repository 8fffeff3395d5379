//! Following the log: catch-up pages, then live.

use crate::{RecordedEvent, StoreError};

/// Which events a reader wants; everything by default. Lists are "any of".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `publishing.post`; empty: all.
    pub aggregate_types: Vec<String>,
    /// `publishing.post.scheduled`; empty: all.
    pub event_types: Vec<String>,
}

/// A reader of the log at a position. Dropping it ends it.
pub struct Subscription {}

/// What a subscription gives at once, in order of position.
#[derive(Debug)]
pub struct Batch {
    pub events: Vec<RecordedEvent>,
    /// Everything up to here was seen, matching or not: the next checkpoint.
    pub position: u64,
}

#[expect(clippy::todo, reason = "the body is being written")]
impl Subscription {
    /// At most `max` events (more where one event was upcast to several), as soon as there is
    /// one or the head moved past events that do not match; waits otherwise. Cancel-safe.
    ///
    /// # Errors
    /// If the database does not answer: ask again, nothing is skipped.
    pub async fn next(&mut self, _max: usize) -> Result<Batch, StoreError> {
        todo!()
    }
}
