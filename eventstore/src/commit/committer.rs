//! One committer: takes a batch, commits it, answers everyone in it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use metrics::{counter, gauge, histogram};
use sqlx::{ConnectOptions, Connection, PgConnection, Row, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Queue, Refusal, Waiting,
    batch::{self, Answer},
    recover,
};
use crate::{
    AppendError, Receipt, StoreError, StoredEvent,
    prepare::{ClaimKind, Prepared},
    read::receipt_of,
    shared::Shared,
};

/// Longer than the server's own limit: past it, the connection is taken for dead.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Settings of a committer's session. Every look-up of an append is by key, and its plans are
/// made once, when the tables may still be empty: without these they could scan them for ever.
const SESSION: [(&str, &str); 11] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("statement_timeout", "15s"),
    ("synchronous_commit", "on"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
];

/// A connection and the backend that serves it, by which a lost one is found again.
pub(super) struct Link {
    pub(super) connection: PgConnection,
    pub(super) backend: Backend,
}

/// A server process; its start tells it from a later one with the same number.
#[derive(Clone, Copy)]
pub(super) struct Backend {
    pub(super) pid: i32,
    pub(super) started: chrono::DateTime<chrono::Utc>,
}

pub(super) struct Committer {
    number: usize,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    link: Option<Link>,
}

/// What became of a call that did not answer.
enum Failure {
    /// The function raised: something in the batch is not as it must be.
    Raised(sqlx::Error),
    /// Nothing was written, and it may go better the next time.
    RolledBack(sqlx::Error),
    /// Nobody knows yet.
    Lost(sqlx::Error),
}

impl Failure {
    fn of(error: sqlx::Error) -> Self {
        let Some(code) = error.as_database_error().and_then(|error| error.code()) else {
            return match error {
                // The call was never sent.
                sqlx::Error::Encode(_) => Self::Raised(error),
                _ => Self::Lost(error),
            };
        };
        match &code[..code.len().min(2)] {
            // Connection and operator intervention; a cancelled statement is sure not to have happened.
            "57" if code == "57014" => Self::RolledBack(error),
            "08" | "57" | "58" => Self::Lost(error),
            // Transaction rollback, resources, locks, read-only server.
            "40" | "53" | "55" | "25" => Self::RolledBack(error),
            _ => Self::Raised(error),
        }
    }
}

/// Counts a batch as done even if its committer panics.
struct UnderWay<'q>(&'q Queue);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.batch_done();
    }
}

impl Committer {
    pub(super) fn new(number: usize, shared: Arc<Shared>, queue: Arc<Queue>) -> Self {
        Self { number, shared, queue, link: None }
    }

