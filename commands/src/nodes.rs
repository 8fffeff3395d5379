//! Which nodes run on this log: each shows every few seconds that it lives.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::Running;

/// How often a node shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// A node that was silent for so long is not listed.
const ALIVE_WITHIN: Duration = Duration::from_secs(8);
/// A node that was silent for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// A node about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Of this run of the program.
    pub id: Uuid,
    pub host: String,
    pub pid: u32,
    /// Of the program.
    pub version: String,
    /// As the configuration names them.
    pub roles: Vec<String>,
}

/// A node that lives.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Node {
    pub id: Uuid,
    pub host: String,
    #[sqlx(try_from = "i32")]
    pub pid: u32,
    pub version: String,
    pub roles: Vec<String>,
    pub started_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
}

/// Lists this node until `stop` is cancelled; then takes it off the list.
///
/// Needs [`crate::migrate`] to have run.
///
/// # Errors
/// If the database does not answer.
pub async fn announce(pool: PgPool, node: NewNode, stop: CancellationToken) -> Result<Running, sqlx::Error> {
    beat(&pool, &node).await?;
    let tasks = TaskTracker::new();
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            if let Err(error) = beat(&pool, &node).await {
                tracing::debug!(%error, "the node could not show that it lives");
            }
        }
        if let Err(error) =
            sqlx::query("DELETE FROM process.nodes WHERE id = $1").bind(node.id).execute(&pool).await
        {
            tracing::debug!(%error, "the node could not be taken off the list");
        }
    });
    Ok(Running::new(tasks))
}

/// The nodes that live, the oldest first.
///
/// # Errors
/// If the database does not answer.
pub async fn alive(pool: &PgPool) -> Result<Vec<Node>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, host, pid, version, roles, started_at, seen_at FROM process.nodes
         WHERE seen_at > clock_timestamp() - make_interval(secs => $1) ORDER BY started_at, id",
    )
    .bind(ALIVE_WITHIN.as_secs_f64())
    .fetch_all(pool)
    .await
}

async fn beat(pool: &PgPool, node: &NewNode) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH forgotten AS (
             DELETE FROM process.nodes
             WHERE id <> $1 AND seen_at < clock_timestamp() - make_interval(secs => $6)
         )
         INSERT INTO process.nodes (id, host, pid, version, roles) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()",
    )
    .bind(node.id)
    .bind(&node.host)
    .bind(node.pid.cast_signed())
    .bind(&node.version)
    .bind(&node.roles)
    .bind(FORGOTTEN_AFTER.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}
