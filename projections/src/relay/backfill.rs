//! A copy of a range of the log into topics of its own, beside the live relay.

use annals_eventstore::EventStore;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    KafkaSettings, RelayError,
    settings::is_prefix,
    sink::Sink,
    transfer::{Mark, Transfer},
    writer,
};

/// What to copy.
#[derive(Clone, Debug)]
pub struct Backfill {
    /// Topics are `<prefix>.<context>`; never the live relay's prefix.
    pub prefix: String,
    /// The first position; the first of the log, or where an earlier run stopped, if not given.
    pub from: Option<u64>,
    /// The last position; the head of the log, or an earlier run's end, if not given.
    pub to: Option<u64>,
}

/// How far a back-fill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where this run began: the position before its first event.
    pub started_after: u64,
    pub position: u64,
    pub to: u64,
    /// Sent by this run.
    pub events: u64,
}

/// Copies the range, or what is left of it, and tells how far it is after each transaction.
///
/// # Errors
/// If the prefix is the live one or was filled with another range, or Kafka or the log fail: run it
/// again, it goes on where it stopped.
pub async fn backfill(
    store: &EventStore,
    live: &KafkaSettings,
    wanted: Backfill,
    stop: CancellationToken,
    progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Progress, RelayError> {
    if !is_prefix(&wanted.prefix) {
        return Err(RelayError::Prefix(wanted.prefix));
    }
    if wanted.prefix == live.prefix {
        return Err(RelayError::LivePrefix(wanted.prefix));
    }
    let head = store.head().await?;
    let settings = KafkaSettings { prefix: wanted.prefix.clone(), ..live.clone() };
    let (store, runtime) = (store.clone(), Handle::current());
    tokio::task::spawn_blocking(move || copy(store, &settings, &wanted, head, stop, runtime, progress))
        .await
        .unwrap_or_else(|error| Err(RelayError::Panicked(error.to_string())))
}

fn copy(
    store: EventStore,
    settings: &KafkaSettings,
    wanted: &Backfill,
    head: u64,
    stop: CancellationToken,
    runtime: Handle,
    mut progress: impl FnMut(Progress),
) -> Result<Progress, RelayError> {
    let (mut sink, checkpoint) = Sink::open(settings, stop.clone())?;
    let asked_from = wanted.from.map(|from| from.saturating_sub(1));
    let (position, from, epoch, earlier_to) = match &checkpoint {
        None => {
            let from = asked_from.unwrap_or(0);
            (from, from, 1, None)
        }
        Some(done) => {
            if let Some(asked) = asked_from.filter(|asked| *asked != done.from) {
                let prefix = settings.prefix.clone();
                return Err(RelayError::OtherRange { prefix, from: asked + 1, position: done.position });
            }
            (done.position, done.from, done.epoch + 1, done.to.filter(|to| *to > done.position))
        }
    };
    let to = wanted.to.or(earlier_to).unwrap_or(head).min(head);
    let mut state = Progress { started_after: position, position, to, events: 0 };
    if position >= to {
        return Ok(state);
    }
    progress(state);
    let mut transfer = Transfer {
        store,
        runtime,
        stop: stop.clone(),
        position,
        up_to: to,
        mark: Mark { from, to: Some(to), epoch, writer: writer() },
    };
    transfer.run(
        &mut sink,
        |done| {
            state.position = done.position;
            state.events += done.events;
            progress(state);
        },
        |error| tracing::warn!(%error, "events are sent again"),
    )?;
    if state.position < to && stop.is_cancelled() {
        return Err(RelayError::Stopped);
    }
    Ok(state)
}
