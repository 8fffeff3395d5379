//! The node's one follower: it knows the head, keeps the newest events at hand, and tells the
//! caches what other nodes wrote.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sqlx::{
    ConnectOptions, PgPool, Row,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{Filter, StoreError, StoredEvent, aggregates::Aggregates, read, shared::Shared};

const CHANNEL: &str = "annals_log";
/// By this name of their connections, nodes know of each other.
pub(crate) const APPLICATION: &str = "annals follower";
const RECENT_EVENTS_MAX: usize = 4_096;
const RECENT_BYTES_MAX: usize = 32 * 1024 * 1024;
const PAGE_EVENTS: usize = 1_000;
/// Further behind than this, everything cached is dropped instead of read about.
const BEHIND_MAX: u64 = 20_000;
/// How long the caches are trusted after the head was last seen.
const TRUST: Duration = Duration::from_secs(1);
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct Follower {
    recent: Mutex<Recent>,
    head: watch::Sender<u64>,
    look: Notify,
    started: Instant,
    /// Milliseconds after `started` at which the node last knew the whole log; 0: never.
    current_at: AtomicU64,
    /// How many destroyed keys the node knows of.
    forgotten: AtomicU64,
    /// Whether no other node listens; it may be wrong for a poll interval after one has started,
    /// which polls the head itself meanwhile.
    alone: AtomicBool,
    /// The backends of this node's committers: what they tell, the node knows first.
    own_backends: Mutex<HashSet<u32>>,
    pub(crate) stop: CancellationToken,
}

/// The newest events, without gaps, up to `last`.
#[derive(Default)]
struct Recent {
    events: VecDeque<Arc<StoredEvent>>,
    bytes: usize,
    last: u64,
    /// This node's own batches that committed before those of lower positions were heard of.
    ahead: BTreeMap<u64, Vec<StoredEvent>>,
}

impl Recent {
    fn push(&mut self, event: StoredEvent) {
        self.last = event.position;
        self.bytes += event.payload.len() + event.metadata.len();
        self.events.push_back(Arc::new(event));
        while self.events.len() > RECENT_EVENTS_MAX || self.bytes > RECENT_BYTES_MAX {
            let Some(old) = self.events.pop_front() else { break };
            self.bytes -= old.payload.len() + old.metadata.len();
        }
    }

    fn join_ahead(&mut self) {
        while let Some(batch) = self.ahead.first_entry() {
            if *batch.key() > self.last + 1 {
                break;
            }
            for event in batch.remove() {
                if event.position > self.last {
                    self.push(event);
                }
            }
        }
    }

    fn restart_at(&mut self, position: u64) {
        self.events.clear();
        self.bytes = 0;
        self.last = position;
        self.join_ahead();
    }
}

