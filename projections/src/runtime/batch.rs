//! One batch: the rows it changes and the checkpoint, in one transaction.

use std::collections::HashSet;

use annals_eventstore::UnparsedEvent;
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};

use super::{
    failure::{self, Failure},
    model::{self, Model},
    signed, small, unsigned,
};

/// Where a generation stands and on whose authority: what the next batch compares and sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoint {
    pub(super) generation: u32,
    pub(super) position: u64,
    pub(super) epoch: i64,
}

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// For what readers see: they must not see it vanish.
    Flushed,
    /// For builds: losing the last moments, rows and checkpoint alike, costs only doing them again.
    Lazy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Yes {
        parked_keys: u64,
    },
    /// The checkpoint is not where this node left it: another one leads, or the generation is retired.
    NotLeading,
}

/// What a batch needs to know to write.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) model: &'a dyn Model,
    pub(super) durability: Durability,
    /// How long the server lets a transaction sit: a paused leader must not block its successor.
    pub(super) transaction_idle_ms: u128,
}

/// Applies `events` and moves the checkpoint to `to`.
///
/// # Errors
/// Only what is worth trying again. An event that can't be applied is parked.
pub(super) async fn write(
    target: Target<'_>,
    checkpoint: Checkpoint,
    events: &[UnparsedEvent],
    to: u64,
) -> Result<Written, sqlx::Error> {
    let Some((mut tx, parked_keys)) = begin(target, checkpoint, to).await? else {
        return Ok(Written::NotLeading);
    };
    match apply_unparked(target.model, checkpoint.generation, events, parked_keys, &mut tx).await {
        Ok(()) => {
            tx.commit().await?;
            return Ok(Written::Yes { parked_keys });
        }
        Err(Failure::Database(error)) => return Err(error),
        Err(Failure::Event(why)) => {
            tracing::debug!(
                projection.name = target.model.name(),
                why,
                "a batch failed: going event by event"
            );
            tx.rollback().await?;
        }
    }
    let Some((mut tx, parked_keys)) = begin(target, checkpoint, to).await? else {
        return Ok(Written::NotLeading);
    };
    let parked_keys =
        apply_one_by_one(target.model, checkpoint.generation, events, parked_keys, &mut tx).await?;
    tx.commit().await?;
    Ok(Written::Yes { parked_keys })
}

/// Opens a transaction that holds the moved checkpoint, unless someone else moved it.
///
/// The checkpoint goes first: its row lock makes writers of one generation take turns, so nobody waits
/// on half-written rows of another.
///
/// Rows are looked up by key. A table that is being filled has no statistics, so the planner would read
/// all of it for each batch.
async fn begin(
    target: Target<'_>,
    checkpoint: Checkpoint,
    to: u64,
) -> Result<Option<(Transaction<'static, Postgres>, u64)>, sqlx::Error> {
    let model = target.model;
    let schema = model::schema(model.name(), model.version(), checkpoint.generation);
    let commit = match target.durability {
        Durability::Flushed => "on",
        Durability::Lazy => "off",
    };
    let mut tx = target
        .pool
        .begin_with(format!(
            "BEGIN; SET LOCAL search_path TO \"{schema}\"; SET LOCAL synchronous_commit = {commit}; \
             SET LOCAL enable_seqscan = off; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            target.transaction_idle_ms
        ))
        .await?;
    let moved = move_checkpoint(&mut tx, model, checkpoint, to).await?;
    Ok(moved.map(|parked_keys| (tx, parked_keys)))
}

/// Moves the checkpoint without rows: nothing of the log in between was for this projection.
pub(super) async fn skip(
    target: Target<'_>,
    checkpoint: Checkpoint,
    to: u64,
) -> Result<Written, sqlx::Error> {
    let mut connection = target.pool.acquire().await?;
    Ok(match move_checkpoint(&mut connection, target.model, checkpoint, to).await? {
        Some(parked_keys) => Written::Yes { parked_keys },
        None => Written::NotLeading,
    })
}

