//! The workers of a node: claim what is due, call its handler, settle.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    CHANNEL, TimerHandler,
    claim::{self, Claimed, Leases, Settlement},
};
use crate::{Running, ports::clock::Clock};

/// Calls that a node makes at once.
const CALLS_MAX: usize = 32;

/// The longest time without a look for what is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often what is due and parked is counted.
const MEASURE_INTERVAL: Duration = Duration::from_secs(5);

/// Attempts of a timer whose workers all died or ran into their lease.
const ATTEMPTS_LOST_MAX: u32 = 10;

/// Pause before another try to write what became of a call.
const SETTLE_PAUSE: Duration = Duration::from_millis(250);

/// Fires the timers of the kinds it has handlers for; any number of nodes share them.
pub struct TimerWorkers {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    handlers: HashMap<&'static str, Arc<dyn TimerHandler>>,
    leases: Leases,
    poll_interval: Duration,
    calls: Arc<Semaphore>,
    /// Something may be due before the next look.
    bell: Arc<Notify>,
}

impl TimerWorkers {
    /// Workers for these handlers, one per kind. `clock` says what is due.
    pub fn new(pool: PgPool, clock: Arc<dyn Clock>, handlers: Vec<Arc<dyn TimerHandler>>) -> Self {
        let leases = Leases::new(handlers.iter().map(|handler| (handler.kind(), handler.lease())));
        Self {
            pool,
            clock,
            handlers: handlers.into_iter().map(|handler| (handler.kind(), handler)).collect(),
            leases,
            poll_interval: POLL_INTERVAL,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            bell: Arc::new(Notify::new()),
        }
    }

    /// Looks at least this often, rather than once a second.
    #[must_use]
    pub fn with_poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Works until `stop` is cancelled; calls that are in flight then are finished within their lease.
    ///
    /// Needs [`crate::migrate`] to have run.
    pub fn start(self, stop: CancellationToken) -> Running {
        let tasks = TaskTracker::new();
        let workers = Arc::new(self);
        tasks.spawn(listen(workers.pool.clone(), Arc::clone(&workers.bell), stop.clone()));
        tasks.spawn(Arc::clone(&workers).measure(stop.clone()));
        tasks.spawn(workers.run(tasks.clone(), stop));
        Running::new(tasks)
    }

    async fn run(self: Arc<Self>, tasks: TaskTracker, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.fire_due(&tasks).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "due timers could not be claimed");
                    self.poll_interval
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Starts calls for what is due; returns how long there is nothing more to do.
    async fn fire_due(self: &Arc<Self>, tasks: &TaskTracker) -> Result<Duration, sqlx::Error> {
        let free = self.calls.available_permits();
        if free == 0 {
            return Ok(self.poll_interval);
        }
        let now = self.clock.now();
        let claimed = claim::claim(&self.pool, now, &self.leases, free).await?;
        let all_taken = claimed.len() < free;
        for claimed in claimed {
            let permit = Arc::clone(&self.calls).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            tasks.spawn(Arc::clone(self).call(claimed, permit));
        }
        if !all_taken {
            // A call that ends then rings the bell.
            return Ok(self.poll_interval);
        }
        let next_due = claim::next_due(&self.pool, now, &self.leases).await?;
        let wait = next_due.map_or(self.poll_interval, |due_at| (due_at - now).to_std().unwrap_or_default());
        Ok(wait.min(self.poll_interval))
    }

    async fn call(self: Arc<Self>, claimed: Claimed, permit: OwnedSemaphorePermit) {
        let timer = &claimed.timer;
        let Some(handler) = self.handlers.get(timer.kind.as_str()) else { return };
        let ends = tokio::time::Instant::now() + handler.lease();
        let settlement = if timer.attempt > ATTEMPTS_LOST_MAX {
            Settlement::Park { reason: format!("its worker did not answer {ATTEMPTS_LOST_MAX} times") }
        } else {
            match tokio::time::timeout_at(ends, handler.fire(timer)).await {
                Ok(fired) => Settlement::of(fired, timer.attempt, self.clock.now()),
                Err(_) => {
                    // Nobody knows what it did: whoever takes over the lease asks the aggregate.
                    count_outcome(&timer.kind, "lease_expired");
                    tracing::warn!(timer.kind, timer.id = %timer.id, "timer's call did not end within its lease");
                    return;
                }
            }
        };
        if let Settlement::Park { reason } = &settlement {
            tracing::warn!(timer.kind, timer.id = %timer.id, timer.attempt, reason, "timer parked");
        }
        count_outcome(&timer.kind, settlement.outcome());
        let settled = tokio::time::timeout_at(ends, self.settle(&claimed, &settlement)).await;
        if settled.is_err() {
            tracing::warn!(timer.kind, timer.id = %timer.id, "timer's outcome could not be written within its lease");
        }
        let was_full = self.calls.available_permits() == 0;
        drop(permit);
        if was_full {
            self.bell.notify_one();
        }
    }

    async fn settle(&self, claimed: &Claimed, settlement: &Settlement) {
        while let Err(error) = claimed.settle(&self.pool, settlement).await {
            tracing::warn!(timer.id = %claimed.timer.id, %error, "timer's outcome could not be written, trying again");
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }

    async fn measure(self: Arc<Self>, stop: CancellationToken) {
        loop {
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            if let Ok((due, parked)) = claim::count(&self.pool, self.clock.now()).await {
                metrics::gauge!("annals_timers_due").set(due as f64);
                metrics::gauge!("annals_timers_parked").set(parked as f64);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(MEASURE_INTERVAL) => {}
            }
        }
    }
}

fn count_outcome(kind: &str, outcome: &'static str) {
    metrics::counter!("annals_timers_fired_total", "kind" => kind.to_string(), "outcome" => outcome)
        .increment(1);
}

/// Rings the bell when a timer was set that is due at once. While it can't listen, polling does.
async fn listen(pool: PgPool, bell: Arc<Notify>, stop: CancellationToken) {
    // A connection of its own: one of the shared pool would be missing there for good.
    let options = (*pool.connect_options()).clone();
    let own = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let listen = async {
        loop {
            if let Err(error) = ring_on_notifications(&own, &bell).await {
                tracing::warn!(%error, "timers can't be listened for, polling meanwhile");
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = listen => {}
    }
}

async fn ring_on_notifications(pool: &PgPool, bell: &Notify) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        listener.recv().await?;
        bell.notify_one();
    }
}
