//! Read models of channels and posts.

pub mod activity;
pub mod channels;
pub mod feeds;
pub mod overview;
pub mod people;
pub mod posts;
pub mod tags;

pub use activity::Activity;
pub use channels::Channels;
pub use posts::Posts;
pub use tags::Tags;

use annals_eventstore::RecordedEvent;
use uuid::Uuid;

use crate::ProjectionError;

/// The stream's id as a uuid: all of this context are.
fn stream_uuid(event: &RecordedEvent) -> Result<Uuid, ProjectionError> {
    event.stream.aggregate_id.parse().map_err(|error: uuid::Error| ProjectionError::event(event, error))
}
