//! Where each process manager is, moved by compare-and-set.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

/// How far a process manager has reacted, for an admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Checkpoint {
    pub name: String,
    /// Everything up to here was reacted to.
    #[sqlx(try_from = "i64")]
    pub position: u64,
    /// How many leaders it has had.
    #[sqlx(try_from = "i64")]
    pub epoch: u64,
    pub updated_at: DateTime<Utc>,
    /// The node that leads it, or led it last: whether that one lives, [`crate::nodes::alive`] says.
    pub leader: Option<Uuid>,
    /// The log's last position.
    #[sqlx(try_from = "i64")]
    pub head: u64,
    /// When the first event behind `position` was recorded, if there is one.
    pub oldest_waiting_at: Option<DateTime<Utc>>,
}

/// All of them, by name.
///
/// # Errors
/// If the database does not answer.
pub async fn checkpoints(pool: &PgPool) -> Result<Vec<Checkpoint>, sqlx::Error> {
    sqlx::query_as(
        "WITH head AS (SELECT coalesce(max(position), 0) AS head FROM events)
         SELECT name, position, epoch, updated_at, leader, head,
                (SELECT recorded_at FROM events WHERE events.position = c.position + 1) AS oldest_waiting_at
         FROM process.checkpoints c CROSS JOIN head ORDER BY name",
    )
    .fetch_all(pool)
    .await
}

/// A checkpoint as one leader holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) name: &'static str,
    pub(super) position: u64,
    epoch: i64,
}

/// Whether the checkpoint moved, or someone else leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Yes,
    Deposed,
}

/// Where a process manager starts, if it is new here.
pub(super) async fn register(pool: &PgPool, name: &str, position: u64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO process.checkpoints (name, position) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name)
    .bind(position.cast_signed())
    .execute(pool)
    .await?;
    Ok(())
}

/// Begins a new epoch: whoever led before can't move it any more.
pub(super) async fn take_over(pool: &PgPool, name: &'static str, node: Uuid) -> Result<Held, sqlx::Error> {
    let (position, epoch): (i64, i64) = sqlx::query_as(
        "UPDATE process.checkpoints SET epoch = epoch + 1, leader = $2 WHERE name = $1 RETURNING position, epoch",
    )
    .bind(name)
    .bind(node)
    .fetch_one(pool)
    .await?;
    Ok(Held { name, position: position.cast_unsigned(), epoch })
}

impl Held {
    /// Moves the row; `self` is left as it was, since the transaction may yet fail.
    pub(super) async fn store(&self, executor: impl PgExecutor<'_>, to: u64) -> Result<Moved, sqlx::Error> {
        let moved = sqlx::query(
            "UPDATE process.checkpoints SET position = $1, updated_at = clock_timestamp()
             WHERE name = $2 AND position = $3 AND epoch = $4",
        )
        .bind(to.cast_signed())
        .bind(self.name)
        .bind(self.position.cast_signed())
        .bind(self.epoch)
        .execute(executor)
        .await?;
        Ok(if moved.rows_affected() == 1 { Moved::Yes } else { Moved::Deposed })
    }
}

#[cfg(test)]
mod tests {
    use annals_eventstore::testing;

    use super::*;

    #[tokio::test]
    async fn a_deposed_leader_moves_nothing() -> Result<(), Box<dyn std::error::Error>> {
        let database = testing::database().await;
        let pool = &database.pool;
        crate::migrate(pool).await?;
        register(pool, "test", 10).await?;
        register(pool, "test", 99).await?;
        let former = take_over(pool, "test", Uuid::nil()).await?;
        let leader = take_over(pool, "test", Uuid::nil()).await?;
        assert_eq!((former.position, leader.position), (10, 10), "the first start is the one that counts");

        // Nobody has moved it since: only the epoch tells them apart.
        assert_eq!(former.store(pool, 11).await?, Moved::Deposed);
        assert_eq!(leader.store(pool, 12).await?, Moved::Yes);
        assert_eq!(leader.store(pool, 13).await?, Moved::Deposed, "it did not know of its own move");
        let stored = checkpoints(pool).await?.remove(0);
        assert_eq!((stored.position, stored.epoch), (12, 2));
        Ok(())
    }
}
