//! Snapshots: a state as JSON, sealed like an event, written off the hot path.

use std::{collections::HashSet, sync::Arc};

use serde_json::Value;
use sqlx::Row;
use uuid::Uuid;

use crate::{
    Opening, StoreError, StreamId,
    keyring::{KeyName, KeyState},
    sealing::{self, Place},
    shared::Shared,
};

pub(crate) struct Snapshot {
    pub(crate) state: Value,
    pub(crate) version: u64,
    pub(crate) owners: HashSet<KeyName>,
}

/// The snapshot of a stream, if there is one with this fingerprint.
pub(crate) async fn read(
    shared: &Shared,
    stream: &StreamId,
    fingerprint: &str,
) -> Result<Option<Snapshot>, StoreError> {
    let row = sqlx::query(
        "SELECT sequence, snapshot_id, state::text FROM snapshots
         WHERE aggregate_type = $1 AND aggregate_id = $2 AND fingerprint = $3",
    )
    .bind(stream.aggregate_type.as_ref())
    .bind(&stream.aggregate_id)
    .bind(fingerprint)
    .fetch_optional(&shared.pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let place = Place { id: row.try_get(1)?, part: "state" };
    let Ok(mut state) = serde_json::from_str::<Value>(row.try_get(2)?) else { return Ok(None) };
    let mut owners = HashSet::new();
    sealing::sealed_owners(&state, Opening::Everything, &mut owners);
    let keys = shared.keyring.find(&owners).await?;
    sealing::open(&mut state, place, Opening::Everything, &keys)?;
    Ok(Some(Snapshot { state, version: row.try_get::<i64, _>(0)?.cast_unsigned(), owners }))
}

/// Writes a snapshot in a task of its own: a lost one only costs the reading of more events.
pub(crate) fn write_later(
    shared: &Arc<Shared>,
    stream: &StreamId,
    version: u64,
    fingerprint: &'static str,
    state: &impl serde::Serialize,
) {
    let state = match serde_json::to_value(state) {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!(aggregate.r#type = %stream.aggregate_type, error = %error, "a state does not serialize: no snapshot");
            return;
        }
    };
    let (shared, stream) = (Arc::clone(shared), stream.clone());
    tokio::spawn(async move {
        if let Err(error) = write(&shared, &stream, version, fingerprint, state).await {
            tracing::warn!(aggregate.r#type = %stream.aggregate_type, error = %error, "a snapshot was not written");
        }
    });
}

async fn write(
    shared: &Shared,
    stream: &StreamId,
    version: u64,
    fingerprint: &str,
    mut state: Value,
) -> Result<(), StoreError> {
    let damaged = |error: sealing::SealError| StoreError::Damaged { position: 0, why: error.to_string() };
    let mut names = HashSet::new();
    sealing::owners(&state, &mut names).map_err(damaged)?;
    let keys = shared.keyring.find(&names).await?;
    if keys.values().any(|state| !matches!(state, KeyState::Present(_))) {
        // Someone in it was forgotten while it was read: the next load makes a snapshot without them.
        return Ok(());
    }
    let snapshot_id = Uuid::now_v7();
    sealing::seal(&mut state, Place { id: snapshot_id, part: "state" }, &keys).map_err(damaged)?;
    sqlx::query(
        "INSERT INTO snapshots AS old (aggregate_type, aggregate_id, sequence, fingerprint, snapshot_id, state)
         VALUES ($1, $2, $3, $4, $5, $6::json)
         ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE
             SET sequence = excluded.sequence, fingerprint = excluded.fingerprint,
                 snapshot_id = excluded.snapshot_id, state = excluded.state, taken_at = now()
             WHERE old.fingerprint <> excluded.fingerprint OR old.sequence < excluded.sequence",
    )
    .bind(stream.aggregate_type.as_ref())
    .bind(&stream.aggregate_id)
    .bind(version.cast_signed())
    .bind(fingerprint)
    .bind(snapshot_id)
    .bind(state.to_string())
    .execute(&shared.pool)
    .await?;
    Ok(())
}
