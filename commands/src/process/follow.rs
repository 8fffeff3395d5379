//! One process manager on one node: leads, follows the log, reacts.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use annals_eventstore::{Batch, EventStore, RecordedEvent};
use futures::FutureExt;
use rand::Rng;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    AnyManager, ReactError,
    checkpoint::{self, Held, Moved},
    leader::Leadership,
};

const BATCH_EVENTS_MAX: usize = 100;

/// Events that pass by without a reaction move the checkpoint's row at most this often.
const IDLE_SAVE: Duration = Duration::from_secs(1);

const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

pub(super) struct Follower {
    store: EventStore,
    pool: PgPool,
    manager: Arc<dyn AnyManager>,
    node: Uuid,
}

/// Why following ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stopped,
    /// Someone else leads.
    Deposed,
}

impl Follower {
    pub(super) fn new(store: EventStore, pool: PgPool, manager: Arc<dyn AnyManager>, node: Uuid) -> Self {
        Self { store, pool, manager, node }
    }

    pub(super) async fn run(self, stop: CancellationToken) {
        let name = self.manager.name();
        let options = self.pool.connect_options();
        loop {
            let mut leadership = tokio::select! {
                () = stop.cancelled() => return,
                leadership = Leadership::acquire(&options, name) => leadership,
            };
            // Whoever loses the lock stops in the middle: what it has not committed is undone, and
            // what its commands did is found again by their keys.
            let end = tokio::select! {
                () = leadership.lost() => End::Deposed,
                end = self.lead(&stop) => end,
            };
            leadership.resign().await;
            metrics::gauge!("annals_process_lag_events", "name" => name).set(0.0);
            if end == End::Stopped {
                return;
            }
            tracing::warn!(process.name = name, "process manager is no longer led by this node");
        }
    }

    async fn lead(&self, stop: &CancellationToken) -> End {
        let mut failures = Failures::new(self.manager.name());
        // There from the beginning, so that an alert can tell none from not asked.
        metrics::counter!("annals_process_failures_total", "name" => self.manager.name()).increment(0);
        let held = loop {
            if stop.is_cancelled() {
                return End::Stopped;
            }
            match checkpoint::take_over(&self.pool, self.manager.name(), self.node).await {
                Ok(held) => break held,
                Err(error) => failures.pause(&error.into(), None, stop).await,
            }
        };
        tracing::info!(
            process.name = held.name,
            process.position = held.position,
            "process manager is led by this node"
        );
        Leader { follower: self, held, seen: held.position, failures }.follow(stop).await
    }
}

/// One epoch of a leader.
struct Leader<'f> {
    follower: &'f Follower,
    /// The checkpoint's row.
    held: Held,
    /// Everything up to here was reacted to or is none of its business.
    seen: u64,
    failures: Failures,
}

impl Leader<'_> {
    async fn follow(mut self, stop: &CancellationToken) -> End {
        let manager = &self.follower.manager;
        let store = &self.follower.store;
        let mut events = store.subscribe(self.held.position, manager.filter(), manager.opening());
        let mut ticks = tokio::time::interval(IDLE_SAVE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let end = tokio::select! {
                () = stop.cancelled() => {
                    self.save_seen().await;
                    return End::Stopped;
                }
                batch = events.next(BATCH_EVENTS_MAX) => match batch {
                    Ok(batch) => self.take(batch, stop).await,
                    Err(error) => {
                        self.failures.pause(&error.into(), None, stop).await;
                        None
                    }
                },
                _ = ticks.tick() => {
                    self.measure().await;
                    self.save_seen().await
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Reacts to each event of a batch, as often as it takes.
    async fn take(&mut self, batch: Batch, stop: &CancellationToken) -> Option<End> {
        // The parts of an upcast event share its position, and so one transaction.
        for parts in batch.events.chunk_by(|a, b| a.position == b.position) {
            loop {
                if stop.is_cancelled() {
                    return Some(End::Stopped);
                }
                match self.react(parts).await {
                    Ok(Moved::Yes) => break,
                    Ok(Moved::Deposed) => return Some(End::Deposed),
                    Err(error) => self.failures.pause(&error, parts.first(), stop).await,
                }
            }
            self.failures.over();
        }
        self.failures.over();
        self.seen = batch.position;
        None
    }

    async fn react(&mut self, parts: &[RecordedEvent]) -> Result<Moved, ReactError> {
        let Some(position) = parts.last().map(|event| event.position) else { return Ok(Moved::Yes) };
        let mut tx = self.follower.pool.begin().await?;
        for event in parts {
            let reaction = AssertUnwindSafe(self.follower.manager.react(event, &mut tx)).catch_unwind();
            reaction.await.unwrap_or(Err(ReactError::Panicked))?;
        }
        // Last, so that the row is not locked while commands are under way: a leader that is
        // paused there would keep the next one from taking over.
        let moved = self.held.store(&mut *tx, position).await?;
        if moved == Moved::Yes {
            tx.commit().await?;
            self.held.position = position;
            self.seen = position;
        }
        Ok(moved)
    }

    /// Moves the checkpoint past events that were none of its business.
    async fn save_seen(&mut self) -> Option<End> {
        if self.seen == self.held.position {
            return None;
        }
        match self.held.store(&self.follower.pool, self.seen).await {
            Ok(Moved::Yes) => {
                self.held.position = self.seen;
                None
            }
            Ok(Moved::Deposed) => Some(End::Deposed),
            Err(error) => {
                self.failures.count(&error.into(), None);
                None
            }
        }
    }

    async fn measure(&self) {
        let name = self.held.name;
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        if let Ok(head) = self.follower.store.head().await {
            metrics::gauge!("annals_process_position", "name" => name).set(self.seen as f64);
            let lag = head.saturating_sub(self.seen) as f64;
            metrics::gauge!("annals_process_lag_events", "name" => name).set(lag);
        }
    }
}

/// Failures in a row, and the pauses between them.
struct Failures {
    name: &'static str,
    in_a_row: u32,
}

impl Failures {
    fn new(name: &'static str) -> Self {
        Self { name, in_a_row: 0 }
    }

    fn over(&mut self) {
        self.in_a_row = 0;
    }

    fn count(&mut self, error: &ReactError, event: Option<&RecordedEvent>) {
        metrics::counter!("annals_process_failures_total", "name" => self.name).increment(1);
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(
            process.name = self.name,
            process.failures = self.in_a_row + 1,
            event.position = event.map(|event| event.position),
            event.kind = event.map(|event| event.event_type.as_str()),
            %error,
            error.source = source,
            "process manager failed and will try again"
        );
        self.in_a_row = self.in_a_row.saturating_add(1);
    }

    /// Counts it and waits: longer each time, but not past a stop.
    async fn pause(&mut self, error: &ReactError, event: Option<&RecordedEvent>, stop: &CancellationToken) {
        let most = PAUSE_FIRST.saturating_mul(1 << self.in_a_row.min(16)).min(PAUSE_MAX);
        self.count(error, event);
        let pause = most.mul_f64(rand::rng().random_range(0.5..=1.0));
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
