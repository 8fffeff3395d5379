//! What a read model could not apply: listed, looked into, left out.

use annals_domain::operations::{Build, SkippedKey};
use annals_eventstore::{EventStore, Filter, Opening};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{AdminError, signed, small, tables, unsigned, unsigned_small};

/// A key of a projection that waits, with the failure it waits for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedKey {
    pub version: u32,
    pub generation: u32,
    pub key: String,
    /// The event that failed, and why. No values of the event.
    pub position: u64,
    pub event_type: String,
    pub error: String,
    pub parked_at: DateTime<Utc>,
    /// How many events wait, with the one that failed.
    pub events: u64,
}

/// An event that waits on a parked key.
#[derive(Clone, Debug)]
pub struct ParkedEvent {
    pub version: u32,
    pub generation: u32,
    pub position: u64,
    pub event_type: String,
    /// Of the one that failed; those behind it only wait.
    pub error: Option<String>,
    pub parked_at: DateTime<Utc>,
    /// As the log has it, with every sealed value erased.
    pub payload: serde_json::Value,
}

/// At most `limit` keys behind `after`, by their first position.
pub(super) async fn keys(
    pool: &PgPool,
    name: &str,
    after: Option<&ParkedKey>,
    limit: u32,
) -> Result<Vec<ParkedKey>, sqlx::Error> {
    type Columns = (i32, i32, String, i64, String, String, DateTime<Utc>, i64);
    let rows: Vec<Columns> = sqlx::query_as(
        "SELECT version, generation, key, min(position),
                (array_agg(event_type ORDER BY position, part))[1],
                coalesce((array_agg(error ORDER BY position, part))[1], ''), min(parked_at), count(*)
         FROM projection.parked WHERE name = $1
         GROUP BY version, generation, key
         HAVING $2::bigint IS NULL OR (min(position), version, generation, key) > ($2, $3, $4, $5)
         ORDER BY min(position), version, generation, key LIMIT $6",
    )
    .bind(name)
    .bind(after.map(|key| signed(key.position)))
    .bind(after.map(|key| small(key.version)))
    .bind(after.map(|key| small(key.generation)))
    .bind(after.map(|key| &key.key))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(version, generation, key, position, event_type, error, parked_at, events)| ParkedKey {
            version: unsigned_small(version),
            generation: unsigned_small(generation),
            key,
            position: unsigned(position),
            event_type,
            error,
            parked_at,
            events: unsigned(events),
        })
        .collect())
}

/// The first events that wait on a key, of whatever generation.
pub(super) async fn events(
    store: &EventStore,
    name: &str,
    key: &str,
    limit: u32,
) -> Result<Vec<ParkedEvent>, AdminError> {
    type Columns = (i32, i32, i64, i32, String, Option<String>, DateTime<Utc>);
    let rows: Result<Vec<Columns>, _> = sqlx::query_as(
        "SELECT version, generation, position, part, event_type, error, parked_at
         FROM projection.parked WHERE name = $1 AND key = $2
         ORDER BY position, part, version, generation LIMIT $3",
    )
    .bind(name)
    .bind(key)
    .bind(i64::from(limit))
    .fetch_all(store.pool())
    .await;
    let rows = tables::or_empty(rows)?;
    let mut events = Vec::with_capacity(rows.len());
    for (version, generation, position, part, event_type, error, parked_at) in rows {
        let position = unsigned(position);
        let stored = store.read_all(position.saturating_sub(1), &Filter::default(), 1).await?;
        let mut payload = serde_json::Value::Null;
        if let Some(stored) = stored.first() {
            let parts = store.open_event(stored, Opening::Nothing).await?;
            let part = parts.into_iter().find(|event| small(event.part) == part);
            payload = part.map_or(payload, |event| event.payload);
        }
        events.push(ParkedEvent {
            version: unsigned_small(version),
            generation: unsigned_small(generation),
            position,
            event_type,
            error,
            parked_at,
            payload,
        });
    }
    Ok(events)
}

/// What waits on a key, per generation.
pub(super) async fn skippable(pool: &PgPool, name: &str, key: &str) -> Result<Vec<SkippedKey>, sqlx::Error> {
    let rows: Vec<(i32, i32, i64, i64, i64)> = sqlx::query_as(
        "SELECT version, generation, min(position), max(position), count(*)
         FROM projection.parked WHERE name = $1 AND key = $2
         GROUP BY version, generation ORDER BY version, generation",
    )
    .bind(name)
    .bind(key)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(version, generation, first, last, events)| SkippedKey {
            build: Build { version: unsigned_small(version), generation: unsigned_small(generation) },
            key: key.to_string(),
            first_position: unsigned(first),
            last_position: unsigned(last),
            events: unsigned(events),
        })
        .collect())
}

/// Takes out of the queue what a skip names. The checkpoint's row goes first, so that a batch of the
/// leader and this take turns.
pub(super) async fn skip(pool: &PgPool, name: &str, skipped: &SkippedKey) -> Result<(), sqlx::Error> {
    let (version, generation) = (small(skipped.build.version), small(skipped.build.generation));
    let mut tx = pool.begin().await?;
    sqlx::query(
        "SELECT 1 FROM projection.versions WHERE name = $1 AND version = $2 AND generation = $3 FOR UPDATE",
    )
    .bind(name)
    .bind(version)
    .bind(generation)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "DELETE FROM projection.parked
         WHERE name = $1 AND version = $2 AND generation = $3 AND key = $4 AND position <= $5",
    )
    .bind(name)
    .bind(version)
    .bind(generation)
    .bind(&skipped.key)
    .bind(signed(skipped.last_position))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE projection.versions SET parked_keys = (
             SELECT count(DISTINCT key) FROM projection.parked
             WHERE name = $1 AND version = $2 AND generation = $3)
         WHERE name = $1 AND version = $2 AND generation = $3",
    )
    .bind(name)
    .bind(version)
    .bind(generation)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
