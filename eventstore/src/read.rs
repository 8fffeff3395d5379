//! Queries of the log.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt};
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    AppendError, ClaimKey, Filter, IdempotencyRef, KeyringError, Opening, Receipt, RecordedEvent, StoreError,
    StoredEvent, StreamId, Upcast, Upcaster,
    commit::StoredKey,
    keyring::{KeyName, Keyring},
    sealing::{self, Keys, Place},
    shared::Shared,
};

/// What [`stored`] takes an event from; payload and metadata as json and not as text, for casting each
/// value costs the server a copy. `$metadata` takes the place of the metadata where nobody needs it.
macro_rules! columns {
    () => {
        $crate::read::columns!("metadata")
    };
    ($metadata:literal) => {
        concat!(
            "position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, ",
            $metadata,
            ", recorded_at"
        )
    };
}
pub(crate) use columns;

/// The rows of a range of positions, of some types of aggregates ($3) and events ($4), none meaning all.
macro_rules! filtered_range {
    ($metadata:literal) => {
        concat!(
            "SELECT ",
            $crate::read::columns!($metadata),
            " FROM events WHERE position > $1 AND position <= $2
                AND (cardinality($3::text[]) = 0 OR aggregate_type = ANY ($3))
                AND (cardinality($4::text[]) = 0 OR event_type = ANY ($4))
              ORDER BY position LIMIT $5"
        )
    };
}
pub(crate) use filtered_range;

pub(crate) async fn stream(
    pool: &PgPool,
    stream: &StreamId,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3
          ORDER BY sequence LIMIT $4"
    ))
    .bind(stream.aggregate_type.as_ref())
    .bind(&stream.aggregate_id)
    .bind(after_sequence.cast_signed())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| stored(row).map_err(StoreError::from)).collect()
}

/// Rows of `after < position <= up_to` that the filter lets through.
pub(crate) async fn range(
    pool: &PgPool,
    after_position: u64,
    up_to: u64,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = sqlx::query(filtered_range!("metadata"))
        .bind(after_position.cast_signed())
        .bind(i64::try_from(up_to).unwrap_or(i64::MAX))
        .bind(&filter.aggregate_types)
        .bind(&filter.event_types)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| stored(row).map_err(StoreError::from)).collect()
}

/// Rows of `after < position <= up_to`, as they arrive.
pub(crate) fn rows<'c>(
    connection: &'c mut PgConnection,
    after_position: u64,
    up_to: u64,
) -> impl Stream<Item = Result<StoredEvent, sqlx::Error>> + Send + 'c {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM events WHERE position > $1 AND position <= $2 ORDER BY position"
    );
    sqlx::query(sql)
        .bind(after_position.cast_signed())
        .bind(i64::try_from(up_to).unwrap_or(i64::MAX))
        .fetch(connection)
        .map(|row| stored(&row?))
}

/// An organization's rows of `after < position <= up_to`, at most `limit`, as they arrive.
pub(crate) fn rows_of(
    connection: &mut PgConnection,
    organization: Uuid,
    after_position: u64,
    up_to: u64,
    limit: i64,
) -> impl Stream<Item = Result<StoredEvent, sqlx::Error>> + Send {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM events WHERE position > $1 AND position <= $2 AND metadata ->> 'organization_id' = $3
          ORDER BY position LIMIT $4"
    );
    sqlx::query(sql)
        .bind(after_position.cast_signed())
        .bind(i64::try_from(up_to).unwrap_or(i64::MAX))
        .bind(organization.to_string())
        .bind(limit)
        .fetch(connection)
        .map(|row| stored(&row?))
}

pub(crate) async fn head(pool: &PgPool) -> Result<(u64, u64), StoreError> {
    let row = sqlx::query("SELECT position, forgotten FROM log_head WHERE one").fetch_one(pool).await?;
    Ok((row.try_get::<i64, _>(0)?.cast_unsigned(), row.try_get::<i64, _>(1)?.cast_unsigned()))
}

