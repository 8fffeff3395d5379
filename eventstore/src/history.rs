//! Reading the past: by position, time, type, stream, actor, correlation and organization.
//!
//! The log has no index for most of these, and gets none: each would slow every append. What is not
//! found by the key, by the stream's own index or among a query's candidates is looked for in windows of
//! positions, for a bounded time, and the page says where the search goes on.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{EventStore, RecordedEvent, StoreError, StoredEvent, StreamId, read};

/// How many positions one query looks through.
const WINDOW_POSITIONS: u64 = 20_000;

/// An organization, and which events are its own.
///
/// A stream of `aggregate_type` is the organization with that id itself, whoever acted on it; of all
/// other streams it is what the event's metadata say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfOrganization {
    pub id: Uuid,
    /// The type of the streams that are organizations.
    pub aggregate_type: Cow<'static, str>,
}

impl OfOrganization {
    /// Whether an event is the organization's.
    pub fn has(&self, event: &RecordedEvent) -> bool {
        if event.stream.aggregate_type == self.aggregate_type {
            return event.stream.aggregate_id.parse() == Ok(self.id);
        }
        event.metadata.organization_id == Some(self.id)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

/// What an index beside the log knows of a query: up to a position, which events can match it at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// The index has seen every event up to here, this one included.
    pub up_to: u64,
    /// Of those, the ones that can match; the query's conditions are checked all the same.
    pub positions: Vec<u64>,
}

/// Which events of the past; all of them by default. Every condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The first position, inclusive.
    pub from: u64,
    /// The last position, inclusive.
    pub to: u64,
    /// An event type, or its beginning up to a dot: `publishing.post.scheduled`, `publishing.post`, `identity`.
    pub event_type: Option<String>,
    pub aggregate_type: Option<String>,
    pub aggregate_id: Option<String>,
    /// Who did it: the actor's id.
    pub actor: Option<String>,
    pub correlation_id: Option<Uuid>,
    pub organization: Option<OfOrganization>,
    pub order: Order,
    /// Spares looking through what cannot match.
    pub candidates: Option<Candidates>,
}

impl HistoryQuery {
    /// The next positions to look through at once, both ends inclusive.
    fn window(&self, from: u64, to: u64) -> (u64, u64) {
        let indexed = self.candidates.as_ref().map_or(0, |candidates| candidates.up_to);
        match self.order {
            // The stream's index finds them all at once.
            _ if self.aggregate_id.is_some() => (from, to),
            Order::OldestFirst if from <= indexed => (from, to.min(indexed)),
            Order::OldestFirst => (from, to.min(from + (WINDOW_POSITIONS - 1))),
            Order::NewestFirst if to <= indexed => (from, to),
            Order::NewestFirst => (from.max(indexed + 1).max(to.saturating_sub(WINDOW_POSITIONS - 1)), to),
        }
    }
}

impl Default for HistoryQuery {
    fn default() -> Self {
        Self {
            from: 1,
            to: i64::MAX.cast_unsigned(),
            event_type: None,
            aggregate_type: None,
            aggregate_id: None,
            actor: None,
            correlation_id: None,
            organization: None,
            order: Order::default(),
            candidates: None,
        }
    }
}

/// What was found, in the order asked for.
#[derive(Debug)]
pub struct HistoryPage {
    pub events: Vec<StoredEvent>,
    /// Where the search goes on: the next `from` (newest first: the next `to`). Given also by a
    /// page that found little, if its time was over before the range was.
    pub next: Option<u64>,
}

