//! The notary's tables: the tree's head, its tiles, the checkpoints.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, Postgres, Transaction};
use tlog_tiles::Hash;

use super::{
    NotaryError,
    checkpoint::Checkpoint,
    tree::{Growth, TileName, Tiles},
};

/// A node that stops in the middle of its work must not keep the others from it.
const SILENCE_MAX: &str = "SET LOCAL idle_in_transaction_session_timeout = '30s'";

pub(super) struct Head {
    pub(super) size: u64,
    pub(super) root: Hash,
    /// Of the log.
    pub(super) log: u64,
}

/// Tree and log as they stand.
pub(super) async fn head(executor: impl PgExecutor<'_>) -> Result<Head, NotaryError> {
    let row: (i64, Vec<u8>, i64) =
        sqlx::query_as("SELECT size, root, (SELECT position FROM log_head) FROM notary_tree")
            .fetch_one(executor)
            .await?;
    head_of(row)
}

/// The same, locked against other nodes until the transaction ends; `None` while another has it.
pub(super) async fn try_lock(tx: &mut Transaction<'_, Postgres>) -> Result<Option<Head>, NotaryError> {
    sqlx::query(SILENCE_MAX).execute(&mut **tx).await?;
    let row = sqlx::query_as(
        "SELECT size, root, (SELECT position FROM log_head) FROM notary_tree FOR UPDATE SKIP LOCKED",
    )
    .fetch_optional(&mut **tx)
    .await?;
    row.map(head_of).transpose()
}

/// The same, after waiting for the node that has it.
pub(super) async fn lock(tx: &mut Transaction<'_, Postgres>) -> Result<Head, NotaryError> {
    sqlx::query(SILENCE_MAX).execute(&mut **tx).await?;
    // Two statements: the head is read only once the lock is held.
    sqlx::query("SELECT 1 FROM notary_tree FOR UPDATE").execute(&mut **tx).await?;
    head(&mut **tx).await
}

fn head_of((size, root, log): (i64, Vec<u8>, i64)) -> Result<Head, NotaryError> {
    Ok(Head { size: size.cast_unsigned(), root: hash(&root)?, log: log.cast_unsigned() })
}

pub(super) fn hash(bytes: &[u8]) -> Result<Hash, NotaryError> {
    let bytes =
        bytes.try_into().map_err(|_| NotaryError::Damaged { why: "a hash has not 32 bytes".into() })?;
    Ok(Hash(bytes))
}

pub(super) async fn tiles(
    executor: impl PgExecutor<'_>,
    names: impl IntoIterator<Item = TileName>,
) -> Result<Vec<(TileName, Vec<u8>)>, NotaryError> {
    let (levels, indexes): (Vec<i16>, Vec<i64>) =
        names.into_iter().map(|(level, index)| (i16::from(level), index.cast_signed())).unzip();
    if levels.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(i16, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT t.level, t.index, t.hashes
         FROM unnest($1::smallint[], $2::bigint[]) AS wanted (level, index)
         JOIN notary_tiles t USING (level, index)",
    )
    .bind(levels)
    .bind(indexes)
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(level, index, hashes)| {
            ((level.cast_unsigned().to_le_bytes()[0], index.cast_unsigned()), hashes)
        })
        .collect())
}

/// Fetches what is missing.
pub(super) async fn complete(
    executor: impl PgExecutor<'_>,
    tiles: &mut Tiles,
    missing: BTreeSet<TileName>,
) -> Result<(), NotaryError> {
    let found = self::tiles(executor, missing.iter().copied()).await?;
    if found.len() < missing.len() {
        let names: Vec<_> =
            missing.iter().filter(|name| !found.iter().any(|(found, _)| found == *name)).collect();
        return Err(NotaryError::Damaged { why: format!("tiles (level, index) are not there: {names:?}") });
    }
    tiles.add(found);
    Ok(())
}

