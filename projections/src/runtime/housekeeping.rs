//! Clears away what nobody reads any more. The rule:
//!
//! 1. A generation replaced by a newer one of its own version is dropped as soon as no reader is in it.
//! 2. A version that no node led for [`super::ProjectorOptions::retire_after`] while this one is live
//!    is retired. A binary of that version that comes back takes it up where it stopped.
//! 3. A retired version's tables and views are dropped after [`super::ProjectorOptions::drop_after`].

use std::{collections::HashMap, sync::Arc};

use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;

use super::{
    lock,
    model::{self, Model},
    projector::Runtime,
    small,
    tables::{Row, State},
    unsigned_small,
};

/// Of the leader of a version that is live.
pub(super) struct Housekeeping {
    runtime: Arc<Runtime>,
    model: Arc<dyn Model>,
    /// Since when nobody leads another version, as far as this leader saw.
    unled_since: HashMap<u32, Instant>,
    looked_at: Option<Instant>,
}

impl Housekeeping {
    pub(super) fn new(runtime: Arc<Runtime>, model: Arc<dyn Model>) -> Self {
        Self { runtime, model, unled_since: HashMap::new(), looked_at: None }
    }

    /// Does what is due. Errors are those of the leader's connection; what can't be dropped now is
    /// dropped another time.
    pub(super) async fn tidy(
        &mut self,
        connection: &mut PgConnection,
        rows: &[Row],
    ) -> Result<(), sqlx::Error> {
        for row in rows.iter().filter(|row| row.state == State::Retired && !row.dropped) {
            self.drop_generation(self.model.version(), row.generation).await;
        }
        // Other versions change with deployments: a fraction of the retiring time is often enough.
        let due = self.looked_at.is_none_or(|at| at.elapsed() * 4 >= self.runtime.options.retire_after);
        if due {
            self.looked_at = Some(Instant::now());
            self.retire_unled(connection).await?;
            self.drop_retired(connection).await?;
        }
        Ok(())
    }

    async fn retire_unled(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let name = self.model.name();
        let versions: Vec<i32> = sqlx::query_scalar(
            "SELECT DISTINCT version FROM projection.versions
             WHERE name = $1 AND version <> $2 AND state <> 'retired'",
        )
        .bind(name)
        .bind(small(self.model.version()))
        .fetch_all(&mut *connection)
        .await?;
        for version in versions.into_iter().map(unsigned_small) {
            let lock_name = model::lock_name(name, version);
            if !lock::try_lock(connection, &lock_name).await? {
                self.unled_since.remove(&version);
                continue;
            }
            let since = *self.unled_since.entry(version).or_insert_with(Instant::now);
            if since.elapsed() >= self.runtime.options.retire_after {
                sqlx::query(
                    "UPDATE projection.versions SET state = 'retired', retired_at = now()
                     WHERE name = $1 AND version = $2 AND state <> 'retired'",
                )
                .bind(name)
                .bind(small(version))
                .execute(&mut *connection)
                .await?;
                self.unled_since.remove(&version);
                tracing::info!(
                    projection.name = name,
                    projection.version = version,
                    "retired: no node runs this version any more"
                );
            }
            lock::unlock(connection, &lock_name).await?;
        }
        Ok(())
    }

    async fn drop_retired(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let name = self.model.name();
        let due: Vec<(i32, i32)> = sqlx::query_as(
            "SELECT version, generation FROM projection.versions
             WHERE name = $1 AND version <> $2 AND state = 'retired' AND dropped_at IS NULL
               AND retired_at < now() - make_interval(secs => $3)",
        )
        .bind(name)
        .bind(small(self.model.version()))
        .bind(self.runtime.options.drop_after.as_secs_f64())
        .fetch_all(&mut *connection)
        .await?;
        for (version, generation) in due {
            let (version, generation) = (unsigned_small(version), unsigned_small(generation));
            let lock_name = model::lock_name(name, version);
            // Nobody takes it up again at this moment.
            if lock::try_lock(connection, &lock_name).await? {
                self.drop_generation(version, generation).await;
                lock::unlock(connection, &lock_name).await?;
            }
        }
        Ok(())
    }

    async fn drop_generation(&self, version: u32, generation: u32) {
        let name = self.model.name();
        match self.try_drop(version, generation).await {
            Ok(()) => tracing::info!(
                projection.name = name,
                projection.version = version,
                projection.generation = generation,
                "dropped the tables of a retired generation"
            ),
            // A reader is still in it.
            Err(error) => tracing::debug!(
                projection.name = name,
                projection.version = version,
                projection.generation = generation,
                %error,
                "a retired generation can't be dropped yet"
            ),
        }
    }

    async fn try_drop(&self, version: u32, generation: u32) -> Result<(), sqlx::Error> {
        let name = self.model.name();
        let schema = model::schema(name, version, generation);
        let mut connection = self.runtime.store.pool().acquire().await?;
        let mut tx = connection.begin().await?;
        let lock_timeout_ms = self.runtime.options.lock_timeout.as_millis();
        tx.execute(format!("SET LOCAL lock_timeout = {lock_timeout_ms}").as_str()).await?;
        let dropped = sqlx::query(
            "UPDATE projection.versions SET dropped_at = now(), created = false, indexed = false,
                    parked_keys = 0
             WHERE name = $1 AND version = $2 AND generation = $3 AND state = 'retired'
               AND dropped_at IS NULL",
        )
        .bind(name)
        .bind(small(version))
        .bind(small(generation))
        .execute(&mut *tx)
        .await?;
        if dropped.rows_affected() == 0 {
            return Ok(());
        }
        sqlx::query("DELETE FROM projection.parked WHERE name = $1 AND version = $2 AND generation = $3")
            .bind(name)
            .bind(small(version))
            .bind(small(generation))
            .execute(&mut *tx)
            .await?;
        // The views of a version go with the generation they show.
        tx.execute(format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE").as_str()).await?;
        tx.commit().await
    }
}
