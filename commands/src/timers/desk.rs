//! Timers as an admin sees them: listed, tried again, cancelled.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::CHANNEL;

/// What a timer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum TimerState {
    /// Its time.
    Waiting,
    /// A worker: its time has come.
    Due,
    /// The end of a call that is under way.
    Leased,
    /// A person: its attempts are used up.
    Parked,
}

impl TimerState {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Due, Self::Leased, Self::Parked];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Due => "due",
            Self::Leased => "leased",
            Self::Parked => "parked",
        }
    }
}

/// A timer that is set. What it carries for its handler is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct ListedTimer {
    pub id: Uuid,
    /// Which handler's: `publishing.publish`.
    pub kind: String,
    pub key: String,
    pub due_at: DateTime<Utc>,
    pub state: TimerState,
    /// Calls made so far, the one under way included.
    #[sqlx(try_from = "i32")]
    pub attempt: u32,
    /// Why it is parked, or why the last attempt did not act.
    pub reason: Option<String>,
    /// When the call under way is given up.
    pub leased_until: Option<DateTime<Utc>>,
    /// The event that set it.
    pub caused_by: Uuid,
    pub organization_id: Option<Uuid>,
}

/// Which timers are listed.
#[derive(Clone, Debug, Default)]
pub struct TimerFilter {
    pub state: Option<TimerState>,
    pub kind: Option<String>,
    /// Only those of one organization.
    pub organization_id: Option<Uuid>,
    /// Behind this one, in the list's order.
    pub after: Option<(DateTime<Utc>, Uuid)>,
}

/// A timer as it stands at `$1`; leases end by the database's clock.
const LISTED: &str = "
    SELECT * FROM (
        SELECT id, kind, key, due_at, attempt, reason, caused_by, organization_id,
               CASE WHEN lease_until > clock_timestamp() THEN lease_until END AS leased_until,
               CASE WHEN state = 'parked' THEN 'parked'
                    WHEN lease_until > clock_timestamp() THEN 'leased'
                    WHEN due_at <= $1 THEN 'due' ELSE 'waiting' END AS state
        FROM process.timers
    ) AS listed";

/// The timers that a filter lets through at `now`, the soonest due first, at most `limit`.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    pool: &PgPool,
    now: DateTime<Utc>,
    filter: &TimerFilter,
    limit: u32,
) -> Result<Vec<ListedTimer>, sqlx::Error> {
    let (after_due, after_id) = filter.after.unzip();
    sqlx::query_as(&format!(
        "{LISTED} WHERE ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR kind = $3)
           AND ($4::uuid IS NULL OR organization_id = $4)
           AND ($5::timestamptz IS NULL OR (due_at, id) > ($5, $6))
         ORDER BY due_at, id LIMIT $7"
    ))
    .bind(now)
    .bind(filter.state.map(TimerState::as_str))
    .bind(&filter.kind)
    .bind(filter.organization_id)
    .bind(after_due)
    .bind(after_id)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
}

/// One timer as it stands at `now`.
///
/// # Errors
/// If the database does not answer.
pub async fn find(pool: &PgPool, now: DateTime<Utc>, id: Uuid) -> Result<Option<ListedTimer>, sqlx::Error> {
    sqlx::query_as(&format!("{LISTED} WHERE id = $2")).bind(now).bind(id).fetch_optional(pool).await
}

/// Makes a parked timer due at once, with fresh attempts. `requested_at` is the position of the event
/// that asks for it; told again, it changes nothing. False if nothing changed.
///
/// # Errors
/// If the database does not answer.
pub async fn retrigger(
    pool: &PgPool,
    id: Uuid,
    now: DateTime<Utc>,
    requested_at: u64,
) -> Result<bool, sqlx::Error> {
    let set: Option<()> = sqlx::query_scalar(
        "WITH timer AS (
             UPDATE process.timers SET state = 'waiting', attempt = 0, due_at = $2, reason = NULL,
                    retriggered_at = $4
             WHERE id = $1 AND state = 'parked' AND retriggered_at < $4 RETURNING id
         )
         SELECT pg_notify($3, '') FROM timer",
    )
    .bind(id)
    .bind(now)
    .bind(CHANNEL)
    .bind(requested_at.cast_signed())
    .fetch_optional(pool)
    .await?;
    Ok(set.is_some())
}

/// Removes a timer. A call for it that is under way goes on. False if it was not there.
///
/// # Errors
/// If the database does not answer.
pub async fn cancel_by_id(pool: &PgPool, id: Uuid) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query("DELETE FROM process.timers WHERE id = $1").bind(id).execute(pool).await?;
    Ok(removed.rows_affected() == 1)
}
