//! Durable timers: rows that events can rebuild, shared by all nodes.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

/// A timer that is due and leased to this node.
#[derive(Clone, Debug)]
pub struct Timer {
    pub id: Uuid,
    /// Which handler: `publishing.publish`.
    pub kind: String,
    /// Unique within its kind: scheduling again replaces it.
    pub key: String,
    pub due_at: DateTime<Utc>,
    pub payload: Value,
    /// 1 at the first try.
    pub attempt: u32,
    /// The event that set it.
    pub caused_by: Uuid,
    pub organization_id: Option<Uuid>,
    /// The call must end before.
    pub leased_until: DateTime<Utc>,
}

/// A timer to set.
#[derive(Clone, Debug)]
pub struct NewTimer {
    pub kind: &'static str,
    pub key: String,
    pub due_at: DateTime<Utc>,
    pub payload: Value,
    pub caused_by: Uuid,
    pub organization_id: Option<Uuid>,
}

/// Sets a timer, replacing one of the same kind and key.
///
/// # Errors
/// If the database does not answer.
#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the body is being written")]
pub async fn schedule(tx: &mut Transaction<'static, Postgres>, timer: NewTimer) -> Result<(), sqlx::Error> {
    todo!()
}

/// Removes a timer, if it is there.
///
/// # Errors
/// If the database does not answer.
#[expect(clippy::todo, unused_variables, clippy::unused_async, reason = "the body is being written")]
pub async fn cancel(
    tx: &mut Transaction<'static, Postgres>,
    kind: &str,
    key: &str,
) -> Result<(), sqlx::Error> {
    todo!()
}

/// What became of a timer's call.
#[derive(Debug)]
pub enum Fired {
    /// Done, or nothing to do: the row goes.
    Done,
    /// Nothing was done and nothing acted: again later (three attempts, exponential from 2 s
    /// with jitter, not before `not_before`), then parked with the reason.
    NotActed { reason: String, not_before: Option<Duration> },
    /// No use trying again by itself: parked with the reason, visible and re-triggerable.
    Park { reason: String },
    /// Once more at this time, as a fresh first attempt.
    Later { due_at: DateTime<Utc> },
}

/// Does what a kind of timer is for. The aggregate decides whether there is something to do.
#[async_trait]
pub trait TimerHandler: Send + Sync {
    fn kind(&self) -> &'static str;

    /// How long a call may take; its own timeouts are shorter.
    fn lease(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn fire(&self, timer: &Timer) -> Fired;
}