impl Follower {
    pub(crate) fn new(head: u64) -> Self {
        Self {
            recent: Mutex::new(Recent { last: head, ..Recent::default() }),
            head: watch::Sender::new(head),
            look: Notify::new(),
            started: Instant::now(),
            current_at: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            alone: AtomicBool::new(false),
            own_backends: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    /// A batch of this node's own, in order of position.
    pub(crate) fn committed(&self, aggregates: &Aggregates, events: Vec<StoredEvent>) {
        let Some(first) = events.first().map(|event| event.position) else { return };
        for event in &events {
            aggregates.saw(&event.stream, event.sequence);
        }
        let last = {
            let mut recent = self.recent.lock();
            recent.ahead.insert(first, events);
            recent.join_ahead();
            recent.last
        };
        self.publish(last);
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Acquire)
    }

    /// A committer of this node speaks through this backend from now on.
    pub(crate) fn own_backend(&self, pid: i32) {
        self.own_backends.lock().insert(pid.cast_unsigned());
    }

    pub(crate) fn lost_backend(&self, pid: i32) {
        self.own_backends.lock().remove(&pid.cast_unsigned());
    }

    /// Makes the follower look at the head now.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    /// Everything up to here is known to this node.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// The events after a position that are at hand: `None` if they don't reach back so far.
    pub(crate) fn recent_after(
        &self,
        position: u64,
        filter: &Filter,
        max: usize,
    ) -> Option<(Vec<Arc<StoredEvent>>, u64)> {
        let recent = self.recent.lock();
        let first = recent.last + 1 - recent.events.len() as u64;
        if position + 1 < first {
            return None;
        }
        let skip = usize::try_from(position + 1 - first).unwrap_or(usize::MAX);
        let mut reached = recent.last.max(position);
        let mut events = Vec::new();
        for event in recent.events.iter().skip(skip) {
            if events.len() == max {
                reached = event.position - 1;
                break;
            }
            if filter.matches(event) {
                events.push(Arc::clone(event));
            }
        }
        Some((events, reached))
    }

    /// Whether what the caches hold is known to be no older than a second.
    pub(crate) fn is_current(&self) -> bool {
        let at = self.current_at.load(Ordering::Acquire);
        at > 0 && self.started.elapsed() < Duration::from_millis(at) + TRUST
    }

    fn publish(&self, head: u64) {
        self.head.send_if_modified(|known| {
            let new = head > *known;
            if new {
                *known = head;
            }
            new
        });
    }

    fn last(&self) -> u64 {
        self.recent.lock().last
    }
}

/// Starts the follower; it ends when the store is closed or dropped.
pub(crate) fn start(shared: &Arc<Shared>) -> tokio::task::JoinHandle<()> {
    let stop = shared.follower.stop.clone();
    let weak = Arc::downgrade(shared);
    tokio::spawn(async move {
        stop.run_until_cancelled(follow(weak)).await;
    })
}

async fn follow(weak: Weak<Shared>) {
    let mut listener: Option<PgListener> = None;
    let mut tidied = Instant::now();
    let mut counted = None::<Instant>;
    loop {
        let Some(shared) = weak.upgrade() else { return };
        if listener.is_none() {
            match listen(&shared.pool).await {
                Ok(new) => listener = Some(new),
                Err(error) => tracing::warn!(error = %error, "can't listen to the log: polling it"),
            }
        }
        if let Err(error) = catch_up(&shared).await {
            tracing::warn!(error = %error, "the follower can't read the log: trying again");
        }
        if counted.is_none_or(|at| at.elapsed() >= shared.options.poll_interval) {
            counted = Some(Instant::now());
            let alone = is_alone(&shared.pool).await.unwrap_or(false);
            shared.follower.alone.store(alone, Ordering::Release);
        }
        if tidied.elapsed() > TIDY_INTERVAL {
            tidied = Instant::now();
            if let Err(error) = tidy(&shared.pool).await {
                tracing::warn!(error = %error, "answers that showed a secret could not be purged yet");
            }
        }
        let poll = shared.options.poll_interval;
        let notified = async {
            match &mut listener {
                Some(listening) => hear(listening, &shared.follower).await,
                None => std::future::pending().await,
            }
        };
        let heard = tokio::select! {
            heard = notified => heard,
            () = shared.follower.look.notified() => Ok(()),
            () = tokio::time::sleep(poll) => Ok(()),
        };
        if let Err(error) = heard {
            tracing::warn!(error = %error, "the listening connection broke");
            listener = None;
            tokio::time::sleep(poll.min(Duration::from_millis(200))).await;
        }
    }
}

/// A connection of the follower's own, so that a busy pool never makes a node deaf.
async fn listen(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let options = PgConnectOptions::clone(&pool.connect_options())
        .application_name(APPLICATION)
        .options([
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
        ])
        .disable_statement_logging();
    let own = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options)
        .await?;
    let mut listener = PgListener::connect_with(&own).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Waits for a notification that says something new: of its own batches the node knows already.
async fn hear(listener: &mut PgListener, follower: &Follower) -> Result<(), sqlx::Error> {
    loop {
        let notification = listener.try_recv().await?.ok_or(sqlx::Error::PoolClosed)?;
        let mut numbers = notification.payload().split(' ').map(str::parse::<u64>);
        let head = numbers.next().and_then(Result::ok).unwrap_or(u64::MAX);
        let forgotten = numbers.next().and_then(Result::ok).unwrap_or(u64::MAX);
        let own = follower.own_backends.lock().contains(&notification.process_id());
        if (!own && head > follower.last()) || forgotten > follower.forgotten.load(Ordering::Acquire) {
            return Ok(());
        }
    }
}

async fn catch_up(shared: &Shared) -> Result<(), StoreError> {
    let follower = &shared.follower;
    let asked_at = follower.started.elapsed();
    let (head, forgets) = read::head(&shared.pool).await?;
    let forgotten = follower.forgotten.load(Ordering::Acquire);
    if forgets > forgotten {
        forget(shared, forgotten).await?;
        follower.forgotten.store(forgets, Ordering::Release);
    }
    if follower.last() + BEHIND_MAX < head {
        shared.aggregates.evict_all();
        follower.recent.lock().restart_at(head);
    }
    loop {
        let last = follower.last();
        if last >= head {
            follower.publish(last);
            break;
        }
        let page = read::range(&shared.pool, last, head, &Filter::default(), PAGE_EVENTS).await?;
        if page.first().is_none_or(|event| event.position != last + 1) && follower.last() == last {
            return Err(StoreError::Damaged { position: last + 1, why: "it is not in the log".to_string() });
        }
        for event in &page {
            shared.aggregates.saw(&event.stream, event.sequence);
        }
        let reached = {
            let mut recent = follower.recent.lock();
            for event in page {
                if event.position == recent.last + 1 {
                    recent.push(event);
                }
            }
            recent.join_ahead();
            recent.last
        };
        follower.publish(reached);
    }
    let millis = u64::try_from(asked_at.as_millis()).unwrap_or(u64::MAX).max(1);
    follower.current_at.store(millis, Ordering::Release);
    metrics::gauge!("annals_log_head").set(follower.last() as f64);
    Ok(())
}

async fn forget(shared: &Shared, after: u64) -> Result<(), StoreError> {
    if after == 0 {
        // The node has just started: whatever it holds, it may have read before the keys went.
        shared.keyring.evict_all();
        shared.aggregates.evict_all();
        return Ok(());
    }
    let rows = sqlx::query("SELECT DISTINCT owner FROM sealing_keys WHERE forgotten > $1")
        .bind(after.cast_signed())
        .fetch_all(&shared.pool)
        .await?;
    for row in rows {
        shared.forget(row.try_get(0)?);
    }
    Ok(())
}

/// Whether this node's is the only follower of the database. Sessions of other roles hide their
/// names, so any such counts as one.
async fn is_alone(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT count(*) FILTER (WHERE application_name = $1) < 2 AND count(*) FILTER (WHERE usename <> current_user) = 0
         FROM pg_stat_activity WHERE datname = current_database()",
    )
    .bind(APPLICATION)
    .fetch_one(pool)
    .await
}

/// Answers that show a secret are kept for their ten minutes and no longer.
async fn tidy(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE idempotency SET shown_once = NULL WHERE shown_once IS NOT NULL AND shown_until < now()",
    )
    .execute(pool)
    .await?;
    Ok(())
}
