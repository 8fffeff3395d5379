//! The live relay: what is in the log and what comes, as long as this node leads.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use annals_eventstore::{EventStore, Filter};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Checkpoint, KafkaSettings, RelayError, checkpoint,
    leader::Leader,
    metrics,
    sink::Sink,
    transfer::{Mark, Transfer},
    writer,
};

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Whoever fenced us off writes; what waits for a person is only looked at again now and then.
const PAUSE_LONG: Duration = Duration::from_secs(60);
/// A relay that ran for so long had started well: the next failure is a new one.
const STARTED_WELL: Duration = Duration::from_secs(60);
/// A lock that is not had for so long is another node's.
const LED_ELSEWHERE_AFTER: Duration = Duration::from_secs(5);
const GAUGES_INTERVAL: Duration = Duration::from_secs(1);

/// What this node's relay does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// Another node relays.
    Standby,
    /// This node leads and finds out where to go on.
    Starting,
    /// Everything up to the position is in Kafka.
    Running { position: u64, epoch: u64 },
    /// It failed and will try again.
    Halted { why: String },
}

/// A relay that was started.
pub struct Relay {
    task: JoinHandle<()>,
    state: watch::Receiver<RelayState>,
}

impl Relay {
    /// What it does, and what it will.
    pub fn state(&self) -> watch::Receiver<RelayState> {
        self.state.clone()
    }

    /// Waits until it has ended, after it was told to stop.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the relay had failed");
        }
    }
}

/// Tells in the metrics that nothing is relayed here and nothing stands still, for whoever watches them.
pub fn off() {
    metrics::describe();
    metrics::leads(false);
    metrics::halted(false);
    metrics::progress(0, 0, None);
}

/// Starts relaying to Kafka, on whichever node leads, until `stop`. Whatever fails is tried again.
pub fn start(store: EventStore, settings: KafkaSettings, stop: CancellationToken) -> Relay {
    metrics::describe();
    metrics::leads(false);
    metrics::halted(false);
    let (state, receiver) = watch::channel(RelayState::Standby);
    let live = Live { store, settings, stop, state: Arc::new(state) };
    Relay { task: tokio::spawn(live.run()), state: receiver }
}

struct Live {
    store: EventStore,
    settings: KafkaSettings,
    stop: CancellationToken,
    state: Arc<watch::Sender<RelayState>>,
}

