//! Leases on timers: taken by one worker, given back with what became of the call.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Fired, Timer};

/// Attempts that did not act before a timer is parked.
pub(super) const ATTEMPTS_MAX: u32 = 3;

/// The pause after the first attempt; after each further one it is twice as long.
const PAUSE_FIRST: Duration = Duration::from_secs(2);

/// At most so much of the pause is added, so that what failed together is not tried together.
const PAUSE_JITTER: f64 = 0.25;

/// How long a call of a kind may take.
#[derive(Clone, Debug)]
pub(super) struct Leases {
    kinds: Vec<String>,
    millis: Vec<i64>,
}

impl Leases {
    pub(super) fn new<'k>(leases: impl Iterator<Item = (&'k str, Duration)>) -> Self {
        let (kinds, millis) = leases
            .map(|(kind, lease)| (kind.to_string(), i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)))
            .unzip();
        Self { kinds, millis }
    }
}

/// A timer with the proof that it is this worker's.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) timer: Timer,
    token: Uuid,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    kind: String,
    key: String,
    due_at: DateTime<Utc>,
    payload: Value,
    attempt: i32,
    caused_by: Uuid,
    organization_id: Option<Uuid>,
    lease_ms: i64,
}

/// Leases at most `limit` timers that are due by `now`. What another worker holds is passed over;
/// what one held past its lease is taken, as a further attempt.
pub(super) async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    leases: &Leases,
    limit: usize,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let token = Uuid::new_v4();
    // Due is by our clock, leases are by the database's: the one that all nodes share.
    let rows: Vec<Row> = sqlx::query_as(
        "WITH lease AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS l (kind, lease_ms)),
         due AS (
             SELECT id FROM process.timers
             WHERE state = 'waiting' AND kind = ANY ($1) AND due_at <= $3
               AND (lease_until IS NULL OR lease_until <= clock_timestamp())
             ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
         )
         UPDATE process.timers t SET
             attempt = attempt + 1, leased_by = $5,
             lease_until = clock_timestamp() + lease_ms * interval '1 millisecond'
         FROM due, lease WHERE t.id = due.id AND lease.kind = t.kind
         RETURNING t.id, t.kind, t.key, t.due_at, t.payload, t.attempt, t.caused_by, t.organization_id,
                   lease.lease_ms",
    )
    .bind(&leases.kinds)
    .bind(&leases.millis)
    .bind(now)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .bind(token)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| Claimed { timer: row.into_timer(now), token }).collect())
}

impl Row {
    /// `now` is from before the claim, so the lease ends here no later than in the database.
    fn into_timer(self, now: DateTime<Utc>) -> Timer {
        Timer {
            id: self.id,
            kind: self.kind,
            key: self.key,
            due_at: self.due_at,
            payload: self.payload,
            attempt: self.attempt.unsigned_abs(),
            caused_by: self.caused_by,
            organization_id: self.organization_id,
            leased_until: now + TimeDelta::milliseconds(self.lease_ms),
        }
    }
}

/// When the next timer of these kinds is due, if one waits.
pub(super) async fn next_due(
    pool: &PgPool,
    now: DateTime<Utc>,
    leases: &Leases,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT due_at FROM process.timers WHERE state = 'waiting' AND kind = ANY ($1) AND due_at > $2
         ORDER BY due_at LIMIT 1",
    )
    .bind(&leases.kinds)
    .bind(now)
    .fetch_optional(pool)
    .await
}

/// Due timers that nobody is calling for, and parked ones.
pub(super) async fn count(pool: &PgPool, now: DateTime<Utc>) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM process.timers WHERE state = 'waiting' AND due_at <= $1
                   AND (lease_until IS NULL OR lease_until <= clock_timestamp())),
                (SELECT count(*) FROM process.timers WHERE state = 'parked')",
    )
    .bind(now)
    .fetch_one(pool)
    .await
}

/// What a call's outcome makes of the row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Settlement {
    Remove,
    Again { due_at: DateTime<Utc>, attempt: u32, reason: Option<String> },
    Park { reason: String },
}

impl Settlement {
    pub(super) fn of(fired: Fired, attempt: u32, now: DateTime<Utc>) -> Self {
        match fired {
            Fired::Done => Self::Remove,
            Fired::Park { reason } => Self::Park { reason },
            Fired::Later { due_at } => Self::Again { due_at, attempt: 0, reason: None },
            Fired::NotActed { reason, .. } if attempt >= ATTEMPTS_MAX => Self::Park { reason },
            Fired::NotActed { reason, not_before } => {
                let pause = pause_after(attempt).max(not_before.unwrap_or_default());
                let due_at = now + TimeDelta::from_std(pause).unwrap_or(TimeDelta::days(1));
                Self::Again { due_at, attempt, reason: Some(reason) }
            }
        }
    }

    /// The metrics' word for it.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Remove => "done",
            Self::Again { attempt: 0, .. } => "later",
            Self::Again { .. } => "not_acted",
            Self::Park { .. } => "parked",
        }
    }
}

