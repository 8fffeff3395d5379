//! Durable timers: rows that events can rebuild, shared by all nodes.

mod claim;
mod desk;
mod worker;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

pub use desk::{ListedTimer, TimerFilter, TimerState, cancel_by_id, find, list, retrigger};
pub use worker::TimerWorkers;

/// A timer that is due and leased to this node.
#[derive(Clone, Debug)]
pub struct Timer {
    /// Of this setting of it: setting it again gives it another one.
    pub id: Uuid,
    /// Which handler: `publishing.publish`.
    pub kind: String,
    /// Unique within its kind: scheduling again replaces it.
    pub key: String,
    pub due_at: DateTime<Utc>,
    pub payload: Value,
    /// 1 at the first try. More than 1 may mean that a worker died in the try before: ask the
    /// aggregate what happened.
    pub attempt: u32,
    /// The event that set it.
    pub caused_by: Uuid,
    pub organization_id: Option<Uuid>,
    /// The call must end before, by the clock of this node: it is cut off then.
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

/// The channel that rings when a timer is due at once.
const CHANNEL: &str = "annals_timers";

/// Sets a timer, replacing one of the same kind and key, also a parked one. If a call for the
/// one it replaces is under way, the new one waits until that call or its lease has ended.
///
/// # Errors
/// If the database does not answer.
pub async fn schedule(tx: &mut Transaction<'static, Postgres>, timer: NewTimer) -> Result<(), sqlx::Error> {
    // Workers look at least once a second. Ringing for what is due later would only make the
    // commit queue up with others: Postgres lets one transaction with a notification commit at a time.
    sqlx::query(
        "WITH timer AS (
             INSERT INTO process.timers (id, kind, key, due_at, payload, caused_by, organization_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (kind, key) DO UPDATE SET
                 id = excluded.id, due_at = excluded.due_at, payload = excluded.payload,
                 caused_by = excluded.caused_by, organization_id = excluded.organization_id,
                 state = 'waiting', attempt = 0, reason = NULL
             RETURNING due_at
         )
         SELECT pg_notify($8, '') FROM timer WHERE due_at <= clock_timestamp() + interval '2 seconds'",
    )
    .bind(Uuid::now_v7())
    .bind(timer.kind)
    .bind(timer.key)
    .bind(timer.due_at)
    .bind(timer.payload)
    .bind(timer.caused_by)
    .bind(timer.organization_id)
    .bind(CHANNEL)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Sets a timer unless there is one of its kind and key, in whatever state; whether there was none.
///
/// # Errors
/// If the database does not answer.
pub async fn schedule_if_missing(
    tx: &mut Transaction<'static, Postgres>,
    timer: NewTimer,
) -> Result<bool, sqlx::Error> {
    let set: Option<()> = sqlx::query_scalar(
        "WITH timer AS (
             INSERT INTO process.timers (id, kind, key, due_at, payload, caused_by, organization_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, key) DO NOTHING RETURNING id
         )
         SELECT pg_notify($8, '') FROM timer",
    )
    .bind(Uuid::now_v7())
    .bind(timer.kind)
    .bind(timer.key)
    .bind(timer.due_at)
    .bind(timer.payload)
    .bind(timer.caused_by)
    .bind(timer.organization_id)
    .bind(CHANNEL)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(set.is_some())
}

/// Makes the waiting timers of a kind whose keys end with `key_end`, and which are due until `until`, due at
/// `now`.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn advance(
    tx: &mut Transaction<'static, Postgres>,
    kind: &str,
    key_end: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE process.timers SET due_at = $3
         WHERE kind = $1 AND state = 'waiting' AND due_at > $3 AND due_at <= $4 AND right(key, $5) = $2",
    )
    .bind(kind)
    .bind(key_end)
    .bind(now)
    .bind(until)
    .bind(i32::try_from(key_end.len()).unwrap_or(i32::MAX))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes a timer, if it is there. A call for it that is under way goes on.
///
/// # Errors
/// If the database does not answer.
pub async fn cancel(
    tx: &mut Transaction<'static, Postgres>,
    kind: &str,
    key: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM process.timers WHERE kind = $1 AND key = $2")
        .bind(kind)
        .bind(key)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