pub(crate) async fn claim_holder(pool: &PgPool, key: &ClaimKey) -> Result<Option<String>, StoreError> {
    let found = sqlx::query_scalar("SELECT holder FROM claims WHERE namespace = $1 AND key = $2")
        .bind(&key.namespace)
        .bind(&key.key)
        .fetch_optional(pool)
        .await?;
    Ok(found)
}

pub(crate) async fn forgotten_owners(pool: &PgPool) -> Result<Vec<(String, DateTime<Utc>)>, StoreError> {
    let owners = sqlx::query_as(
        "SELECT owner, min(forgotten_at) FROM sealing_keys WHERE forgotten IS NOT NULL
         GROUP BY owner ORDER BY min(forgotten)",
    )
    .fetch_all(pool)
    .await?;
    Ok(owners)
}

/// Whether each stream's newest event has the version's number.
pub(crate) async fn confirm(pool: &PgPool, versions: &[(StreamId, u64)]) -> Result<bool, StoreError> {
    let types: Vec<&str> = versions.iter().map(|(stream, _)| stream.aggregate_type.as_ref()).collect();
    let ids: Vec<&str> = versions.iter().map(|(stream, _)| stream.aggregate_id.as_str()).collect();
    let numbers: Vec<i64> = versions.iter().map(|(_, version)| version.cast_signed()).collect();
    let same = sqlx::query_scalar::<_, bool>(
        "SELECT coalesce(bool_and(s.version = coalesce(
             (SELECT e.sequence FROM events e WHERE e.aggregate_type = s.type AND e.aggregate_id = s.id
              ORDER BY e.sequence DESC LIMIT 1), 0)), true)
         FROM unnest($1::text[], $2::text[], $3::bigint[]) AS s (type, id, version)",
    )
    .bind(types)
    .bind(ids)
    .bind(numbers)
    .fetch_one(pool)
    .await?;
    Ok(same)
}

pub(crate) async fn find_receipt(
    shared: &Shared,
    reference: &IdempotencyRef,
) -> Result<Option<Receipt>, AppendError> {
    let hash = shared.keyring.key_hash(&reference.scope, &reference.key);
    let unavailable = |error| AppendError::Unavailable(StoreError::Database(error));
    let mut connection = shared.pool.acquire().await.map_err(unavailable)?;
    let mut found = stored_keys(&mut connection, &[&hash]).await.map_err(unavailable)?;
    found
        .remove(hash.as_slice())
        .map(|stored| receipt_of(&shared.keyring, &hash, &reference.request_digest, &stored))
        .transpose()
}

pub(crate) async fn stored_keys(
    connection: &mut PgConnection,
    hashes: &[&[u8]],
) -> Result<HashMap<Vec<u8>, StoredKey>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT key_hash, request_digest, result::text AS result, position, recorded_at, shown_once, shown_until
         FROM idempotency WHERE key_hash = ANY ($1)",
    )
    .bind(hashes)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let stored = StoredKey {
                digest: row.try_get("request_digest")?,
                result: row.try_get("result")?,
                position: row.try_get("position")?,
                recorded_at: row.try_get("recorded_at")?,
                shown: row.try_get("shown_once")?,
                shown_until: row.try_get("shown_until")?,
            };
            Ok((row.try_get("key_hash")?, stored))
        })
        .collect()
}

/// The answer to a retry, if it is one of the same request.
pub(crate) fn receipt_of(
    keyring: &Keyring,
    hash: &[u8],
    digest: &[u8],
    stored: &StoredKey,
) -> Result<Receipt, AppendError> {
    if stored.digest != digest {
        return Err(AppendError::KeyReused);
    }
    let shown = stored
        .shown
        .as_ref()
        .filter(|_| stored.shown_until.is_some_and(|until| chrono::Utc::now() < until))
        .map(|sealed| keyring.open_shown_once(hash, sealed))
        .transpose()?;
    Ok(Receipt {
        position: stored.position.cast_unsigned(),
        recorded_at: stored.recorded_at,
        versions: Vec::new(),
        result: serde_json::from_str(&stored.result)
            .map_err(|error| AppendError::Malformed { why: error.to_string() })?,
        shown_once_expired: stored.shown_until.is_some() && shown.is_none(),
        shown_once: shown,
        replayed: true,
    })
}