impl EventStore {
    /// The next `limit` events of the past, searched for about `within` at most.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn history(
        &self,
        query: &HistoryQuery,
        limit: usize,
        within: Duration,
    ) -> Result<HistoryPage, StoreError> {
        let started = Instant::now();
        let head = self.head().await?;
        let (mut from, mut to) = (query.from.max(1), query.to.min(head));
        let mut events: Vec<StoredEvent> = Vec::new();
        while from <= to {
            let window = query.window(from, to);
            let wanted = limit - events.len();
            let found = window_of(self.pool(), query, window, wanted).await?;
            // A full page may have left something behind it.
            let last = found.last().filter(|_| found.len() == wanted).map(|event| event.position);
            match query.order {
                Order::OldestFirst => from = last.unwrap_or(window.1) + 1,
                Order::NewestFirst => to = last.unwrap_or(window.0) - 1,
            }
            events.extend(found);
            if events.len() >= limit || started.elapsed() > within {
                break;
            }
        }
        let next = (from <= to).then_some(match query.order {
            Order::OldestFirst => from,
            Order::NewestFirst => to,
        });
        Ok(HistoryPage { events, next })
    }

    /// The last position at a time: that of the last event recorded then or before; 0 if there is none.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn position_at(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        last_position(self.pool(), self.head().await?, |recorded_at| recorded_at <= time).await
    }

    /// The first position since a time: that of the first event recorded then or after; one past
    /// the head if there is none.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn position_since(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(last_position(self.pool(), self.head().await?, |recorded_at| recorded_at < time).await? + 1)
    }

    /// The events with these positions, in order; those that are not there are left out.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn read_positions(&self, positions: &[u64]) -> Result<Vec<StoredEvent>, StoreError> {
        let positions: Vec<i64> = positions.iter().map(|position| position.cast_signed()).collect();
        let mut select = select();
        select.push("position = ANY (").push_bind(positions).push(") ORDER BY position");
        fetch(self.pool(), select).await
    }

    /// The events with these ids, in order; those that are not there are left out.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn read_ids(&self, ids: &[Uuid]) -> Result<Vec<StoredEvent>, StoreError> {
        let mut select = select();
        select.push("event_id = ANY (").push_bind(ids.to_vec()).push(") ORDER BY position");
        fetch(self.pool(), select).await
    }

    /// The first position of a range, both ends inclusive, that is not in the log; none should be.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn first_gap(&self, from: u64, to: u64) -> Result<Option<u64>, StoreError> {
        let mut from = from.max(1);
        while from <= to {
            let last = to.min(from + (WINDOW_POSITIONS - 1));
            let gap: Option<i64> = sqlx::query_scalar(
                "SELECT wanted FROM generate_series($1::bigint, $2::bigint) AS wanted
                 WHERE (SELECT count(*) FROM events WHERE position BETWEEN $1 AND $2) <> $2 - $1 + 1
                   AND NOT EXISTS (SELECT FROM events WHERE position = wanted)
                 ORDER BY wanted LIMIT 1",
            )
            .bind(from.cast_signed())
            .bind(last.cast_signed())
            .fetch_optional(self.pool())
            .await?;
            if let Some(gap) = gap {
                return Ok(Some(gap.cast_unsigned()));
            }
            from = last + 1;
        }
        Ok(None)
    }

    /// The number that a stream's last event up to a position has; 0 if it had none.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn version_at(&self, stream: &StreamId, position: u64) -> Result<u64, StoreError> {
        // Along the stream's index, the last first: it ends at the first row that is old enough.
        let version: Option<i64> = sqlx::query_scalar(
            "SELECT sequence FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND position <= $3
             ORDER BY sequence DESC LIMIT 1",
        )
        .bind(stream.aggregate_type.as_ref())
        .bind(&stream.aggregate_id)
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .fetch_optional(self.pool())
        .await?;
        Ok(version.unwrap_or(0).cast_unsigned())
    }
}

fn select<'a>() -> QueryBuilder<'a, Postgres> {
    QueryBuilder::new(concat!("SELECT ", read::columns!(), " FROM events WHERE "))
}

async fn fetch(
    pool: &PgPool,
    mut select: QueryBuilder<'_, Postgres>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = select.build().fetch_all(pool).await?;
    rows.iter().map(|row| read::stored(row).map_err(StoreError::from)).collect()
}

/// The matching events of a window of positions, both ends inclusive.
async fn window_of(
    pool: &PgPool,
    query: &HistoryQuery,
    (from, to): (u64, u64),
    limit: usize,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut select = select();
    select.push("position BETWEEN ").push_bind(from.cast_signed());
    select.push(" AND ").push_bind(to.cast_signed());
    if let Some(candidates) = query.candidates.as_ref().filter(|candidates| to <= candidates.up_to) {
        let positions: Vec<i64> =
            candidates.positions.iter().map(|position| position.cast_signed()).collect();
        select.push(" AND position = ANY (").push_bind(positions).push(")");
    }
    if let Some(id) = &query.aggregate_id {
        select.push(" AND aggregate_id = ").push_bind(id);
    }
    if let Some(aggregate_type) = &query.aggregate_type {
        select.push(" AND aggregate_type = ").push_bind(aggregate_type);
    }
    if let Some(event_type) = &query.event_type {
        select.push(" AND (event_type = ").push_bind(event_type);
        select.push(" OR starts_with(event_type, ").push_bind(format!("{event_type}.")).push("))");
    }
    if let Some(actor) = &query.actor {
        select.push(" AND metadata #>> '{actor,id}' = ").push_bind(actor);
    }
    if let Some(correlation) = query.correlation_id {
        select.push(" AND metadata ->> 'correlation_id' = ").push_bind(correlation.to_string());
    }
    if let Some(OfOrganization { id, aggregate_type }) = &query.organization {
        select.push(" AND CASE WHEN aggregate_type = ").push_bind(aggregate_type.as_ref());
        select.push(" THEN aggregate_id = ").push_bind(id.to_string());
        select.push(" ELSE metadata ->> 'organization_id' = ").push_bind(id.to_string()).push(" END");
    }
    // With `+ 0` the planner can't walk the whole log in order for the few events of a stream.
    select.push(match (query.order, query.aggregate_id.is_some()) {
        (Order::OldestFirst, false) => " ORDER BY position",
        (Order::NewestFirst, false) => " ORDER BY position DESC",
        (Order::OldestFirst, true) => " ORDER BY position + 0",
        (Order::NewestFirst, true) => " ORDER BY position + 0 DESC",
    });
    select.push(" LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    fetch(pool, select).await
}

/// The last position whose time is early enough, by halves: time never runs backwards along positions.
async fn last_position(
    pool: &PgPool,
    head: u64,
    is_early_enough: impl Fn(DateTime<Utc>) -> bool,
) -> Result<u64, StoreError> {
    let (mut early, mut late) = (0, head + 1);
    while late - early > 1 {
        let middle = early + (late - early) / 2;
        let recorded_at = sqlx::query_scalar("SELECT recorded_at FROM events WHERE position = $1")
            .bind(middle.cast_signed())
            .fetch_one(pool)
            .await?;
        if is_early_enough(recorded_at) {
            early = middle;
        } else {
            late = middle;
        }
    }
    Ok(early)
}
