//! A live read model beside a fresh build of the same log, row by row. Nothing of it stays.

use std::sync::Arc;

use annals_eventstore::EventStore;
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

use super::{
    AdminError,
    failure::{self, Failure},
    model::{self, Model},
    pages::Pages,
    small, unsigned, unsigned_small,
};

/// Events of a page.
const PAGE_EVENTS: usize = 20_000;

/// What became of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// It has never been built.
    NotLive,
    /// It is known to lack something.
    HasParkedKeys,
    /// The log is longer than the comparison may be.
    TooLong { position: u64 },
    Done {
        /// Of the live tables.
        rows: u64,
        /// Which tables differ, and by how many rows; without values.
        differences: Vec<String>,
    },
}

/// Builds a read model up to where the live one is, within a transaction that is never committed, and
/// compares the tables. Reads the whole log, if it is no longer than `events_max`.
///
/// # Errors
/// If the database does not answer, or the projector can't apply what the live one has applied.
pub(super) async fn compare(
    store: &EventStore,
    model: &Arc<dyn Model>,
    events_max: u64,
) -> Result<Compared, AdminError> {
    // A connection of its own: the transaction is long, and what it made must go with it.
    let mut connection = PgConnection::connect_with(&store.pool().connect_options()).await?;
    let mut tx = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    let compared = within(store, model, events_max, &mut tx).await;
    tx.rollback().await?;
    connection.close().await?;
    compared
}

async fn within(
    store: &EventStore,
    model: &Arc<dyn Model>,
    events_max: u64,
    tx: &mut PgConnection,
) -> Result<Compared, AdminError> {
    let books: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('projection.versions')::text").fetch_one(&mut *tx).await?;
    if books.is_none() {
        return Ok(Compared::NotLive);
    }
    let live: Option<(i32, i64, i64)> = sqlx::query_as(
        "SELECT generation, position, parked_keys FROM projection.versions
         WHERE name = $1 AND version = $2 AND state = 'live'",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .fetch_optional(&mut *tx)
    .await?;
    let (generation, position) = match live {
        None => return Ok(Compared::NotLive),
        Some((_, _, parked_keys)) if parked_keys > 0 => return Ok(Compared::HasParkedKeys),
        Some((generation, position, _)) => (unsigned_small(generation), unsigned(position)),
    };
    if position > events_max {
        return Ok(Compared::TooLong { position });
    }
    let scratch = format!("scratch_{}", Uuid::new_v4().simple());
    let begin = format!(
        "CREATE SCHEMA {scratch}; SET LOCAL search_path TO {scratch}; SET LOCAL enable_seqscan = off"
    );
    tx.execute(begin.as_str()).await?;
    tx.execute(model.create()).await?;
    let mut pages = Pages::after(store, &**model, 0);
    let mut reached = 0;
    while reached < position {
        let mut batch = pages.next(&**model, PAGE_EVENTS).await?;
        reached = batch.position;
        batch.events.retain(|event| event.position <= position);
        match failure::guarded(&**model, &batch.events, &mut *tx).await {
            Ok(()) => {}
            Err(Failure::Database(error)) => return Err(error.into()),
            Err(Failure::Event(why)) => {
                let differences = vec![format!("a fresh build can't apply an event up to {reached}: {why}")];
                return Ok(Compared::Done { rows: 0, differences });
            }
        }
    }
    tx.execute("SET LOCAL enable_seqscan = on").await?;
    let live = model::schema(model.name(), model.version(), generation);
    let (mut rows, mut differences) = (0, Vec::new());
    for table in model.tables() {
        // As text: json has no equality.
        let sql = format!(
            "SELECT (SELECT count(*) FROM \"{live}\".\"{table}\"),
                    (SELECT count(*) FROM (SELECT l::text FROM \"{live}\".\"{table}\" l
                                           EXCEPT ALL SELECT f::text FROM {scratch}.\"{table}\" f) a),
                    (SELECT count(*) FROM (SELECT f::text FROM {scratch}.\"{table}\" f
                                           EXCEPT ALL SELECT l::text FROM \"{live}\".\"{table}\" l) b)"
        );
        let (of, only_live, only_fresh): (i64, i64, i64) = sqlx::query_as(&sql).fetch_one(&mut *tx).await?;
        rows += unsigned(of);
        if (only_live, only_fresh) != (0, 0) {
            differences.push(format!(
                "{table} has {only_live} rows that a fresh build has not, and lacks {only_fresh}"
            ));
        }
    }
    Ok(Compared::Done { rows, differences })
}
