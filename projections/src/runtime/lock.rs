//! The leader's lock: an advisory lock on a connection of its own, outside the pool.
//!
//! The lock only keeps two nodes from getting in each other's way. What keeps them from writing twice
//! is the epoch in the checkpoint row, taken over here and compared by every batch.

use std::time::Duration;

use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

use super::{
    model::{self, Model},
    pace::Rate,
    small,
    tables::{self, Row, State},
};

/// How long the server may leave a question on the lock's connection unanswered.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A connection that can hold the lock of one projection version.
pub(super) struct Lock {
    connection: PgConnection,
    name: &'static str,
    version: u32,
    lock_name: String,
    shape: String,
}

/// What taking over the leadership found.
pub(super) struct Leadership {
    pub(super) epoch: i64,
}

impl Lock {
    pub(super) async fn connect(pool: &PgPool, model: &dyn Model) -> Result<Self, sqlx::Error> {
        let (name, version) = (model.name(), model.version());
        // The server's end: it lets go of a dead node's lock after some 10 s instead of two hours.
        let options = (*pool.connect_options())
            .clone()
            .application_name(&format!("annals lead {name} v{version}"))
            .options([
                ("tcp_keepalives_idle", "5"),
                ("tcp_keepalives_interval", "2"),
                ("tcp_keepalives_count", "3"),
                ("tcp_user_timeout", "10000"),
            ]);
        let connection = within(options.connect()).await?;
        Ok(Self {
            connection,
            name,
            version,
            lock_name: model::lock_name(name, version),
            shape: model::shape(model),
        })
    }

    /// Tries to get the lock. Asking again and again rather than waiting in the server: a waiting
    /// statement would hold back vacuum.
    pub(super) async fn try_acquire(&mut self) -> Result<bool, sqlx::Error> {
        try_lock(&mut self.connection, &self.lock_name).await
    }

    /// Takes over: raises the epoch, so that whoever led before can't write any more, and sees to it
    /// that there is a generation to work on.
    ///
    /// On the lock's own connection: if that is gone, nothing is taken over. Waits at most 2 s for a
    /// transaction of the former leader; a paused one is ended by the server.
    pub(super) async fn take_over(&mut self, node: Uuid) -> Result<Leadership, sqlx::Error> {
        within(take_over(&mut self.connection, self.name, self.version, &self.shape, node)).await
    }

    /// The generations to work on. Failing means that the lock may be gone.
    pub(super) async fn rows(&mut self) -> Result<Vec<Row>, sqlx::Error> {
        within(tables::rows(&mut self.connection, self.name, self.version, &self.shape)).await
    }

    /// Makes a generation that was asked for by an admin ours.
    pub(super) async fn adopt(&mut self, generation: u32, epoch: i64) -> Result<(), sqlx::Error> {
        let adopted = sqlx::query(
            "UPDATE projection.versions SET epoch = $4
             WHERE name = $1 AND version = $2 AND generation = $3 AND epoch < $4",
        )
        .bind(self.name)
        .bind(small(self.version))
        .bind(small(generation))
        .bind(epoch)
        .execute(&mut self.connection);
        within(adopted).await?;
        Ok(())
    }

    /// Writes how fast a generation moves.
    pub(super) async fn write_rate(&mut self, generation: u32, rate: Rate) -> Result<(), sqlx::Error> {
        let written = sqlx::query(
            "INSERT INTO projection.rates
                 (name, version, generation, events_per_second, positions_per_second)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name, version, generation) DO UPDATE SET
                 events_per_second = excluded.events_per_second,
                 positions_per_second = excluded.positions_per_second, measured_at = clock_timestamp()",
        )
        .bind(self.name)
        .bind(small(self.version))
        .bind(small(generation))
        .bind(rate.events_per_second)
        .bind(rate.positions_per_second)
        .execute(&mut self.connection);
        within(written).await?;
        Ok(())
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Lets go at once, so that another node need not wait for the server to notice.
    pub(super) async fn release(self) {
        let name = self.name;
        if let Err(error) = within(self.connection.close()).await {
            tracing::debug!(projection.name = name, %error, "the leader's connection was gone already");
        }
    }
}

/// Bounds a question: the server may be gone without a word.
async fn within<T>(question: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(ANSWER_WITHIN, question).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

pub(crate) async fn try_lock(connection: &mut PgConnection, lock_name: &str) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(lock_name)
        .fetch_one(connection);
    within(asked).await
}

pub(super) async fn unlock(connection: &mut PgConnection, lock_name: &str) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query_scalar("SELECT pg_advisory_unlock(hashtextextended($1, 0))")
        .bind(lock_name)
        .fetch_one(connection);
    within(asked).await
}

async fn take_over(
    connection: &mut PgConnection,
    name: &'static str,
    version: u32,
    shape: &str,
    node: Uuid,
) -> Result<Leadership, sqlx::Error> {
    let mut tx = connection.begin().await?;
    tx.execute("SET LOCAL lock_timeout = '2s'").await?;
    // The row locks wait for a transaction of the former leader and keep rebuild requests out.
    sqlx::query(
        "SELECT 1 FROM projection.versions WHERE name = $1 AND version = $2 ORDER BY generation FOR UPDATE",
    )
    .bind(name)
    .bind(small(version))
    .execute(&mut *tx)
    .await?;
    let rows = tables::rows(&mut tx, name, version, shape).await?;
    for row in rows.iter().filter(|row| row.state == State::Building && !row.same_shape) {
        tables::retire(&mut tx, name, version, row.generation).await?;
    }
    let building = rows.iter().any(|row| row.state == State::Building && row.same_shape);
    let live = rows.iter().find(|row| row.state == State::Live);
    match live {
        Some(live) if !live.same_shape && !building => {
            tracing::warn!(
                projection.name = name,
                projection.version = version,
                "the tables changed but VERSION did not: rebuilding beside the live ones"
            );
            tables::begin_generation(&mut tx, name, version).await?;
        }
        None if !building => {
            // A version that was retired while its binary was away goes on where it stopped.
            let kept = rows
                .iter()
                .rev()
                .find(|row| row.state == State::Retired && row.created && !row.dropped && row.same_shape);
            match kept {
                Some(row) => {
                    sqlx::query(
                        "UPDATE projection.versions SET state = 'building', retired_at = NULL
                         WHERE name = $1 AND version = $2 AND generation = $3",
                    )
                    .bind(name)
                    .bind(small(version))
                    .bind(small(row.generation))
                    .execute(&mut *tx)
                    .await?;
                }
                None => {
                    tables::begin_generation(&mut tx, name, version).await?;
                }
            }
        }
        _ => {}
    }
    let epoch: i64 = sqlx::query_scalar(
        "WITH newest AS (
             SELECT max(epoch) + 1 AS epoch FROM projection.versions WHERE name = $1 AND version = $2
         )
         UPDATE projection.versions v SET epoch = newest.epoch FROM newest
         WHERE v.name = $1 AND v.version = $2 AND v.state IN ('building', 'live')
         RETURNING v.epoch",
    )
    .bind(name)
    .bind(small(version))
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO projection.leaders (name, version, node) VALUES ($1, $2, $3)
         ON CONFLICT (name, version) DO UPDATE SET node = excluded.node, since = clock_timestamp()",
    )
    .bind(name)
    .bind(small(version))
    .bind(node)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Leadership { epoch })
}
