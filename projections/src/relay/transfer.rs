//! From the log into a sink, transaction by transaction.

use std::time::{Duration, Instant};

use annals_eventstore::{EventStore, StoredBatch, StoredEvents};
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Checkpoint, RelayError, sink::Sink};

/// A transaction ends at the first of these bounds, and sooner when there is nothing more to send.
/// Consumers see its events when it ends, so its age bounds how late they do.
const TRANSACTION_EVENTS_MAX: u64 = 50_000;
const TRANSACTION_BYTES_MAX: u64 = 32 * 1024 * 1024;
const TRANSACTION_AGE_MAX: Duration = Duration::from_secs(1);
/// After a transaction that was taken back, doubled with each in a row.
const ABORT_PAUSE_MIN: Duration = Duration::from_millis(100);
const ABORT_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Which events go where.
pub(super) struct Transfer {
    pub(super) store: EventStore,
    pub(super) runtime: Handle,
    pub(super) stop: CancellationToken,
    /// Everything up to here was sent.
    pub(super) position: u64,
    /// The last position to send.
    pub(super) up_to: u64,
    /// What every checkpoint says besides how far it is.
    pub(super) mark: Mark,
}

/// What checkpoints of one run have in common.
pub(super) struct Mark {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    pub(super) epoch: u64,
    pub(super) writer: String,
}

/// One transaction that was committed.
pub(super) struct Committed {
    pub(super) position: u64,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) recorded_at: DateTime<Utc>,
}

/// What was sent in the open transaction.
#[derive(Default)]
struct Sent {
    events: u64,
    bytes: u64,
    position: u64,
    event_id: Uuid,
    recorded_at: DateTime<Utc>,
}

impl Transfer {
    /// Goes on until the end that was asked for, or until it is stopped. Blocks.
    ///
    /// A transaction that Kafka takes back is sent again from its beginning.
    pub(super) fn run(
        &mut self,
        sink: &mut Sink,
        mut committed: impl FnMut(&Committed),
        mut aborted: impl FnMut(&RelayError),
    ) -> Result<(), RelayError> {
        let mut events = self.store.stored_events(self.position, self.up_to);
        let mut pause = ABORT_PAUSE_MIN;
        while let Some(batch) = self.next(&mut events)? {
            let started = Instant::now();
            match self.transaction(sink, &mut events, batch, started) {
                Ok(sent) => {
                    self.position = sent.position;
                    pause = ABORT_PAUSE_MIN;
                    committed(&Committed {
                        position: sent.position,
                        events: sent.events,
                        bytes: sent.bytes,
                        took: started.elapsed(),
                        recorded_at: sent.recorded_at,
                    });
                }
                Err(error @ RelayError::Abortable(_)) => {
                    aborted(&error);
                    sink.abort()?;
                    let paused = self.stop.run_until_cancelled(tokio::time::sleep(pause));
                    if self.runtime.block_on(paused).is_none() {
                        return Ok(());
                    }
                    pause = (pause * 2).min(ABORT_PAUSE_MAX);
                    events = self.store.stored_events(self.position, self.up_to);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn transaction(
        &self,
        sink: &mut Sink,
        events: &mut StoredEvents,
        mut batch: StoredBatch,
        started: Instant,
    ) -> Result<Sent, RelayError> {
        for event in &batch.events {
            sink.prepare(event)?;
        }
        sink.begin()?;
        let mut sent = Sent::default();
        loop {
            for event in &batch.events {
                sent.bytes += sink.send(event)? as u64;
                sent.events += 1;
            }
            if let Some(last) = batch.events.last() {
                (sent.position, sent.event_id, sent.recorded_at) =
                    (last.position, last.event_id, last.recorded_at);
            }
            let is_full = sent.events >= TRANSACTION_EVENTS_MAX
                || sent.bytes >= TRANSACTION_BYTES_MAX
                || started.elapsed() >= TRANSACTION_AGE_MAX;
            if is_full {
                break;
            }
            match self.more(events, started)? {
                Some(next) => batch = next,
                None => break,
            }
            for event in &batch.events {
                sink.prepare(event)?;
            }
        }
        sink.commit(&Checkpoint {
            position: sent.position,
            event_id: sent.event_id,
            from: self.mark.from,
            to: self.mark.to,
            epoch: self.mark.epoch,
            writer: self.mark.writer.clone(),
            at: Utc::now(),
        })?;
        Ok(sent)
    }

    /// Waits for the first events of a transaction; `None` at the end or when it is to stop.
    fn next(&self, events: &mut StoredEvents) -> Result<Option<StoredBatch>, RelayError> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Ok(None),
                batch = events.next() => Ok(batch.transpose()?),
            }
        })
    }

    /// Further events of the same transaction: waited for only while the log is known to have some.
    fn more(&self, events: &mut StoredEvents, started: Instant) -> Result<Option<StoredBatch>, RelayError> {
        if let Some(batch) = events.try_next() {
            return Ok(Some(batch?));
        }
        if !events.is_behind() {
            return Ok(None);
        }
        let left = TRANSACTION_AGE_MAX.saturating_sub(started.elapsed());
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Ok(None),
                batch = events.next() => Ok(batch.transpose()?),
                () = tokio::time::sleep(left) => Ok(None),
            }
        })
    }
}