/// 2 s after the first attempt, 4 s after the second, each with jitter on top.
fn pause_after(attempt: u32) -> Duration {
    let pause = PAUSE_FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    pause.mul_f64(1.0 + rand::rng().random_range(0.0..=PAUSE_JITTER))
}

impl Claimed {
    /// Writes what became of the call. A late worker, whose lease another took over, changes nothing.
    pub(super) async fn settle(&self, pool: &PgPool, settlement: &Settlement) -> Result<(), sqlx::Error> {
        let query = match settlement {
            Settlement::Remove => {
                sqlx::query("DELETE FROM process.timers WHERE id = $1 AND leased_by = $2")
                    .bind(self.timer.id)
                    .bind(self.token)
            }
            Settlement::Again { due_at, attempt, reason } => sqlx::query(
                "UPDATE process.timers SET due_at = $3, attempt = $4, reason = $5,
                     leased_by = NULL, lease_until = NULL
                 WHERE id = $1 AND leased_by = $2",
            )
            .bind(self.timer.id)
            .bind(self.token)
            .bind(due_at)
            .bind(attempt.cast_signed())
            .bind(reason),
            Settlement::Park { reason } => sqlx::query(
                "UPDATE process.timers SET state = 'parked', reason = $3, leased_by = NULL, lease_until = NULL
                 WHERE id = $1 AND leased_by = $2",
            )
            .bind(self.timer.id)
            .bind(self.token)
            .bind(reason),
        };
        if query.execute(pool).await?.rows_affected() == 0 {
            self.release_successor(pool).await?;
        }
        Ok(())
    }

    /// Set again during the call: the new one inherited the lease, and need not wait for its end.
    async fn release_successor(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE process.timers SET leased_by = NULL, lease_until = NULL
             WHERE kind = $1 AND key = $2 AND leased_by = $3",
        )
        .bind(&self.timer.kind)
        .bind(&self.timer.key)
        .bind(self.token)
        .execute(pool)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_acted(not_before: Option<Duration>) -> Fired {
        Fired::NotActed { reason: "the platform is down".to_string(), not_before }
    }

    #[test]
    fn pauses_double_from_two_seconds_with_a_quarter_of_jitter() {
        for (attempt, least_ms, most_ms) in [(1, 2_000, 2_500), (2, 4_000, 5_000), (3, 8_000, 10_000)] {
            for _ in 0..200 {
                let pause = pause_after(attempt).as_millis();
                assert!((least_ms..=most_ms).contains(&pause), "{pause} ms after attempt {attempt}");
            }
        }
    }

    #[test]
    fn the_third_attempt_that_did_not_act_parks() {
        let now = Utc::now();
        for attempt in [1, 2] {
            let settlement = Settlement::of(not_acted(None), attempt, now);
            assert!(matches!(settlement, Settlement::Again { attempt: same, .. } if same == attempt));
        }
        let parked = Settlement::Park { reason: "the platform is down".to_string() };
        assert_eq!(Settlement::of(not_acted(None), 3, now), parked);
        assert_eq!(Settlement::of(not_acted(None), 4, now), parked, "after a worker died");
    }

    #[test]
    fn a_platform_that_says_when_is_not_asked_before() {
        let now = Utc::now();
        let settlement = Settlement::of(not_acted(Some(Duration::from_secs(300))), 1, now);
        let Settlement::Again { due_at, .. } = settlement else { panic!("{settlement:?}") };
        assert_eq!(due_at, now + TimeDelta::seconds(300));
    }

    #[tokio::test]
    async fn a_late_answer_changes_nothing_once_another_has_taken_over()
    -> Result<(), Box<dyn std::error::Error>> {
        let database = annals_eventstore::testing::database().await;
        let pool = &database.pool;
        crate::migrate(pool).await?;
        let now = Utc::now();
        let mut tx = pool.begin().await?;
        let timer = super::super::NewTimer {
            kind: "test",
            key: "k".to_string(),
            due_at: now,
            payload: Value::Null,
            caused_by: Uuid::now_v7(),
            organization_id: None,
        };
        super::super::schedule(&mut tx, timer).await?;
        tx.commit().await?;

        let over_at_once = Leases::new([("test", Duration::ZERO)].into_iter());
        let late = claim(pool, now, &over_at_once, 1).await?.remove(0);
        let heir = claim(pool, now, &Leases::new([("test", Duration::from_secs(60))].into_iter()), 1).await?;
        assert_eq!(heir[0].timer.attempt, 2);
        let row = || async {
            sqlx::query_scalar::<_, String>("SELECT row_to_json(t)::text FROM process.timers t")
                .fetch_optional(pool)
                .await
        };
        let held = row().await?;
        let again = Settlement::Again { due_at: now, attempt: 1, reason: None };
        for settlement in [Settlement::Remove, again, Settlement::Park { reason: "late".to_string() }] {
            late.settle(pool, &settlement).await?;
            assert_eq!(row().await?, held, "{settlement:?}");
        }
        heir[0].settle(pool, &Settlement::Remove).await?;
        assert_eq!(row().await?, None);
        Ok(())
    }
}