/// Stores what a tree has grown by.
pub(super) async fn store(
    tx: &mut Transaction<'_, Postgres>,
    growth: &Growth,
    root: Hash,
) -> Result<(), NotaryError> {
    let (mut levels, mut indexes, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for ((level, index), data) in growth.changed() {
        levels.push(i16::from(level));
        indexes.push(index.cast_signed());
        hashes.push(data);
    }
    sqlx::query(
        "INSERT INTO notary_tiles (level, index, hashes)
         SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
         ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes",
    )
    .bind(levels)
    .bind(indexes)
    .bind(hashes)
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE notary_tree SET size = $1, root = $2")
        .bind(growth.size().cast_signed())
        .bind(root.0.as_slice())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

const COLUMNS: &str = "number, size, root, note, verifier_key, signed_at";
type CheckpointRow = (i64, i64, Vec<u8>, String, String, DateTime<Utc>);

fn checkpoint_of(row: CheckpointRow) -> Result<Checkpoint, NotaryError> {
    let (number, size, root, note, verifier_key, signed_at) = row;
    Ok(Checkpoint {
        number: number.cast_unsigned(),
        size: size.cast_unsigned(),
        root: hash(&root)?,
        note,
        verifier_key,
        signed_at,
    })
}

pub(super) async fn latest_checkpoint(
    executor: impl PgExecutor<'_>,
) -> Result<Option<Checkpoint>, NotaryError> {
    let row =
        sqlx::query_as(&format!("SELECT {COLUMNS} FROM notary_checkpoints ORDER BY number DESC LIMIT 1"))
            .fetch_optional(executor)
            .await?;
    row.map(checkpoint_of).transpose()
}

/// The newest before `before`, newest first.
pub(super) async fn checkpoints(
    executor: impl PgExecutor<'_>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Checkpoint>, NotaryError> {
    let rows: Vec<CheckpointRow> = sqlx::query_as(&format!(
        "SELECT {COLUMNS} FROM notary_checkpoints WHERE number < $1 ORDER BY number DESC LIMIT $2"
    ))
    .bind(before.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX)))
    .bind(i64::from(limit))
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(checkpoint_of).collect()
}

/// At most about `count` checkpoints of at most this size, evenly chosen, in the order of signing.
pub(super) async fn some_checkpoints(
    executor: impl PgExecutor<'_>,
    size_max: u64,
    count: u32,
) -> Result<Vec<Checkpoint>, NotaryError> {
    let rows: Vec<CheckpointRow> = sqlx::query_as(&format!(
        "SELECT {COLUMNS} FROM (
             SELECT *, row_number() OVER (ORDER BY number DESC) AS nth, count(*) OVER () AS total
             FROM notary_checkpoints WHERE size BETWEEN 1 AND $1
         ) AS counted
         WHERE (nth - 1) % greatest(1, (total + $2 - 1) / $2) = 0 ORDER BY number"
    ))
    .bind(size_max.cast_signed())
    .bind(i64::from(count))
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(checkpoint_of).collect()
}

/// The checkpoints of these sizes.
pub(super) async fn checkpoints_of(
    executor: impl PgExecutor<'_>,
    sizes: &[u64],
) -> Result<Vec<Checkpoint>, NotaryError> {
    let sizes: Vec<i64> = sizes.iter().filter_map(|size| i64::try_from(*size).ok()).collect();
    let rows: Vec<CheckpointRow> =
        sqlx::query_as(&format!("SELECT {COLUMNS} FROM notary_checkpoints WHERE size = ANY ($1)"))
            .bind(sizes)
            .fetch_all(executor)
            .await?;
    rows.into_iter().map(checkpoint_of).collect()
}

/// Stores a checkpoint; the one that is there already if this key has signed this size before.
pub(super) async fn add_checkpoint(
    tx: &mut Transaction<'_, Postgres>,
    size: u64,
    root: Hash,
    note: &str,
    verifier_key: &str,
) -> Result<Checkpoint, NotaryError> {
    let added = sqlx::query_as(&format!(
        "INSERT INTO notary_checkpoints (size, root, note, verifier_key) VALUES ($1, $2, $3, $4)
         ON CONFLICT (size, verifier_key) DO NOTHING RETURNING {COLUMNS}"
    ))
    .bind(size.cast_signed())
    .bind(root.0.as_slice())
    .bind(note)
    .bind(verifier_key)
    .fetch_optional(&mut **tx)
    .await?;
    let row = match added {
        Some(row) => row,
        None => {
            sqlx::query_as(&format!(
                "SELECT {COLUMNS} FROM notary_checkpoints WHERE size = $1 AND verifier_key = $2"
            ))
            .bind(size.cast_signed())
            .bind(verifier_key)
            .fetch_one(&mut **tx)
            .await?
        }
    };
    checkpoint_of(row)
}

pub(super) async fn unpublished(
    executor: impl PgExecutor<'_>,
    place: &str,
    limit: u32,
) -> Result<Vec<Checkpoint>, NotaryError> {
    let rows: Vec<CheckpointRow> = sqlx::query_as(&format!(
        "SELECT {COLUMNS} FROM notary_checkpoints
         WHERE number > coalesce((SELECT p.number FROM notary_published p WHERE p.place = $1), 0)
         ORDER BY number LIMIT $2"
    ))
    .bind(place)
    .bind(i64::from(limit))
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(checkpoint_of).collect()
}

pub(super) async fn published(
    executor: impl PgExecutor<'_>,
    place: &str,
    number: u64,
) -> Result<(), NotaryError> {
    sqlx::query(
        "INSERT INTO notary_published (place, number) VALUES ($1, $2)
         ON CONFLICT (place) DO UPDATE SET published_at = clock_timestamp(),
             number = greatest(notary_published.number, excluded.number)",
    )
    .bind(place)
    .bind(number.cast_signed())
    .execute(executor)
    .await?;
    Ok(())
}
