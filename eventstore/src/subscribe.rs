//! Following the log: catch-up pages, then live.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    MetadataNeeds, Opening, RecordedEvent, StoreError, StoredEvent, UnparsedEvent, page, read, shared::Shared,
};

/// How many positions one query looks through: bounds it where few events match.
const WINDOW_POSITIONS: u64 = 20_000;
const PAGE_EVENTS_MAX: usize = 10_000;
/// The same for projectors, whose pages are bounded in bytes too.
const UNPARSED_WINDOW_POSITIONS: u64 = 50_000;
const UNPARSED_PAGE_EVENTS_MAX: usize = 50_000;

/// Which events a reader wants; everything by default. Lists are "any of".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `publishing.post`; empty: all.
    pub aggregate_types: Vec<String>,
    /// `publishing.post.scheduled`; empty: all.
    pub event_types: Vec<String>,
}

impl Filter {
    /// Whether a stored event (before upcasting) passes.
    pub fn matches(&self, event: &StoredEvent) -> bool {
        let any = |list: &[String], text: &str| list.is_empty() || list.iter().any(|wanted| wanted == text);
        any(&self.aggregate_types, &event.stream.aggregate_type) && any(&self.event_types, &event.event_type)
    }
}

/// A reader of the log at a position. Dropping it ends it.
pub struct Subscription {
    shared: Arc<Shared>,
    head: watch::Receiver<u64>,
    position: u64,
    filter: Filter,
    opening: Opening,
}

/// What a subscription gives at once, in order of position.
#[derive(Debug)]
pub struct Batch<E = RecordedEvent> {
    pub events: Vec<E>,
    /// Everything up to here was seen, matching or not: the next checkpoint.
    pub position: u64,
}

impl Subscription {
    pub(crate) fn new(shared: Arc<Shared>, position: u64, filter: Filter, opening: Opening) -> Self {
        let head = shared.follower.watch();
        Self { shared, head, position, filter, opening }
    }

    /// The position up to which everything was given.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// At most `max` events (more where one event was upcast to several), as soon as there is
    /// one or the head moved past events that do not match; waits otherwise. Cancel-safe.
    ///
    /// # Errors
    /// If the database does not answer: ask again, nothing is skipped.
    pub async fn next(&mut self, max: usize) -> Result<Batch, StoreError> {
        let max = max.clamp(1, PAGE_EVENTS_MAX);
        let position = self.position;
        let head = self.head_past(position).await?;
        let (events, reached) = match self.shared.follower.recent_after(position, &self.filter, max) {
            Some((events, reached)) => {
                (read::open(&self.shared, events.iter().map(AsRef::as_ref), self.opening).await?.0, reached)
            }
            None => {
                let up_to = head.min(position + WINDOW_POSITIONS);
                let page = read::range(&self.shared.pool, position, up_to, &self.filter, max).await?;
                // A full page may have left something behind it.
                let last = page.last().filter(|_| page.len() == max);
                let reached = last.map_or(up_to, |event| event.position);
                (read::open(&self.shared, &page, self.opening).await?.0, reached)
            }
        };
        // Only now, after the last await: a `next` that is dropped half way skips nothing.
        self.position = reached;
        Ok(Batch { events, position: reached })
    }

    /// The same for projectors: parsed only as far as they ask, and bounded in bytes too. A damaged
    /// event comes like any other, and says so when it is decoded.
    ///
    /// # Errors
    /// If the database does not answer: ask again, nothing is skipped.
    pub async fn next_unparsed(
        &mut self,
        max: usize,
        needs: MetadataNeeds,
    ) -> Result<Batch<UnparsedEvent>, StoreError> {
        let max = max.clamp(1, UNPARSED_PAGE_EVENTS_MAX);
        let needs = page::needs_of(&self.shared, needs);
        let position = self.position;
        let head = self.head_past(position).await?;
        let (stored, reached) = match self.shared.follower.recent_after(position, &self.filter, max) {
            Some((events, reached)) => {
                (events.iter().map(|event| StoredEvent::clone(event)).collect(), reached)
            }
            None => {
                let up_to = head.min(position + UNPARSED_WINDOW_POSITIONS);
                let page = page::read(&self.shared.pool, position, up_to, &self.filter, max, needs).await?;
                let last = page.events.last().filter(|_| page.is_full);
                let reached = last.map_or(up_to, |event| event.position);
                (page.events, reached)
            }
        };
        let events = page::open(&self.shared, stored, self.opening, needs).await?;
        self.position = reached;
        Ok(Batch { events, position: reached })
    }

    /// Waits until the log's head is past a position.
    async fn head_past(&mut self, position: u64) -> Result<u64, StoreError> {
        match self.head.wait_for(|head| *head > position).await {
            Ok(head) => Ok(*head),
            Err(_) => Err(StoreError::Database(sqlx::Error::PoolClosed)),
        }
    }
}
