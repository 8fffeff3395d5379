//! The log's own invariants, asked of Postgres.

use anyhow::Context as _;
use sqlx::PgPool;

pub(super) async fn version(pool: &PgPool) -> anyhow::Result<String> {
    Ok(sqlx::query_scalar("SELECT 'PostgreSQL ' || current_setting('server_version')")
        .fetch_one(pool)
        .await?)
}

pub(super) async fn migrations(pool: &PgPool) -> anyhow::Result<String> {
    let mut counts = Vec::new();
    for table in ["public._sqlx_migrations", "process._sqlx_migrations"] {
        // A name can't be a parameter; these are our own.
        let (done, failed): (i64, i64) = sqlx::query_as(&format!(
            "SELECT count(*) FILTER (WHERE success), count(*) FILTER (WHERE NOT success) FROM {table}"
        ))
        .fetch_one(pool)
        .await
        .with_context(|| format!("{table} can't be read; annals serve makes it"))?;
        anyhow::ensure!(failed == 0, "{failed} migrations of {table} failed");
        counts.push(done.to_string());
    }
    Ok(format!("{} are applied", counts.join(" + ")))
}

/// Gapless from 1 to the head.
pub(super) async fn positions(pool: &PgPool) -> anyhow::Result<String> {
    let (count, first, last, head): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(min(position), 1), coalesce(max(position), 0), (SELECT h.position FROM log_head h)
         FROM events",
    )
    .fetch_one(pool)
    .await?;
    if first != 1 || count != last {
        let gap: Option<i64> = sqlx::query_scalar(
            "SELECT e.position + 1 FROM events e
             WHERE NOT EXISTS (SELECT FROM events n WHERE n.position = e.position + 1) AND e.position < $1
             ORDER BY e.position LIMIT 1",
        )
        .bind(last)
        .fetch_optional(pool)
        .await?;
        anyhow::bail!("there are {count} events up to position {last}: {} is missing", gap.unwrap_or(1));
    }
    anyhow::ensure!(last == head, "the last event is at {last}, and the head says {head}");
    Ok(format!("{count} events, no gap, the head is at {head}"))
}

/// Every stream is numbered 1, 2, 3 … in the order of its positions.
pub(super) async fn sequences(pool: &PgPool) -> anyhow::Result<String> {
    let (streams, wrong): (i64, i64) = sqlx::query_as(
        "SELECT count(DISTINCT (aggregate_type, aggregate_id)), count(*) FILTER (WHERE sequence <> expected)
         FROM (SELECT aggregate_type, aggregate_id, sequence,
                      row_number() OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY position) AS expected
               FROM events) AS numbered",
    )
    .fetch_one(pool)
    .await?;
    anyhow::ensure!(wrong == 0, "{wrong} events have a number that is not their place in their stream");
    Ok(format!("{streams} streams, each numbered without a gap"))
}

/// Time never runs backwards along positions.
pub(super) async fn recorded(pool: &PgPool) -> anyhow::Result<String> {
    let backwards: Option<i64> = sqlx::query_scalar(
        "SELECT position FROM (SELECT position, recorded_at, lag(recorded_at) OVER (ORDER BY position) AS before
                               FROM events) AS ordered
         WHERE recorded_at < before ORDER BY position LIMIT 1",
    )
    .fetch_optional(pool)
    .await?;
    match backwards {
        Some(position) => anyhow::bail!("event {position} was recorded before the one before it"),
        None => Ok("never runs backwards".to_string()),
    }
}

pub(super) async fn keys(pool: &PgPool) -> anyhow::Result<String> {
    let (kept, destroyed, wrapped_by): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE wrapped IS NOT NULL), count(*) FILTER (WHERE wrapped IS NULL),
                count(DISTINCT master_key) FILTER (WHERE wrapped IS NOT NULL)
         FROM sealing_keys",
    )
    .fetch_one(pool)
    .await?;
    let rotate = if wrapped_by > 1 { "; annals keys rotate was not finished: run it again" } else { "" };
    Ok(format!("the master key opens this log; {kept} keys are kept, {destroyed} destroyed{rotate}"))
}

/// Receipts point to what there is.
pub(super) async fn receipts(pool: &PgPool) -> anyhow::Result<String> {
    let (receipts, wrong): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE position < 0 OR position > (SELECT h.position FROM log_head h))
         FROM idempotency",
    )
    .fetch_one(pool)
    .await?;
    anyhow::ensure!(
        wrong == 0,
        "{wrong} of {receipts} receipts point to positions that the log does not have"
    );
    Ok(format!("{receipts}, each of a position that is there"))
}