impl Live {
    async fn run(self) {
        let mut pause = PAUSE_MIN;
        let mut told = String::new();
        loop {
            let Some(mut leader) = self.stop.run_until_cancelled(self.acquire()).await else { return };
            let started = Instant::now();
            metrics::leads(true);
            self.state.send_replace(RelayState::Starting);
            let ended = self.lead(&mut leader).await;
            metrics::leads(false);
            leader.resign().await;
            if self.stop.is_cancelled() {
                return;
            }
            let Err(error) = ended else {
                self.state.send_replace(RelayState::Standby);
                continue;
            };
            metrics::failed();
            if started.elapsed() > STARTED_WELL {
                pause = PAUSE_MIN;
            }
            let is_lasting = matches!(error, RelayError::Fenced) || error.needs_a_person();
            let wait = if is_lasting { PAUSE_LONG } else { pause };
            let why = with_sources(&error);
            // The same reason again is no news.
            if why == told {
                tracing::debug!(error = %why, "the relay stands still as before");
            } else {
                tracing::error!(error = %why, retry_s = wait.as_secs(), "the relay stands still");
                told.clone_from(&why);
            }
            metrics::halted(true);
            self.state.send_replace(RelayState::Halted { why });
            pause = (pause * 2).min(PAUSE_MAX);
            if self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Waits until this node leads. What made it fail is not its concern any more while another one leads.
    async fn acquire(&self) -> Leader {
        let elsewhere = async {
            tokio::time::sleep(LED_ELSEWHERE_AFTER).await;
            metrics::halted(false);
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            leader = Leader::acquire(self.store.pool(), &self.settings.prefix) => leader,
            never = elsewhere => match never {},
        }
    }

    /// Relays until it fails, the lock is gone, or it is told to stop.
    async fn lead(&self, leader: &mut Leader) -> Result<(), RelayError> {
        let stop = self.stop.child_token();
        let seen: Arc<Mutex<Option<Seen>>> = Arc::default();
        let thread = Thread {
            store: self.store.clone(),
            settings: self.settings.clone(),
            stop: stop.clone(),
            runtime: Handle::current(),
            seen: Arc::clone(&seen),
            state: Arc::clone(&self.state),
        };
        let mut relaying = tokio::task::spawn_blocking(move || thread.run());
        let gauges = async {
            loop {
                tokio::time::sleep(GAUGES_INTERVAL).await;
                let seen = *seen.lock();
                if let Some(seen) = seen {
                    metrics::progress(seen.position, self.store.known_head(), seen.recorded_at);
                }
            }
        };
        let panicked = |error: tokio::task::JoinError| Err(RelayError::Panicked(error.to_string()));
        tokio::select! {
            ended = &mut relaying => return ended.unwrap_or_else(panicked),
            () = leader.lost() => tracing::warn!("the relay's lock is gone: it stands down"),
            () = gauges => {}
        }
        stop.cancel();
        match relaying.await.unwrap_or_else(panicked) {
            Err(RelayError::Stopped) => Ok(()),
            ended => ended,
        }
    }
}

/// An error with its sources, in one line.
fn with_sources(error: &RelayError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// How far the thread that relays is, for the gauges.
#[derive(Clone, Copy, Default)]
struct Seen {
    position: u64,
    recorded_at: Option<DateTime<Utc>>,
}

/// The thread that relays.
struct Thread {
    store: EventStore,
    settings: KafkaSettings,
    stop: CancellationToken,
    runtime: Handle,
    seen: Arc<Mutex<Option<Seen>>>,
    state: Arc<watch::Sender<RelayState>>,
}

impl Thread {
    fn run(self) -> Result<(), RelayError> {
        // Before any other is fenced off: a restored copy takes nothing from the log that Kafka has.
        if let Some(found) = checkpoint::read(&self.settings)? {
            self.runtime.block_on(check_same_log(&self.store, &self.settings, &found))?;
        }
        let (mut sink, checkpoint) = Sink::open(&self.settings, self.stop.clone())?;
        let (position, epoch) =
            checkpoint.as_ref().map_or((0, 1), |checkpoint| (checkpoint.position, checkpoint.epoch + 1));
        if let Some(checkpoint) = &checkpoint {
            self.runtime.block_on(check_same_log(&self.store, &self.settings, checkpoint))?;
        }
        tracing::info!(
            relay.position = position,
            relay.epoch = epoch,
            kafka.prefix = self.settings.prefix,
            "the relay runs"
        );
        self.tell(Seen { position, recorded_at: None }, epoch);
        let mut transfer = Transfer {
            store: self.store.clone(),
            runtime: self.runtime.clone(),
            stop: self.stop.clone(),
            position,
            up_to: u64::MAX,
            mark: Mark { from: 0, to: None, epoch, writer: writer() },
        };
        transfer.run(
            &mut sink,
            |done| {
                metrics::committed(done.events, done.bytes, done.took);
                metrics::progress(done.position, self.store.known_head(), Some(done.recorded_at));
                self.tell(Seen { position: done.position, recorded_at: Some(done.recorded_at) }, epoch);
            },
            |error| {
                metrics::aborted();
                tracing::warn!(%error, "events are sent again");
            },
        )
    }

    fn tell(&self, seen: Seen, epoch: u64) {
        metrics::halted(false);
        *self.seen.lock() = Some(seen);
        self.state.send_replace(RelayState::Running { position: seen.position, epoch });
    }
}

/// Whether what Kafka has is this log's: a restored backup or another installation is told apart.
pub(super) async fn check_same_log(
    store: &EventStore,
    settings: &KafkaSettings,
    checkpoint: &Checkpoint,
) -> Result<(), RelayError> {
    let prefix = settings.prefix.clone();
    let (position, head) = (checkpoint.position, store.head().await?);
    if position > head {
        return Err(RelayError::Ahead { position, head, prefix });
    }
    let found = store.read_all(position.saturating_sub(1), &Filter::default(), 1).await?;
    if found.first().is_none_or(|event| event.event_id != checkpoint.event_id) {
        return Err(RelayError::AnotherLog { position, prefix });
    }
    Ok(())
}
