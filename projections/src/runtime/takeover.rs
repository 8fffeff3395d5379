//! A build's beginning and end: its tables, its indexes, and the moment it takes over.

use std::time::Duration;

use sqlx::{Executor, PgConnection};

use super::{
    batch::{self, Checkpoint, Target},
    failure::Failure,
    model,
    pages::Pages,
    signed, small, unsigned,
};

/// Memory for making indexes, while nothing else of the build needs any.
const INDEX_MEMORY: &str = "256MB";

/// A first, coarse look at the rows (Postgres' default is 100); autovacuum takes the next one.
const FIRST_STATISTICS: u32 = 20;

/// In the swap, the new generation may catch up with the live one by so many batches, while that waits.
const LAST_BATCHES_MAX: usize = 4;
/// How long each of them may take to arrive.
const LAST_BATCH_WITHIN: Duration = Duration::from_millis(500);

/// Makes a generation's schema and tables, once.
pub(super) async fn create(
    target: Target<'_>,
    checkpoint: Checkpoint,
    shape: &str,
) -> Result<(), sqlx::Error> {
    let model = target.model;
    let schema = model::schema(model.name(), model.version(), checkpoint.generation);
    let mut tx = target.pool.begin().await?;
    // What is there under this name was left by a try that did not get to set `created`.
    tx.execute(format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE").as_str()).await?;
    tx.execute(format!("CREATE SCHEMA \"{schema}\"; SET LOCAL search_path TO \"{schema}\"").as_str()).await?;
    tx.execute(model.create()).await?;
    sqlx::query(
        "UPDATE projection.versions SET created = true, shape = md5($4)
         WHERE name = $1 AND version = $2 AND generation = $3 AND epoch = $5 AND NOT created",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .bind(small(checkpoint.generation))
    .bind(shape)
    .bind(checkpoint.epoch)
    .execute(&mut *tx)
    .await
    .and_then(exactly_one)?;
    tx.commit().await
}

/// Makes a generation's further indexes: after the bulk of its rows, before anybody reads them.
pub(super) async fn create_indexes(target: Target<'_>, checkpoint: Checkpoint) -> Result<(), sqlx::Error> {
    let model = target.model;
    let schema = model::schema(model.name(), model.version(), checkpoint.generation);
    let mut tx = target.pool.begin().await?;
    sqlx::query(
        "UPDATE projection.versions SET indexed = true
         WHERE name = $1 AND version = $2 AND generation = $3 AND epoch = $4 AND NOT indexed",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .bind(small(checkpoint.generation))
    .bind(checkpoint.epoch)
    .execute(&mut *tx)
    .await
    .and_then(exactly_one)?;
    let settings = format!(
        "SET LOCAL search_path TO \"{schema}\"; SET LOCAL maintenance_work_mem = '{INDEX_MEMORY}'; \
         SET LOCAL synchronous_commit = off; SET LOCAL default_statistics_target = {FIRST_STATISTICS}"
    );
    tx.execute(settings.as_str()).await?;
    if !model.indexes().trim().is_empty() {
        tx.execute(model.indexes()).await?;
    }
    for table in model.tables() {
        tx.execute(format!("ANALYZE \"{table}\"").as_str()).await?;
    }
    tx.commit().await
}

fn exactly_one(done: sqlx::postgres::PgQueryResult) -> Result<(), sqlx::Error> {
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(sqlx::Error::RowNotFound),
    }
}

#[derive(Debug)]
pub(super) enum TakeOver {
    /// Readers see the new generation, at this position.
    Done {
        position: u64,
    },
    /// Nothing changed; another try may succeed. The pages may have moved on.
    NotYet(NotYet),
    NotLeading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotYet {
    /// The live one is further.
    Behind { live: u64 },
    /// It has parked keys, what it would replace may have them not, and nobody confirmed it.
    Parked,
    /// Readers hold the view, or another generation takes over at this moment.
    Busy,
}

/// The swap, in one short transaction.
///
/// It locks the checkpoint rows of all live generations of this name (older versions too), so none of
/// them moves, requires its own to be at or past them, applying the last few events itself if need be,
/// and only then touches the views: readers wait for milliseconds and never see less than before.
pub(super) async fn take_over(
    target: Target<'_>,
    checkpoint: Checkpoint,
    seen: u64,
    pages: &mut Pages,
    batch_events_max: usize,
    lock_timeout: Duration,
) -> Result<TakeOver, Failure> {
    let attempt = attempt(target, checkpoint, seen, pages, batch_events_max, lock_timeout);
    match attempt.await {
        // Lock not available, or a deadlock that was ours to lose.
        Err(Failure::Database(sqlx::Error::Database(error)))
            if error.code().is_some_and(|code| code == "55P03" || code == "40P01") =>
        {
            Ok(TakeOver::NotYet(NotYet::Busy))
        }
        other => other,
    }
}

async fn attempt(
    target: Target<'_>,
    checkpoint: Checkpoint,
    seen: u64,
    pages: &mut Pages,
    batch_events_max: usize,
    lock_timeout: Duration,
) -> Result<TakeOver, Failure> {
    let model = target.model;
    let schema = model::schema(model.name(), model.version(), checkpoint.generation);
    let mut tx = target
        .pool
        .begin_with(format!(
            "BEGIN; SET LOCAL lock_timeout = {}; SET LOCAL search_path TO \"{schema}\"; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            lock_timeout.as_millis(),
            target.transaction_idle_ms
        ))
        .await?;
    let live = lock_live(&mut tx, model.name()).await?;
    let own: Option<(i64, bool, String)> = sqlx::query_as(
        "SELECT parked_keys, accept_parked, coalesce(shape, '') FROM projection.versions
         WHERE name = $1 AND version = $2 AND generation = $3 AND position = $4 AND epoch = $5
           AND state = 'building' FOR UPDATE",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .bind(small(checkpoint.generation))
    .bind(signed(checkpoint.position))
    .bind(checkpoint.epoch)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((parked_keys, accept_parked, shape)) = own else {
        return Ok(TakeOver::NotLeading);
    };
    // Where there is nothing to lose, most of a read model is better than none.
    if parked_keys > 0 && !accept_parked && !live.is_empty() {
        return Ok(TakeOver::NotYet(NotYet::Parked));
    }

    let required = live.iter().map(|live| live.position).max().unwrap_or(0);
    let mut position = seen;
    for _ in 0..LAST_BATCHES_MAX {
        if position >= required {
            break;
        }
        let next = tokio::time::timeout(LAST_BATCH_WITHIN, pages.next(model, batch_events_max));
        let Ok(Ok(batch)) = next.await else { break };
        let generation = checkpoint.generation;
        batch::apply_unparked(model, generation, &batch.events, unsigned(parked_keys), &mut tx).await?;
        position = batch.position;
    }
    if position < required {
        return Ok(TakeOver::NotYet(NotYet::Behind { live: required }));
    }

    let replaced = live.iter().find(|live| live.version == small(model.version()));
    sqlx::query(
        "UPDATE projection.versions SET state = 'retired', retired_at = now()
         WHERE name = $1 AND version = $2 AND state = 'live'",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE projection.versions SET state = 'live', live_at = now(), position = $4
         WHERE name = $1 AND version = $2 AND generation = $3",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .bind(small(checkpoint.generation))
    .bind(signed(position))
    .execute(&mut *tx)
    .await?;
    // Last, because this is what readers wait for.
    let reshaped = replaced.is_some_and(|replaced| replaced.shape != shape);
    for table in model.tables() {
        let view = model::view(table, model.version());
        if reshaped {
            tx.execute(format!("DROP VIEW IF EXISTS read.\"{view}\"").as_str()).await?;
        }
        let swap =
            format!("CREATE OR REPLACE VIEW read.\"{view}\" AS SELECT * FROM \"{schema}\".\"{table}\"");
        tx.execute(swap.as_str()).await?;
    }
    tx.commit().await?;
    Ok(TakeOver::Done { position })
}

struct Live {
    version: i32,
    position: u64,
    shape: String,
}

/// Holds every live generation of this name where it is.
async fn lock_live(connection: &mut PgConnection, name: &str) -> Result<Vec<Live>, sqlx::Error> {
    let rows: Vec<(i32, i64, String)> = sqlx::query_as(
        "SELECT version, position, coalesce(shape, '') FROM projection.versions
         WHERE name = $1 AND state = 'live' ORDER BY version, generation FOR UPDATE",
    )
    .bind(name)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(version, position, shape)| Live { version, position: unsigned(position), shape })
        .collect())
}

/// Whether this build's tables exist: a lost answer to their making is found out here.
pub(super) async fn progress_of(
    target: Target<'_>,
    checkpoint: Checkpoint,
) -> Result<Option<(bool, bool)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT created, indexed FROM projection.versions
         WHERE name = $1 AND version = $2 AND generation = $3 AND epoch = $4 AND state <> 'retired'",
    )
    .bind(target.model.name())
    .bind(small(target.model.version()))
    .bind(small(checkpoint.generation))
    .bind(checkpoint.epoch)
    .fetch_optional(target.pool)
    .await
}
