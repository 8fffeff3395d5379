//! Applies parked events in their order, after a fix.

use std::collections::{HashMap, HashSet};

use annals_eventstore::{EventStore, Filter, Opening, StoreError, UnparsedEvent};
use sqlx::{Connection, PgConnection};

use super::{
    AdminError, batch,
    failure::{self, Failure},
    model::{self, Model},
    signed, small, unsigned, unsigned_small,
};

/// Events of the first replaying transaction: the leader waits for it. Each next one may take four
/// times as many: what is written to a parked key meanwhile is parked, too, and a replay in equal
/// steps would never overtake writers that are faster. One that covers all that waits is the last.
const REPLAY_EVENTS_FIRST: i64 = 200;
const REPLAY_EVENTS_MAX: i64 = 51_200;
/// Events of the log that are read at once.
const READ_EVENTS_MAX: i64 = 256;
/// How long a node may take to hear of what the leader has applied.
const KNOWN_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Events applied now.
    pub applied: u64,
    /// Keys that failed again and go on waiting.
    pub failed_keys: u64,
}

/// Applies what is parked in every generation of a read model: one key, or all of them with `None`.
pub(super) async fn replay(
    store: &EventStore,
    model: &dyn Model,
    key: Option<&str>,
) -> Result<Replayed, AdminError> {
    let generations: Vec<i32> = sqlx::query_scalar(
        "SELECT generation FROM projection.versions
         WHERE name = $1 AND version = $2 AND state <> 'retired' AND parked_keys > 0
         ORDER BY generation",
    )
    .bind(model.name())
    .bind(small(model.version()))
    .fetch_all(store.pool())
    .await?;
    let mut replayed = Replayed::default();
    for generation in generations {
        let generation = unsigned_small(generation);
        let mut replay = Replay { store, model, generation, only: key, failed: Vec::new() };
        let mut events_max = REPLAY_EVENTS_FIRST;
        while let Some(applied) = replay.next_chunk(events_max).await? {
            replayed.applied += applied;
            events_max = (events_max * 4).min(REPLAY_EVENTS_MAX);
        }
        replayed.failed_keys += u64::try_from(replay.failed.len()).unwrap_or(u64::MAX);
    }
    Ok(replayed)
}

struct Replay<'a> {
    store: &'a EventStore,
    model: &'a dyn Model,
    generation: u32,
    only: Option<&'a str>,
    failed: Vec<String>,
}

type ParkedRow = (String, i64, i32);