    pub(super) async fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        while let Some(batch) = queue.next_batch().await {
            let under_way = UnderWay(&queue);
            self.commit(batch).await;
            drop(under_way);
        }
        if let Some(link) = self.link.take()
            && let Err(error) = link.connection.close().await
        {
            tracing::debug!(committer = self.number, error = %error, "a committer's connection did not close cleanly");
        }
    }

    /// Commits a batch; returns when everyone in it has an answer.
    async fn commit(&mut self, batch: Vec<Waiting>) {
        let mut parts = VecDeque::from([batch]);
        let mut backoff = Duration::from_millis(20);
        while let Some(batch) = parts.pop_front() {
            if batch.is_empty() {
                continue;
            }
            let started = Instant::now();
            match self.call(&batch).await {
                Ok(answer) => {
                    counter!("annals_append_batches_total").increment(1);
                    histogram!("annals_append_batch_size").record(batch.len() as f64);
                    histogram!("annals_append_seconds").record(started.elapsed().as_secs_f64());
                    settle(&self.shared, batch, answer);
                    backoff = Duration::from_millis(20);
                }
                Err(Failure::Raised(error)) => {
                    if batch.len() == 1 {
                        batch.into_iter().for_each(|culprit| blame(culprit, &error));
                    } else {
                        let mut first = batch;
                        let second = first.split_off(first.len() / 2);
                        parts.push_front(second);
                        parts.push_front(first);
                    }
                }
                Err(Failure::RolledBack(error)) => {
                    tracing::warn!(committer = self.number, batch.appends = batch.len(), error = %error,
                        "a batch was rolled back and is sent again");
                    parts.push_front(self.wait_or_give_up(batch, &mut backoff, error).await);
                }
                Err(Failure::Lost(error)) => {
                    let backend = self.link.take().map(|link| link.backend);
                    if let Some(backend) = backend {
                        self.shared.follower.lost_backend(backend.pid);
                    }
                    tracing::warn!(committer = self.number, batch.appends = batch.len(), error = %error,
                        "the answer to a batch was lost: looking in the log for what became of it");
                    let open = match backend {
                        // It was not sent: there was no connection to send it by.
                        None => batch,
                        Some(backend) => self.find_out(backend, batch).await,
                    };
                    parts.push_front(self.wait_or_give_up(open, &mut backoff, error).await);
                }
            }
        }
    }

    async fn call(&mut self, batch: &[Waiting]) -> Result<Answer, Failure> {
        if self.link.is_none() {
            let link = connect(&self.shared).await.map_err(Failure::Lost)?;
            self.shared.follower.own_backend(link.backend.pid);
            self.link = Some(link);
        }
        let Some(link) = &mut self.link else { return Err(Failure::Lost(sqlx::Error::PoolClosed)) };
        let notify = !self.shared.follower.is_alone();
        let called = timeout(CALL_TIMEOUT, batch::call(&mut link.connection, batch, notify)).await;
        called.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into()))).map_err(Failure::of)
    }

    /// Asks until the database answers: an outcome that can't be known is not made up.
    async fn find_out(&self, backend: Backend, mut batch: Vec<Waiting>) -> Vec<Waiting> {
        let mut backoff = Duration::from_millis(20);
        loop {
            // Whoever does not wait any more needs no answer.
            batch.retain(|waiting| !waiting.reply.is_closed());
            if batch.is_empty() {
                return batch;
            }
            match recover::outcomes(&self.shared, backend, &batch).await {
                Ok(outcomes) => return recover::answer(&self.shared, batch, outcomes),
                Err(error) => {
                    tracing::warn!(committer = self.number, error = %error, "the log can't be asked yet");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// For appends that surely did not happen: those past their deadline are told so, the rest tried again.
    async fn wait_or_give_up(
        &self,
        batch: Vec<Waiting>,
        backoff: &mut Duration,
        error: sqlx::Error,
    ) -> Vec<Waiting> {
        let now = Instant::now();
        let (late, open): (Vec<_>, Vec<_>) = batch.into_iter().partition(|waiting| waiting.deadline <= now);
        let why = error.to_string();
        for waiting in late {
            let source = StoreError::Database(sqlx::Error::Io(std::io::Error::other(why.clone())));
            waiting.answer(Err(Refusal::Final(AppendError::Unavailable(source))));
        }
        if !open.is_empty() {
            sleep(*backoff).await;
            *backoff = (*backoff * 2).min(BACKOFF_MAX);
        }
        open
    }
}

/// A connection of a committer's own, outside the pool.
pub(super) async fn connect(shared: &Shared) -> Result<Link, sqlx::Error> {
    let options = PgConnectOptions::clone(&shared.pool.connect_options())
        .application_name("annals committer")
        .options(SESSION)
        .disable_statement_logging();
    let connecting = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        let row = sqlx::query("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        let backend = Backend { pid: row.try_get("pid")?, started: row.try_get("backend_start")? };
        Ok(Link { connection, backend })
    };
    timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())))
}

/// Answers everyone in a committed batch and shows its events to the node's readers.
fn settle(shared: &Shared, batch: Vec<Waiting>, answer: Answer) {
    let mut verdicts: Vec<Option<Result<Receipt, Refusal>>> = batch.iter().map(|_| None).collect();
    let owner_of = |count: fn(&Prepared) -> usize| -> Vec<(usize, usize)> {
        batch
            .iter()
            .enumerate()
            .flat_map(|(index, waiting)| (0..count(&waiting.append)).map(move |item| (index, item)))
            .collect()
    };
    for hit in &answer.hits {
        let index = usize::try_from(hit.append - 1).unwrap_or_default();
        if let Some(key) = &batch[index].append.idempotency {
            let receipt = receipt_of(&shared.keyring, &key.hash, &key.digest, &hit.stored);
            verdicts[index] = Some(receipt.map_err(Refusal::Final));
        }
    }
    let at = |list: &[(usize, usize)], number: i32| {
        usize::try_from(number - 1).ok().and_then(|index| list.get(index).copied())
    };
    let keys = owner_of(|append| append.new_keys.len());
    for (number, destroyed) in &answer.bad_keys {
        let Some((index, item)) = at(&keys, *number) else { continue };
        let subject = batch[index].append.new_keys[item].name.owner.clone();
        shared.keyring.evict(&subject);
        verdicts[index].get_or_insert(Err(if *destroyed {
            Refusal::Final(AppendError::Forgotten { subject })
        } else {
            Refusal::SealAgain
        }));
    }
    let streams = owner_of(|append| append.streams.len());
    for number in &answer.bad_streams {
        let Some((index, item)) = at(&streams, *number) else { continue };
        let version = answer.versions[usize::try_from(number - 1).unwrap_or_default()];
        verdicts[index].get_or_insert(Err(Refusal::Final(stream_refusal(
            &batch[index].append,
            item,
            version,
        ))));
    }
    let claims = owner_of(|append| append.claims.len());
    for (number, holder) in &answer.bad_claims {
        let Some((index, item)) = at(&claims, *number) else { continue };
        let refusal = claim_refusal(&batch[index].append, item, holder.as_ref());
        verdicts[index].get_or_insert(Err(Refusal::Final(refusal)));
    }

    let mut position = answer.head_before;
    let mut versions = answer.versions.iter();
    let mut stored = Vec::new();
    let mut answers = Vec::with_capacity(batch.len());
    for (mut waiting, verdict) in batch.into_iter().zip(verdicts) {
        let versions: Vec<u64> = versions
            .by_ref()
            .take(waiting.append.streams.len())
            .map(|version| version.cast_unsigned())
            .collect();
        let answered = verdict.unwrap_or_else(|| {
            for key in std::mem::take(&mut waiting.append.new_keys) {
                shared.keyring.committed(key);
            }
            for owner in &waiting.append.forget {
                shared.forget(owner);
            }
            let receipt = receipt(&waiting.append, &versions, position, &answer);
            for event in std::mem::take(&mut waiting.append.events) {
                position += 1;
                stored.push(StoredEvent {
                    position: position.cast_unsigned(),
                    event_id: event.event_id,
                    stream: waiting.append.streams[event.stream].stream.clone(),
                    sequence: versions[event.stream] + event.nth,
                    event_type: event.event_type,
                    event_version: event.event_version,
                    payload: event.payload,
                    metadata: event.metadata,
                    recorded_at: answer.recorded_at,
                });
            }
            Ok(receipt)
        });
        answers.push((waiting, answered));
    }
    debug_assert_eq!(position, answer.head_after, "the committer and the function count alike");
    gauge!("annals_log_head").set(answer.head_after as f64);
    // Before anyone hears that it is written, this node's cache knows.
    shared.follower.committed(&shared.aggregates, stored);
    for (waiting, answer) in answers {
        waiting.answer(answer);
    }
}

