//! A batch whose answer was lost: what became of it is in the log.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use super::{
    Refusal, Waiting,
    batch::StoredKey,
    committer::{Backend, connect},
};
use crate::{
    Receipt,
    read::{receipt_of, stored_keys},
    shared::Shared,
};

/// How long to wait for a terminated backend in one round.
const TERMINATE_WAIT: Duration = Duration::from_millis(2_000);

/// What the log says about the events and keys of a batch.
pub(super) struct Outcomes {
    head: i64,
    events: HashMap<Uuid, Landed>,
    keys: HashMap<Vec<u8>, StoredKey>,
}

struct Landed {
    position: i64,
    sequence: i64,
    recorded_at: DateTime<Utc>,
    payload: String,
    metadata: String,
}

/// Ends the backend that may still be at it, then looks.
///
/// Only when that backend is gone is the log's answer final: a request it has
/// not yet read could still commit. The head's lock is taken as well, so that
/// what is read is what the next append will find.
pub(super) async fn outcomes(
    shared: &Shared,
    backend: Backend,
    batch: &[Waiting],
) -> Result<Outcomes, sqlx::Error> {
    let mut connection = connect(shared).await?.connection;
    end_backend(&mut connection, backend).await?;
    let mut transaction = connection.begin().await?;
    let head = sqlx::query_scalar("SELECT position FROM log_head WHERE one FOR UPDATE")
        .fetch_one(&mut *transaction)
        .await?;
    let ids: Vec<Uuid> =
        batch.iter().flat_map(|waiting| &waiting.append.events).map(|event| event.event_id).collect();
    let rows = sqlx::query(
        "SELECT event_id, position, sequence, recorded_at, payload::text AS payload, metadata::text AS metadata
         FROM events WHERE event_id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(&mut *transaction)
    .await?;
    let mut events = HashMap::with_capacity(rows.len());
    for row in rows {
        let landed = Landed {
            position: row.try_get("position")?,
            sequence: row.try_get("sequence")?,
            recorded_at: row.try_get("recorded_at")?,
            payload: row.try_get("payload")?,
            metadata: row.try_get("metadata")?,
        };
        events.insert(row.try_get("event_id")?, landed);
    }
    let hashes: Vec<&[u8]> = batch
        .iter()
        .filter_map(|waiting| waiting.append.idempotency.as_ref())
        .map(|key| key.hash.as_slice())
        .collect();
    let keys = stored_keys(&mut transaction, &hashes).await?;
    transaction.rollback().await?;
    connection.close().await?;
    Ok(Outcomes { head, events, keys })
}

async fn end_backend(connection: &mut PgConnection, backend: Backend) -> Result<(), sqlx::Error> {
    let gone = sqlx::query_scalar::<_, bool>(
        "SELECT coalesce(bool_and(pg_terminate_backend(pid, $3)), true)
         FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2",
    )
    .bind(backend.pid)
    .bind(backend.started)
    .bind(i64::try_from(TERMINATE_WAIT.as_millis()).unwrap_or(i64::MAX))
    .fetch_one(connection)
    .await?;
    if gone {
        Ok(())
    } else {
        Err(sqlx::Error::Io(std::io::Error::other("the backend of the lost answer has not ended yet")))
    }
}

/// Answers what happened; gives back what did not.
pub(super) fn answer(shared: &Shared, batch: Vec<Waiting>, mut outcomes: Outcomes) -> Vec<Waiting> {
    let mut open = Vec::new();
    for waiting in batch {
        // All or nothing: one event tells about all. One with the same id but another text is
        // somebody else's; sending this one again will say so.
        let last = waiting.append.events.last().and_then(|event| {
            let landed = outcomes.events.get(&event.event_id)?;
            (landed.payload == event.payload && landed.metadata == event.metadata).then_some(landed)
        });
        if let Some(last) = last {
            let receipt = landed(&waiting, last, &outcomes);
            for key in &waiting.append.new_keys {
                shared.keyring.evict(&key.name.owner);
            }
            for owner in &waiting.append.forget {
                shared.forget(owner);
            }
            waiting.answer(Ok(receipt));
            continue;
        }
        let stored = waiting
            .append
            .idempotency
            .as_ref()
            .and_then(|key| outcomes.keys.remove(key.hash.as_slice()).map(|stored| (key, stored)));
        if let Some((key, stored)) = stored {
            let receipt = receipt_of(&shared.keyring, &key.hash, &key.digest, &stored);
            waiting.answer(receipt.map_err(Refusal::Final));
            continue;
        }
        // Claims alone can be taken, released and asserted again: nothing tells, nothing harms.
        open.push(waiting);
    }
    shared.follower.look();
    open
}

fn landed(waiting: &Waiting, last: &Landed, outcomes: &Outcomes) -> Receipt {
    let append = &waiting.append;
    let version = |index: usize| {
        let of_stream = append.events.iter().rev().find(|event| event.stream == index);
        of_stream.and_then(|event| outcomes.events.get(&event.event_id)).map(|landed| landed.sequence)
    };
    let versions = append
        .streams
        .iter()
        .take(append.written_streams)
        .enumerate()
        .filter_map(|(index, stream)| {
            // A stream without an event of this append was asserted at its version.
            let version = version(index).or((stream.expected >= 0).then_some(stream.expected))?;
            Some((stream.stream.clone(), version.cast_unsigned()))
        })
        .collect();
    debug_assert!(last.position <= outcomes.head, "the head is past every event");
    Receipt {
        position: last.position.cast_unsigned(),
        recorded_at: last.recorded_at,
        versions,
        result: append.idempotency.as_ref().map_or(serde_json::Value::Null, |key| {
            serde_json::from_str(&key.result).unwrap_or(serde_json::Value::Null)
        }),
        shown_once: None,
        shown_once_expired: false,
        replayed: false,
    }
}