impl Replay<'_> {
    /// Applies the next few events in one transaction; `None` when nothing is left to try.
    async fn next_chunk(&mut self, events_max: i64) -> Result<Option<u64>, AdminError> {
        let schema = model::schema(self.model.name(), self.model.version(), self.generation);
        let begin = format!("BEGIN; SET LOCAL search_path TO \"{schema}\"");
        let mut tx = self.store.pool().begin_with(begin).await?;
        let locked: Option<i64> = sqlx::query_scalar(
            "SELECT position FROM projection.versions
             WHERE name = $1 AND version = $2 AND generation = $3 AND state <> 'retired' FOR UPDATE",
        )
        .bind(self.model.name())
        .bind(small(self.model.version()))
        .bind(small(self.generation))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(checkpoint) = locked else {
            return Ok(None);
        };
        // Asked under the lock: what another replay has applied meanwhile does not wait any more.
        let rows = self.waiting(&mut tx, events_max).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        // Opened only now that the leader waits, and with the keys as of its checkpoint: a person whose
        // forgetting was applied already must not come back.
        self.know_log_up_to(unsigned(checkpoint)).await?;
        let events = self.read(rows.iter().map(|(_, position, _)| *position)).await?;
        let mut applied = 0;
        for row in &rows {
            if self.failed.contains(&row.0) {
                continue;
            }
            let event = events
                .get(&row.1)
                .and_then(|parts| parts.iter().find(|event| i64::from(event.part) == i64::from(row.2)));
            if self.replay(&mut tx, row, event).await? {
                applied += 1;
            }
        }
        batch::count_parked(&mut tx, self.model, self.generation).await?;
        tx.commit().await?;
        Ok(Some(applied))
    }

    /// Applies one event under a savepoint. An upcaster may have made nothing of it since: then there
    /// is nothing to wait for either.
    async fn replay(
        &mut self,
        tx: &mut PgConnection,
        row: &ParkedRow,
        event: Option<&UnparsedEvent>,
    ) -> Result<bool, AdminError> {
        let mut savepoint = tx.begin().await?;
        if !self.unpark(&mut savepoint, row).await? {
            // Another replay was faster.
            return Ok(false);
        }
        let Some(event) = event else {
            savepoint.commit().await?;
            return Ok(false);
        };
        match failure::guarded(self.model, std::slice::from_ref(event), &mut savepoint).await {
            Ok(()) => {
                savepoint.commit().await?;
                Ok(true)
            }
            Err(Failure::Database(error)) => Err(error.into()),
            Err(Failure::Event(why)) => {
                savepoint.rollback().await?;
                self.failed.push(row.0.clone());
                self.blame(tx, row, &why).await?;
                Ok(false)
            }
        }
    }

    async fn waiting(
        &self,
        connection: &mut PgConnection,
        events_max: i64,
    ) -> Result<Vec<ParkedRow>, sqlx::Error> {
        sqlx::query_as(
            "SELECT key, position, part FROM projection.parked
             WHERE name = $1 AND version = $2 AND generation = $3 AND ($4::text IS NULL OR key = $4)
               AND key <> ALL($5)
             ORDER BY position, part LIMIT $6",
        )
        .bind(self.model.name())
        .bind(small(self.model.version()))
        .bind(small(self.generation))
        .bind(self.only)
        .bind(&self.failed)
        .bind(events_max)
        .fetch_all(connection)
        .await
    }

    /// The events at these positions (ascending), opened; those close together in one read.
    async fn read(
        &self,
        positions: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, Vec<UnparsedEvent>>, StoreError> {
        let mut events: HashMap<i64, Vec<UnparsedEvent>> = HashMap::new();
        let mut wanted = positions.peekable();
        while let Some(first) = wanted.next() {
            let mut page = HashSet::from([first]);
            let mut last = first;
            while let Some(next) = wanted.next_if(|next| *next < first + READ_EVENTS_MAX) {
                page.insert(next);
                last = next;
            }
            let count = usize::try_from(last - first + 1).unwrap_or(1);
            let after = unsigned(first.saturating_sub(1));
            let mut stored = self.store.read_all(after, &Filter::default(), count).await?;
            stored.retain(|event| page.contains(&signed(event.position)));
            for event in self.store.open_unparsed(stored, Opening::Personal).await? {
                events.entry(signed(event.position)).or_default().push(event);
            }
        }
        Ok(events)
    }

    /// Waits until this node has heard of everything up to a position, destroyed keys included.
    async fn know_log_up_to(&self, position: u64) -> Result<(), AdminError> {
        let Some(before) = position.checked_sub(1) else {
            return Ok(());
        };
        let mut subscription = self.store.subscribe(before, Filter::default(), Opening::Nothing);
        match tokio::time::timeout(KNOWN_WITHIN, subscription.next(1)).await {
            Ok(batch) => {
                batch?;
                Ok(())
            }
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()).into()),
        }
    }

    async fn unpark(&self, connection: &mut PgConnection, row: &ParkedRow) -> Result<bool, sqlx::Error> {
        let gone = sqlx::query(
            "DELETE FROM projection.parked
             WHERE name = $1 AND version = $2 AND generation = $3 AND key = $4 AND position = $5 AND part = $6",
        )
        .bind(self.model.name())
        .bind(small(self.model.version()))
        .bind(small(self.generation))
        .bind(&row.0)
        .bind(row.1)
        .bind(row.2)
        .execute(connection)
        .await?;
        Ok(gone.rows_affected() == 1)
    }

    async fn blame(
        &self,
        connection: &mut PgConnection,
        row: &ParkedRow,
        why: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE projection.parked SET error = $7
             WHERE name = $1 AND version = $2 AND generation = $3 AND key = $4 AND position = $5 AND part = $6",
        )
        .bind(self.model.name())
        .bind(small(self.model.version()))
        .bind(small(self.generation))
        .bind(&row.0)
        .bind(row.1)
        .bind(row.2)
        .bind(why)
        .execute(connection)
        .await?;
        Ok(())
    }
}
