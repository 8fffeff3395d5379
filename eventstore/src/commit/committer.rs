//! One committer: takes a batch, commits it, answers everyone in it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use metrics::{counter, histogram};
use sqlx::{ConnectOptions, Connection, PgConnection, Row, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Queue, Refusal, Waiting,
    batch::{self, Answer},
    recover,
    settle::{blame, settle},
};
use crate::{AppendError, StoreError, shared::Shared};

/// Longer than the server's own limit: past it, the connection is taken for dead.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Settings of a committer's session. Every look-up of an append is by key, and its plans are
/// made once, when the tables may still be empty: without these they could scan them for ever.
const SESSION: [(&str, &str); 12] = [
    // Each statement must see what committed before the head was locked.
    ("default_transaction_isolation", "read\\ committed"),
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
