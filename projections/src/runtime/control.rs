//! What an admin asks of a build, from any node: the leader reads it in the books and obeys.
//!
//! Each asking carries the position of the event that records it. What was asked last in the log's
//! order holds, and asking once more with the same event changes nothing.

use annals_domain::operations::{Build, EventsPerSecond};
use sqlx::{PgConnection, PgPool};

use super::{AdminError, signed, small, tables, unsigned_small};

/// A build that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderWay {
    pub build: Build,
    /// Whether readers have another generation meanwhile: if not, it can't be given up.
    pub has_live: bool,
}

/// The newest build of a read model that is under way.
pub(super) async fn under_way(pool: &PgPool, name: &str) -> Result<Option<UnderWay>, AdminError> {
    let rows: Vec<(i32, i32, String)> = sqlx::query_as(
        "SELECT version, generation, state FROM projection.versions
         WHERE name = $1 AND state <> 'retired' ORDER BY version, generation",
    )
    .bind(name)
    .fetch_all(pool)
    .await?;
    if rows.is_empty() {
        return Err(AdminError::Unknown { name: name.to_string() });
    }
    let building = rows.iter().rfind(|(_, _, state)| state == "building");
    Ok(building.map(|(version, generation, _)| UnderWay {
        build: Build { version: unsigned_small(*version), generation: unsigned_small(*generation) },
        has_live: rows.iter().any(|(of, _, state)| of == version && state == "live"),
    }))
}

/// Begins a rebuild of a projection's newest live version beside the live generation; it takes over by
/// itself. One that is under way already is not begun again, nor one that this event began before.
pub(super) async fn rebuild(
    pool: &PgPool,
    name: &str,
    requested_at: u64,
    events_per_second_max: Option<EventsPerSecond>,
) -> Result<Build, AdminError> {
    let mut tx = pool.begin().await?;
    let rows: Vec<(i32, i32, String)> = sqlx::query_as(
        "SELECT version, generation, state FROM projection.versions
         WHERE name = $1 AND state <> 'retired' ORDER BY version, generation FOR UPDATE",
    )
    .bind(name)
    .fetch_all(&mut *tx)
    .await?;
    if let Some(begun) = begun_by(&mut tx, name, requested_at).await? {
        return Ok(begun);
    }
    let live = rows.iter().rfind(|(_, _, state)| state == "live");
    let version = match (live, rows.last()) {
        (Some((version, _, _)), _) | (None, Some((version, _, _))) => *version,
        (None, None) => return Err(AdminError::Unknown { name: name.to_string() }),
    };
    let building = rows.iter().find(|(of, _, state)| *of == version && state == "building");
    let version = unsigned_small(version);
    let generation = match building {
        Some((_, generation, _)) => unsigned_small(*generation),
        None => {
            let generation = tables::begin_generation(&mut tx, name, version).await?;
            sqlx::query(
                "INSERT INTO projection.builds
                     (name, version, generation, events_per_second_max, requested_at, controlled_at)
                 VALUES ($1, $2, $3, $4, $5, $5)",
            )
            .bind(name)
            .bind(small(version))
            .bind(small(generation))
            .bind(events_per_second_max.map(|limit| small(limit.get())))
            .bind(signed(requested_at))
            .execute(&mut *tx)
            .await?;
            generation
        }
    };
    tx.commit().await?;
    Ok(Build { version, generation })
}

async fn begun_by(
    connection: &mut PgConnection,
    name: &str,
    requested_at: u64,
) -> Result<Option<Build>, sqlx::Error> {
    let begun: Option<(i32, i32)> = sqlx::query_as(
        "SELECT version, generation FROM projection.builds
         WHERE name = $1 AND requested_at = $2 AND requested_at > 0",
    )
    .bind(name)
    .bind(signed(requested_at))
    .fetch_optional(connection)
    .await?;
    Ok(begun.map(|(version, generation)| Build {
        version: unsigned_small(version),
        generation: unsigned_small(generation),
    }))
}

/// Holds a build where it is, or lets it go on.
pub(super) async fn pause(
    pool: &PgPool,
    name: &str,
    build: Build,
    is_paused: bool,
    controlled_at: u64,
) -> Result<(), AdminError> {
    sqlx::query(
        "INSERT INTO projection.builds (name, version, generation, is_paused, controlled_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name, version, generation) DO UPDATE SET
             is_paused = excluded.is_paused, controlled_at = excluded.controlled_at
         WHERE builds.controlled_at <= excluded.controlled_at",
    )
    .bind(name)
    .bind(small(build.version))
    .bind(small(build.generation))
    .bind(is_paused)
    .bind(signed(controlled_at))
    .execute(pool)
    .await?;
    Ok(())
}

/// Bounds how fast a build goes; `None` lifts the bound.
pub(super) async fn throttle(
    pool: &PgPool,
    name: &str,
    build: Build,
    events_per_second_max: Option<EventsPerSecond>,
    controlled_at: u64,
) -> Result<(), AdminError> {
    sqlx::query(
        "INSERT INTO projection.builds (name, version, generation, events_per_second_max, controlled_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name, version, generation) DO UPDATE SET
             events_per_second_max = excluded.events_per_second_max,
             controlled_at = excluded.controlled_at
         WHERE builds.controlled_at <= excluded.controlled_at",
    )
    .bind(name)
    .bind(small(build.version))
    .bind(small(build.generation))
    .bind(events_per_second_max.map(|limit| small(limit.get())))
    .bind(signed(controlled_at))
    .execute(pool)
    .await?;
    Ok(())
}

/// Gives a build up: nobody writes it any more, housekeeping drops its tables. False if it took over
/// or was given up meanwhile.
pub(super) async fn cancel(pool: &PgPool, name: &str, build: Build) -> Result<bool, AdminError> {
    let retired = sqlx::query(
        "UPDATE projection.versions SET state = 'retired', retired_at = now()
         WHERE name = $1 AND version = $2 AND generation = $3 AND state = 'building'",
    )
    .bind(name)
    .bind(small(build.version))
    .bind(small(build.generation))
    .execute(pool)
    .await?;
    Ok(retired.rows_affected() == 1)
}

/// Lets a build take over although it has parked keys. False if it is not under way any more.
pub(super) async fn accept_parked(pool: &PgPool, name: &str, build: Build) -> Result<bool, AdminError> {
    let accepted = sqlx::query(
        "UPDATE projection.versions SET accept_parked = true
         WHERE name = $1 AND version = $2 AND generation = $3 AND state = 'building'",
    )
    .bind(name)
    .bind(small(build.version))
    .bind(small(build.generation))
    .execute(pool)
    .await?;
    Ok(accepted.rows_affected() == 1)
}
