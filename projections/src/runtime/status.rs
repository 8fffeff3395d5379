//! How every read model is doing, from the books: the same answer on any node.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{unsigned, unsigned_small};

/// A rate that its leader did not measure for so long is none any more.
const RATE_HOLDS_S: f64 = 5.0;

/// One generation of a read model: the live one, or one that is being built.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationStatus {
    pub name: String,
    pub version: u32,
    pub generation: u32,
    pub state: GenerationState,
    /// Everything up to here is applied, parked, or not for this read model.
    pub position: u64,
    /// The log's last position.
    pub head: u64,
    /// When the first event behind `position` was recorded, if there is one.
    pub oldest_waiting_at: Option<DateTime<Utc>>,
    /// Events applied per second, lately; 0 if it stands still.
    pub events_per_second: f64,
    /// Positions of the log passed per second, those of others' events included.
    pub positions_per_second: f64,
    /// The node that leads it, or led it last: whether that one lives is to be asked elsewhere.
    pub leader: Option<Uuid>,
    pub parked_keys: u64,
    pub begun_at: DateTime<Utc>,
    pub live_at: Option<DateTime<Utc>>,
    /// Of a build: whether it has been where the head was, and has its indexes.
    pub has_caught_up: bool,
    /// Of a build: what was asked of it.
    pub is_paused: bool,
    pub events_per_second_max: Option<u32>,
    /// Of a build: whether it may take over although keys are parked.
    pub are_parked_accepted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    Building,
    Live,
}

impl GenerationStatus {
    /// How many positions it is behind.
    pub fn lag_events(&self) -> u64 {
        self.head.saturating_sub(self.position)
    }

    /// How old the first event is that it has not passed, in seconds.
    pub fn lag_seconds(&self, now: DateTime<Utc>) -> f64 {
        let age = self.oldest_waiting_at.map_or(0, |at| (now - at).num_milliseconds());
        age.max(0) as f64 / 1000.0
    }

    /// How much of the log it has passed, 0 to 1.
    pub fn progress(&self) -> f64 {
        if self.head == 0 { 1.0 } else { (self.position as f64 / self.head as f64).min(1.0) }
    }

    /// When it is where the head is now, in seconds, at its present rate.
    pub fn remaining_seconds(&self) -> Option<f64> {
        let moves = !self.is_paused && self.positions_per_second > 0.0;
        moves.then(|| self.lag_events() as f64 / self.positions_per_second)
    }
}

impl FromRow<'_, PgRow> for GenerationStatus {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: String = row.try_get("state")?;
        Ok(Self {
            name: row.try_get("name")?,
            version: unsigned_small(row.try_get("version")?),
            generation: unsigned_small(row.try_get("generation")?),
            state: if state == "live" { GenerationState::Live } else { GenerationState::Building },
            position: unsigned(row.try_get("position")?),
            head: unsigned(row.try_get("head")?),
            oldest_waiting_at: row.try_get("oldest_waiting_at")?,
            events_per_second: row.try_get("events_per_second")?,
            positions_per_second: row.try_get("positions_per_second")?,
            leader: row.try_get("leader")?,
            parked_keys: unsigned(row.try_get("parked_keys")?),
            begun_at: row.try_get("begun_at")?,
            live_at: row.try_get("live_at")?,
            has_caught_up: row.try_get("indexed")?,
            is_paused: row.try_get("is_paused")?,
            events_per_second_max: row
                .try_get::<Option<i32>, _>("events_per_second_max")?
                .map(unsigned_small),
            are_parked_accepted: row.try_get("accept_parked")?,
        })
    }
}

/// Every generation that is live or being built, by name, version and generation.
pub(super) async fn generations(pool: &PgPool) -> Result<Vec<GenerationStatus>, sqlx::Error> {
    sqlx::query_as(
        "WITH head AS (SELECT coalesce(max(position), 0) AS head FROM events),
         rate AS (
             SELECT * FROM projection.rates
             WHERE measured_at > clock_timestamp() - make_interval(secs => $1)
         )
         SELECT v.name, v.version, v.generation, v.state, v.position, head.head, v.parked_keys,
                v.begun_at, v.live_at, v.accept_parked, v.indexed,
                (SELECT recorded_at FROM events WHERE events.position = v.position + 1) AS oldest_waiting_at,
                coalesce(rate.events_per_second, 0) AS events_per_second,
                coalesce(rate.positions_per_second, 0) AS positions_per_second,
                leaders.node AS leader, coalesce(builds.is_paused, false) AS is_paused,
                builds.events_per_second_max
         FROM projection.versions v CROSS JOIN head
         LEFT JOIN rate USING (name, version, generation)
         LEFT JOIN projection.builds USING (name, version, generation)
         LEFT JOIN projection.leaders USING (name, version)
         WHERE v.state <> 'retired' ORDER BY name, version, generation",
    )
    .bind(RATE_HOLDS_S)
    .fetch_all(pool)
    .await
}
