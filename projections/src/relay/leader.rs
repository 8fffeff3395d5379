//! One relay among the nodes: an advisory lock on a connection of its own.
//!
//! It only keeps two nodes from taking turns in fencing each other. What keeps them from both
//! writing is Kafka: a new producer of the same transactional id fences the one before.

use std::time::Duration;

use rand::Rng;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use crate::runtime::lock::try_lock;

/// How often a node that does not relay asks whether it may.
const CANDIDATE_PAUSE: Duration = Duration::from_millis(500);
/// How often the leader finds out whether it still is.
const HEARTBEAT: Duration = Duration::from_secs(1);
const HEARTBEAT_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Leader {
    connection: PgConnection,
}

impl Leader {
    /// Waits until no other node relays under this prefix. Tries again whatever fails; cancel-safe.
    pub(super) async fn acquire(pool: &PgPool, prefix: &str) -> Self {
        let mut candidate = None;
        loop {
            match try_acquire(&mut candidate, pool, prefix).await {
                Ok(Some(leader)) => return leader,
                Ok(None) => {}
                Err(error) => {
                    candidate = None;
                    tracing::warn!(%error, "whether this node may relay could not be asked for");
                }
            }
            // Jitter, so that the nodes do not ask in step.
            let pause = CANDIDATE_PAUSE.mul_f64(rand::rng().random_range(0.75..1.25));
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns once the connection, and so the lock, is gone.
    pub(super) async fn lost(&mut self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let beat = tokio::time::timeout(HEARTBEAT_WITHIN, self.connection.ping()).await;
            if !matches!(beat, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Gives the lock back at once, so that another node need not wait for the connection to end.
    pub(super) async fn resign(self) {
        if let Ok(Err(error)) = tokio::time::timeout(HEARTBEAT_WITHIN, self.connection.close()).await {
            tracing::debug!(%error, "the relay's connection had ended already");
        }
    }
}

pub(super) fn lock_name(prefix: &str) -> String {
    format!("annals.relay.{prefix}")
}

async fn try_acquire(
    candidate: &mut Option<PgConnection>,
    pool: &PgPool,
    prefix: &str,
) -> Result<Option<Leader>, sqlx::Error> {
    let mut connection = match candidate.take() {
        Some(connection) => connection,
        None => connect(pool).await?,
    };
    if try_lock(&mut connection, &lock_name(prefix)).await? {
        return Ok(Some(Leader { connection }));
    }
    *candidate = Some(connection);
    Ok(None)
}

/// The server's end lets go of a dead node's lock after some 10 s instead of two hours.
async fn connect(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    (*pool.connect_options())
        .clone()
        .application_name("annals relay")
        .options([
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "10000"),
        ])
        .connect()
        .await
}

/// Whether some node holds the lock now.
pub(super) async fn is_held(pool: &PgPool, prefix: &str) -> Result<bool, sqlx::Error> {
    // A lock's 64 bits stand in two columns.
    sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT 1 FROM pg_locks, hashtextextended($1, 0) AS key
             WHERE locktype = 'advisory' AND objsubid = 1 AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND classid::bigint = (key >> 32) & 4294967295 AND objid::bigint = key & 4294967295
         )",
    )
    .bind(lock_name(prefix))
    .fetch_one(pool)
    .await
}
