//! Any aggregate as it stood at a version: its events folded, nothing that is sealed opened.

use std::pin::Pin;

use annals_domain::{
    engagement::{Inbox, Mailing, Notification},
    identity::{ApiKey, Holdings, Organization, Session, User},
    operations::{Disclosure, Operatorship, ProjectionControl, TimerControl},
    publishing::{
        ChannelFigures, Import, Integration, MediaAsset, MediaLibrary, Post, PostFigures, PostingMonth,
        PostingSchedule, Series, TagBook,
    },
};
use annals_eventstore::{EventStore, LoadError, Opening, RecordedEvent, StreamId};
use cqrs_es::Aggregate;
use serde_json::Value;

use super::scope::Scope;

const PAGE_EVENTS: usize = 1_000;

/// An aggregate's state, as JSON, at a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    pub state: Value,
    /// The last event that is in it.
    pub last: Option<Last>,
    /// Whether the scope sees all that is in it.
    pub is_within: bool,
}

/// An event, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    pub position: u64,
    pub sequence: u64,
    pub at: chrono::DateTime<chrono::Utc>,
}

type Folding<'a> = Pin<Box<dyn Future<Output = Result<Folded, LoadError>> + Send + 'a>>;

macro_rules! aggregates {
    ($($aggregate:ty),+ $(,)?) => {
        /// The types of aggregates there are.
        pub const TYPES: &[&str] = &[$(<$aggregate as Aggregate>::TYPE),+];

        /// A stream's state with the events up to `position`; `None` for a type that is none of ours.
        pub fn fold<'a>(
            store: &'a EventStore,
            scope: Scope,
            stream: &'a StreamId,
            position: u64,
        ) -> Option<Folding<'a>> {
            match stream.aggregate_type.as_ref() {
                $(<$aggregate as Aggregate>::TYPE => {
                    Some(Box::pin(fold_as::<$aggregate>(store, scope, stream, position)))
                })+
                _ => None,
            }
        }
    };
}

aggregates![
    User,
    Session,
    Organization,
    ApiKey,
    Holdings,
    Import,
    Integration,
    MediaAsset,
    MediaLibrary,
    Post,
    PostFigures,
    ChannelFigures,
    PostingMonth,
    PostingSchedule,
    Series,
    TagBook,
    Mailing,
    Notification,
    Inbox,
    Operatorship,
    ProjectionControl,
    TimerControl,
    Disclosure,
];

async fn fold_as<A: Aggregate>(
    store: &EventStore,
    scope: Scope,
    stream: &StreamId,
    position: u64,
) -> Result<Folded, LoadError> {
    let (mut state, mut last, mut is_within) = (A::default(), None::<Last>, true);
    loop {
        let after = last.as_ref().map_or(0, |last| last.sequence);
        let mut page = store.read_stream(stream, after, PAGE_EVENTS).await?;
        let was_full = page.len() == PAGE_EVENTS;
        page.retain(|event| event.position <= position);
        let is_the_last = !was_full || page.len() < PAGE_EVENTS;
        for event in store.open_events(&page, Opening::Nothing).await? {
            is_within &= scope.sees(&event);
            state.apply(decode::<A>(&event)?);
            last = Some(Last { position: event.position, sequence: event.sequence, at: event.recorded_at });
        }
        if is_the_last {
            break;
        }
    }
    let state = serde_json::to_value(state).map_err(|source| LoadError::Decode {
        position: last.as_ref().map_or(0, |last| last.position),
        event_type: stream.aggregate_type.to_string(),
        event_version: "state".to_string(),
        source,
    })?;
    Ok(Folded { state, last, is_within })
}

fn decode<A: Aggregate>(event: &RecordedEvent) -> Result<A::Event, LoadError> {
    event.decode().map_err(|source| LoadError::Decode {
        position: event.position,
        event_type: event.event_type.clone(),
        event_version: event.event_version.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_aggregate_with_events_is_one_of_these() {
        let of_events: BTreeSet<&str> =
            annals_domain::schemas::event_schemas().iter().map(|schema| schema.aggregate_type).collect();
        assert_eq!(TYPES.iter().copied().collect::<BTreeSet<_>>(), of_events);
    }
}
