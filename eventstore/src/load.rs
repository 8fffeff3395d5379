//! Aggregates from their streams: the bounded cache, snapshots, upcasters.

use std::sync::Arc;

use crate::{RecordedEvent, StoreError};

/// An aggregate as it stood at a version.
#[derive(Clone, Debug)]
pub struct Loaded<A> {
    pub state: Arc<A>,
    /// 0 if the stream has no event.
    pub version: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the log could not be read")]
    Store(#[from] StoreError),
    #[error("event {position} ({event_type} {event_version}) can't be decoded")]
    Decode {
        position: u64,
        event_type: String,
        event_version: String,
        #[source]
        source: serde_json::Error,
    },
}

/// When an aggregate type is snapshot, and which snapshots still fit its code.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPolicy {
    /// A snapshot is written when at least so many events were applied since the last one.
    pub every: u64,
    /// Changes with the aggregate's state: snapshots with another fingerprint are ignored.
    pub fingerprint: &'static str,
}

/// What becomes of an event of an old version.
pub enum Upcast {
    /// It is not this upcaster's business.
    Unchanged(RecordedEvent),
    /// These, in order; none if the event means nothing any more.
    Into(Vec<RecordedEvent>),
}

/// Turns events of an old version into the newest: one into one, several or none.
///
/// Must accept erased values (`"value": null`). Upcasters run in the order of
/// registration, each over the results of those before it.
pub trait Upcaster: Send + Sync {
    fn upcast(&self, event: RecordedEvent) -> Upcast;
}