fn receipt(append: &Prepared, versions: &[u64], position: i64, answer: &Answer) -> Receipt {
    let last = match append.events.len() {
        0 => answer.head_after,
        events => position + i64::try_from(events).unwrap_or_default(),
    };
    let streams = append.streams.iter().take(append.written_streams).zip(versions);
    Receipt {
        position: last.cast_unsigned(),
        recorded_at: answer.recorded_at,
        versions: streams.map(|(stream, version)| (stream.stream.clone(), version + stream.events)).collect(),
        result: append.idempotency.as_ref().map_or(serde_json::Value::Null, |key| {
            serde_json::from_str(&key.result).unwrap_or(serde_json::Value::Null)
        }),
        shown_once: None,
        shown_once_expired: false,
        replayed: false,
    }
}

fn stream_refusal(append: &Prepared, item: usize, version: i64) -> AppendError {
    let stream = &append.streams[item];
    if item < append.written_streams {
        AppendError::VersionConflict {
            stream: stream.stream.clone(),
            expected: stream.expected.cast_unsigned(),
            actual: version.cast_unsigned(),
        }
    } else {
        AppendError::AssertFailed {
            what: format!("{}: it is at version {version}, not {}", stream.stream, stream.expected),
        }
    }
}

fn claim_refusal(append: &Prepared, item: usize, holder: Option<&String>) -> AppendError {
    let claim = &append.claims[item];
    if claim.kind == ClaimKind::Assert {
        AppendError::AssertFailed { what: format!("the holder of a key in {}", claim.key.namespace) }
    } else {
        AppendError::ClaimTaken { key: claim.key.clone(), holder: holder.cloned().unwrap_or_default() }
    }
}

/// Says to an append that raised alone what is wrong with it.
fn blame(culprit: Waiting, error: &sqlx::Error) {
    let database = error.as_database_error();
    let code = database.and_then(|error| error.code()).unwrap_or_default();
    let refusal = match (&code[..code.len().min(2)], database.and_then(|error| error.constraint())) {
        (_, Some("events_event_id_key")) => duplicate(&culprit.append, database),
        // The text of the message may hold the data: it is not passed on.
        ("22", _) => AppendError::Malformed { why: format!("the log can't take it (SQLSTATE {code})") },
        ("54", _) => AppendError::Malformed { why: "it is over a limit of the database".to_string() },
        _ => {
            tracing::error!(error.code = %code, error = %error, "an append raised an error of no known kind");
            let text = std::io::Error::other(format!("SQLSTATE {code}"));
            AppendError::Unavailable(StoreError::Database(sqlx::Error::Io(text)))
        }
    };
    culprit.answer(Err(Refusal::Final(refusal)));
}

/// Postgres' detail names the id: `Key (event_id)=(0198…) already exists.`
fn duplicate(append: &Prepared, error: Option<&dyn sqlx::error::DatabaseError>) -> AppendError {
    let detail = error
        .and_then(|error| error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>())
        .and_then(|error| error.detail())
        .unwrap_or_default();
    let named = append.events.iter().find(|event| detail.contains(&event.event_id.to_string()));
    let event_id = named.or(append.events.first()).map(|event| event.event_id).unwrap_or_default();
    AppendError::DuplicateEvent { event_id }
}
