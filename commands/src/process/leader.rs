//! One leader of a name among all nodes: an advisory lock on a connection of its own.

use std::time::Duration;

use rand::Rng;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

/// How often a node that does not lead asks whether it may.
const CANDIDATE_PAUSE: Duration = Duration::from_millis(400);

/// How often the leader shows the database that it lives, and finds out whether it still leads.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A heartbeat without an answer for so long: the connection is dead.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// The database ends a session without heartbeats after this, and with it the lock. It is what
/// frees the lock of a node that was paused or cut off, whose kernel still answers for it.
const SILENCE_MAX: &str = "10s";

/// Holds while the connection lives; given up by dropping it.
pub(super) struct Leadership {
    connection: PgConnection,
}

impl Leadership {
    /// Waits until no other node leads. Retries whatever fails; cancel-safe.
    pub(super) async fn acquire(options: &PgConnectOptions, name: &str) -> Self {
        let mut candidate = None;
        loop {
            match Self::try_acquire(&mut candidate, options, name).await {
                Ok(Some(leadership)) => return leadership,
                Ok(None) => {}
                Err(error) => {
                    candidate = None;
                    tracing::warn!(process.name = name, %error, "leadership could not be asked for");
                }
            }
            // Jitter, so that the nodes do not ask in step.
            let pause = CANDIDATE_PAUSE.mul_f64(rand::rng().random_range(0.75..1.25));
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_acquire(
        candidate: &mut Option<PgConnection>,
        options: &PgConnectOptions,
        name: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        let mut connection = match candidate.take() {
            Some(connection) => connection,
            None => PgConnection::connect_with(&session(options)).await?,
        };
        let leads: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
            .bind(format!("annals.process.{name}"))
            .fetch_one(&mut connection)
            .await?;
        if leads {
            return Ok(Some(Self { connection }));
        }
        *candidate = Some(connection);
        Ok(None)
    }

    /// Returns once the connection, and so the lock, is gone.
    pub(super) async fn lost(&mut self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let beat = tokio::time::timeout(HEARTBEAT_TIMEOUT, self.connection.ping()).await;
            if !matches!(beat, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Gives the lock back at once, so that another node need not wait for the connection to end.
    pub(super) async fn resign(self) {
        if let Ok(Err(error)) = tokio::time::timeout(HEARTBEAT_TIMEOUT, self.connection.close()).await {
            tracing::debug!(%error, "the leader's connection had ended already");
        }
    }
}

fn session(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().options([
        ("idle_session_timeout", SILENCE_MAX),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        ("application_name", "annals-leader"),
    ])
}