/// Compare-and-set on position and epoch; the number of parked keys if it held.
async fn move_checkpoint(
    connection: &mut PgConnection,
    model: &dyn Model,
    checkpoint: Checkpoint,
    to: u64,
) -> Result<Option<u64>, sqlx::Error> {
    let parked_keys: Option<i64> = sqlx::query_scalar(
        "UPDATE projection.versions SET position = $6
         WHERE name = $1 AND version = $2 AND generation = $3 AND position = $4 AND epoch = $5
           AND state <> 'retired'
         RETURNING parked_keys",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .bind(small(checkpoint.generation))
    .bind(signed(checkpoint.position))
    .bind(checkpoint.epoch)
    .bind(signed(to))
    .fetch_optional(connection)
    .await?;
    Ok(parked_keys.map(unsigned))
}

/// Applies what does not wait on a parked key, at once; the rest joins what waits.
pub(super) async fn apply_unparked(
    model: &dyn Model,
    generation: u32,
    events: &[UnparsedEvent],
    parked_keys: u64,
    tx: &mut PgConnection,
) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    if parked_keys == 0 {
        return failure::guarded(model, events, tx).await;
    }
    let keys: Vec<String> = events.iter().map(|event| model.key(event)).collect();
    let parked = parked_among(tx, model, generation, &keys).await?;
    if parked.is_empty() {
        return failure::guarded(model, events, tx).await;
    }
    let mut free = Vec::with_capacity(events.len());
    let mut purging = Vec::new();
    for (event, key) in events.iter().zip(&keys) {
        if !parked.contains(key) {
            free.push(event.clone());
            continue;
        }
        park(tx, model, generation, event, key, None).await?;
        if model.purges(event) {
            purging.push(event.clone());
        }
    }
    if !free.is_empty() {
        failure::guarded(model, &free, tx).await?;
    }
    // After the others: what they wrote of the person goes too.
    if !purging.is_empty() {
        failure::guarded(model, &purging, tx).await?;
    }
    Ok(())
}

/// Each event under a savepoint; one that fails is parked, and with it what follows on its key.
/// Returns the number of parked keys.
async fn apply_one_by_one(
    model: &dyn Model,
    generation: u32,
    events: &[UnparsedEvent],
    parked_keys: u64,
    tx: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    let keys: Vec<String> = events.iter().map(|event| model.key(event)).collect();
    let mut parked = match parked_keys {
        0 => HashSet::new(),
        _ => parked_among(tx, model, generation, &keys).await?,
    };
    for (event, key) in events.iter().zip(&keys) {
        let waits = parked.contains(key);
        if waits {
            park(tx, model, generation, event, key, None).await?;
        }
        if waits && !model.purges(event) {
            continue;
        }
        let mut savepoint = tx.begin().await?;
        match failure::guarded(model, std::slice::from_ref(event), &mut savepoint).await {
            Ok(()) => savepoint.commit().await?,
            Err(Failure::Database(error)) => return Err(error),
            Err(Failure::Event(why)) => {
                savepoint.rollback().await?;
                if waits {
                    continue;
                }
                tracing::error!(
                    projection.name = model.name(),
                    projection.version = model.version(),
                    projection.generation = generation,
                    event.position = event.position,
                    event.type = event.event_type,
                    projection.key = key,
                    why,
                    "parked: what follows on this key waits until it is replayed"
                );
                park(tx, model, generation, event, key, Some(&why)).await?;
                parked.insert(key.clone());
            }
        }
    }
    count_parked(tx, model, generation).await
}

async fn parked_among(
    connection: &mut PgConnection,
    model: &dyn Model,
    generation: u32,
    keys: &[String],
) -> Result<HashSet<String>, sqlx::Error> {
    let parked: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT key FROM projection.parked
         WHERE name = $1 AND version = $2 AND generation = $3 AND key = ANY($4)",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .bind(small(generation))
    .bind(keys)
    .fetch_all(connection)
    .await?;
    Ok(parked.into_iter().collect())
}

async fn park(
    connection: &mut PgConnection,
    model: &dyn Model,
    generation: u32,
    event: &UnparsedEvent,
    key: &str,
    why: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO projection.parked (name, version, generation, key, position, part, event_type, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .bind(small(generation))
    .bind(key)
    .bind(signed(event.position))
    .bind(small(event.part))
    .bind(&event.event_type)
    .bind(why)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the number of parked keys into the checkpoint row, where every batch reads it.
pub(super) async fn count_parked(
    connection: &mut PgConnection,
    model: &dyn Model,
    generation: u32,
) -> Result<u64, sqlx::Error> {
    let parked_keys: i64 = sqlx::query_scalar(
        "UPDATE projection.versions SET parked_keys = (
             SELECT count(DISTINCT key) FROM projection.parked
             WHERE name = $1 AND version = $2 AND generation = $3)
         WHERE name = $1 AND version = $2 AND generation = $3
         RETURNING parked_keys",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .bind(small(generation))
    .fetch_one(connection)
    .await?;
    Ok(unsigned(parked_keys))
}
