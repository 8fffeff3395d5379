//! The books: which generations there are, how far each is, what is parked.

use sqlx::{Executor, PgConnection, PgPool};

use super::{pace::Control, small, unsigned, unsigned_small};

/// Made at every start: read models are rebuilt, not migrated, and so are their books.
const BOOKKEEPING: &str = "
CREATE SCHEMA IF NOT EXISTS projection;
CREATE SCHEMA IF NOT EXISTS read;

-- One row per generation ever begun. Rows stay when their tables are gone, so numbers are never reused.
-- Low fillfactor: the position moves with every batch, within its page.
CREATE TABLE IF NOT EXISTS projection.versions (
    name          text        NOT NULL,
    version       integer     NOT NULL,
    generation    integer     NOT NULL,
    state         text        NOT NULL CHECK (state IN ('building', 'live', 'retired')),
    position      bigint      NOT NULL DEFAULT 0,
    epoch         bigint      NOT NULL DEFAULT 0,
    created       boolean     NOT NULL DEFAULT false,
    indexed       boolean     NOT NULL DEFAULT false,
    shape         text,
    parked_keys   bigint      NOT NULL DEFAULT 0,
    accept_parked boolean     NOT NULL DEFAULT false,
    begun_at      timestamptz NOT NULL DEFAULT now(),
    live_at       timestamptz,
    retired_at    timestamptz,
    dropped_at    timestamptz,
    PRIMARY KEY (name, version, generation)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX IF NOT EXISTS versions_one_live
    ON projection.versions (name, version) WHERE state = 'live';

-- Which events wait, never what is in them: a replay reads them from the log again.
CREATE TABLE IF NOT EXISTS projection.parked (
    name       text        NOT NULL,
    version    integer     NOT NULL,
    generation integer     NOT NULL,
    key        text        NOT NULL,
    position   bigint      NOT NULL,
    part       integer     NOT NULL,
    event_type text        NOT NULL,
    error      text,
    parked_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version, generation, key, position, part)
);
CREATE INDEX IF NOT EXISTS parked_in_order
    ON projection.parked (name, version, generation, position, part);

-- Which node began the present epoch: it moves the checkpoints, if it still lives.
CREATE TABLE IF NOT EXISTS projection.leaders (
    name    text    NOT NULL,
    version integer NOT NULL,
    node    uuid    NOT NULL,
    since   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, version)
);

-- What an admin asked of a build; without a row it runs freely. Beside the checkpoints, so that
-- asking never waits for a batch. The positions are those of the events that asked.
CREATE TABLE IF NOT EXISTS projection.builds (
    name                  text    NOT NULL,
    version               integer NOT NULL,
    generation            integer NOT NULL,
    is_paused             boolean NOT NULL DEFAULT false,
    events_per_second_max integer,
    requested_at          bigint  NOT NULL DEFAULT 0,
    controlled_at         bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (name, version, generation)
);

-- How fast each generation moves, as its leader measured it last.
CREATE TABLE IF NOT EXISTS projection.rates (
    name                 text             NOT NULL,
    version              integer          NOT NULL,
    generation           integer          NOT NULL,
    events_per_second    double precision NOT NULL,
    positions_per_second double precision NOT NULL,
    measured_at          timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, version, generation)
);
";

/// Makes what is missing. Several nodes may start at once: one makes, the others wait.
pub(super) async fn ensure(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('annals.projection.bookkeeping', 0))").await?;
    tx.execute(BOOKKEEPING).await?;
    tx.commit().await
}

/// A database where no projector ever ran has no books: nothing is built there.
pub(super) fn or_empty<T>(asked: Result<Vec<T>, sqlx::Error>) -> Result<Vec<T>, sqlx::Error> {
    match asked {
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code == "42P01" || code == "3F000") =>
        {
            Ok(Vec::new())
        }
        other => other,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Building,
    Live,
    Retired,
}

/// One generation, as the books have it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) generation: u32,
    pub(super) state: State,
    pub(super) position: u64,
    pub(super) epoch: i64,
    pub(super) created: bool,
    pub(super) indexed: bool,
    pub(super) parked_keys: u64,
    /// Whether its tables are still there.
    pub(super) dropped: bool,
    /// Whether its tables are those of the shape that was asked for.
    pub(super) same_shape: bool,
    /// What an admin asked of it, while it is being built.
    pub(super) control: Control,
}

/// All generations of one version, oldest first. `shape` is compared with what each was made from.
pub(super) async fn rows(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    shape: &str,
) -> Result<Vec<Row>, sqlx::Error> {
    type Columns = (i32, String, i64, i64, bool, bool, i64, bool, bool, bool, Option<i32>);
    let rows: Vec<Columns> = sqlx::query_as(
        "SELECT generation, state, position, epoch, created, indexed, parked_keys,
                dropped_at IS NOT NULL, shape IS NULL OR shape = md5($3),
                coalesce(is_paused, false), events_per_second_max
         FROM projection.versions LEFT JOIN projection.builds USING (name, version, generation)
         WHERE name = $1 AND version = $2 ORDER BY generation",
    )
    .bind(name)
    .bind(small(version))
    .bind(shape)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row {
            generation: unsigned_small(row.0),
            state: match row.1.as_str() {
                "live" => State::Live,
                "building" => State::Building,
                _ => State::Retired,
            },
            position: unsigned(row.2),
            epoch: row.3,
            created: row.4,
            indexed: row.5,
            parked_keys: unsigned(row.6),
            dropped: row.7,
            same_shape: row.8,
            control: Control { is_paused: row.9, events_per_second_max: row.10.map(unsigned_small) },
        })
        .collect())
}

/// Begins a generation at position 0, numbered after all there were.
pub(super) async fn begin_generation(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
) -> Result<u32, sqlx::Error> {
    let generation: i32 = sqlx::query_scalar(
        "INSERT INTO projection.versions (name, version, generation, state, epoch)
         SELECT $1, $2, coalesce(max(generation), 0) + 1, 'building', coalesce(max(epoch), 0)
         FROM projection.versions WHERE name = $1 AND version = $2
         RETURNING generation",
    )
    .bind(name)
    .bind(small(version))
    .fetch_one(connection)
    .await?;
    Ok(unsigned_small(generation))
}

/// Gives up a generation: nobody writes it any more, housekeeping drops it.
pub(super) async fn retire(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    generation: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE projection.versions SET state = 'retired', retired_at = now()
         WHERE name = $1 AND version = $2 AND generation = $3 AND state <> 'retired'",
    )
    .bind(name)
    .bind(small(version))
    .bind(small(generation))
    .execute(connection)
    .await?;
    Ok(())
}