/// An event from a row of [`columns`].
pub(crate) fn stored(row: &PgRow) -> Result<StoredEvent, sqlx::Error> {
    let json = |index| -> Result<String, sqlx::Error> {
        Ok(row.try_get_raw(index)?.as_str().map_err(sqlx::Error::Decode)?.to_string())
    };
    Ok(StoredEvent {
        position: row.try_get::<i64, _>(0)?.cast_unsigned(),
        event_id: row.try_get(1)?,
        stream: StreamId::new(row.try_get::<String, _>(2)?, row.try_get::<String, _>(3)?),
        sequence: row.try_get::<i64, _>(4)?.cast_unsigned(),
        event_type: row.try_get(5)?,
        event_version: row.try_get(6)?,
        payload: json(7)?,
        metadata: json(8)?,
        recorded_at: row.try_get(9)?,
    })
}

/// Stored events as a reader may see them, with at most one query for all their keys.
///
/// Also gives the owners whose values were opened.
pub(crate) async fn open<'e>(
    shared: &Shared,
    events: impl IntoIterator<Item = &'e StoredEvent>,
    opening: Opening,
) -> Result<(Vec<RecordedEvent>, HashSet<KeyName>), StoreError> {
    let mut names = HashSet::new();
    let mut parsed = Vec::new();
    for event in events {
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            position: event.position,
            why: error.to_string(),
        };
        let mut sealed = [false; 2];
        let mut values = [Value::Null, Value::Null];
        for (index, text) in [&event.payload, &event.metadata].into_iter().enumerate() {
            values[index] = serde_json::from_str(text).map_err(damaged)?;
            if sealing::may_hold_sealed(text) {
                sealed[index] = true;
                sealing::sealed_owners(&values[index], opening, &mut names);
            }
        }
        parsed.push((event, values, sealed));
    }
    let keys = if names.is_empty() { Keys::new() } else { shared.keyring.find(&names).await? };
    let mut opened = Vec::with_capacity(parsed.len());
    for (event, [mut payload, mut metadata], sealed) in parsed {
        let damaged =
            |error: KeyringError| StoreError::Damaged { position: event.position, why: error.to_string() };
        if sealed[0] {
            let place = Place { id: event.event_id, part: "payload" };
            sealing::open(&mut payload, place, opening, &keys).map_err(damaged)?;
        }
        if sealed[1] {
            let place = Place { id: event.event_id, part: "metadata" };
            sealing::open(&mut metadata, place, opening, &keys).map_err(damaged)?;
        }
        let metadata = serde_json::from_value(metadata)
            .map_err(|error| StoreError::Damaged { position: event.position, why: error.to_string() })?;
        let recorded = RecordedEvent {
            position: event.position,
            part: 0,
            event_id: event.event_id,
            stream: event.stream.clone(),
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            event_version: event.event_version.clone(),
            payload,
            metadata,
            recorded_at: event.recorded_at,
        };
        upcast(&shared.options.upcasters, recorded, &mut opened);
    }
    Ok((opened, names))
}

fn upcast(upcasters: &[std::sync::Arc<dyn Upcaster>], event: RecordedEvent, into: &mut Vec<RecordedEvent>) {
    let mut events = vec![event];
    for upcaster in upcasters {
        events = events
            .into_iter()
            .flat_map(|event| match upcaster.upcast(event) {
                Upcast::Unchanged(event) => vec![event],
                Upcast::Into(events) => events,
            })
            .collect();
    }
    into.extend((0..).zip(events).map(|(part, mut event)| {
        event.part = part;
        event
    }));
}
