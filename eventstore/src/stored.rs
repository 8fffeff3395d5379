//! Stored events as they are, for whoever passes them on: read ahead by a task of its own.

use std::{borrow::Cow, sync::Arc, time::Duration};

use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};

use crate::{Filter, StoreError, StoredEvent, read, sealing, shared::Shared};

/// A batch ends at the first of these bounds.
const BATCH_EVENTS_MAX: usize = 1_000;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Batches that wait for their reader; with the bound of a batch it bounds what is held at once.
const BATCHES_AHEAD: usize = 8;
/// Positions that one query goes through: it holds a connection and a snapshot meanwhile.
const WINDOW_POSITIONS: u64 = 100_000;
/// So long a query waits for its reader.
const STALL_MAX: Duration = Duration::from_secs(2);

/// Stored events of consecutive positions; never empty.
#[derive(Debug)]
pub struct StoredBatch {
    pub events: Vec<Arc<StoredEvent>>,
    /// The position of the last one.
    pub position: u64,
}

/// A reader of the log's rows from a position, without gaps, read ahead while the last batch is
/// worked on. Dropping it ends it.
pub struct StoredEvents {
    batches: mpsc::Receiver<Result<StoredBatch, StoreError>>,
    head: watch::Receiver<u64>,
    /// Given so far.
    position: u64,
    up_to: u64,
}

impl StoredEvents {
    /// The next batch, as soon as there is one; `None` once the end that was asked for is reached.
    /// Cancel-safe.
    ///
    /// # Errors
    /// If the database does not answer or a position is missing: the reader has ended then; open
    /// another one after the last batch.
    pub async fn next(&mut self) -> Option<Result<StoredBatch, StoreError>> {
        let batch = self.batches.recv().await;
        self.given(batch)
    }

    /// The next batch if it was read already.
    pub fn try_next(&mut self) -> Option<Result<StoredBatch, StoreError>> {
        let batch = self.batches.try_recv().ok();
        self.given(batch)
    }

    /// Whether the log is known to have more than what was given.
    pub fn is_behind(&self) -> bool {
        self.position < (*self.head.borrow()).min(self.up_to)
    }

    fn given(
        &mut self,
        batch: Option<Result<StoredBatch, StoreError>>,
    ) -> Option<Result<StoredBatch, StoreError>> {
        if let Some(Ok(batch)) = &batch {
            self.position = batch.position;
        }
        batch
    }
}

/// Reads everything of `after < position <= up_to`, waiting for what is not there yet.
pub(crate) fn read_ahead(shared: Arc<Shared>, after: u64, up_to: u64) -> StoredEvents {
    let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
    let head = shared.follower.watch();
    tokio::spawn(async move {
        let mut reader = Reader { shared, position: after, up_to, sender };
        match reader.read().await {
            Ok(()) => {}
            // Nobody waits for the error any more if that fails.
            Err(error) => drop(reader.sender.send(Err(error)).await),
        }
    });
    StoredEvents { batches, head, position: after, up_to }
}

struct Reader {
    shared: Arc<Shared>,
    position: u64,
    up_to: u64,
    sender: mpsc::Sender<Result<StoredBatch, StoreError>>,
}

impl Reader {
    /// Ends at the end that was asked for, or when nobody reads any more.
    async fn read(&mut self) -> Result<(), StoreError> {
        let mut head = self.shared.follower.watch();
        while self.position < self.up_to {
            let position = self.position;
            let known = tokio::select! {
                known = head.wait_for(|head| *head > position) => match known {
                    Ok(known) => *known,
                    Err(_) => return Err(StoreError::Database(sqlx::Error::PoolClosed)),
                },
                () = self.sender.closed() => return Ok(()),
            };
            let recent = self.shared.follower.recent_after(position, &Filter::default(), BATCH_EVENTS_MAX);
            let goes_on = match recent {
                Some((events, _)) => self.pass_on(events).await?,
                None => self.read_window(known.min(position.saturating_add(WINDOW_POSITIONS))).await?,
            };
            if !goes_on {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn read_window(&mut self, last: u64) -> Result<bool, StoreError> {
        let mut connection = self.shared.pool.acquire().await?;
        let mut rows = read::rows(&mut connection, self.position, last.min(self.up_to));
        let mut events = Vec::new();
        let mut bytes = 0;
        while let Some(event) = rows.next().await {
            let event = event?;
            bytes += event.payload.len() + event.metadata.len();
            events.push(Arc::new(event));
            if events.len() >= BATCH_EVENTS_MAX || bytes >= BATCH_BYTES_MAX {
                bytes = 0;
                // A reader that stands still must not hold a connection and a snapshot: the rest is
                // asked for again when it goes on.
                if tokio::time::timeout(STALL_MAX, self.sender.reserve()).await.is_err() {
                    break;
                }
                if !self.pass_on(std::mem::take(&mut events)).await? {
                    return Ok(false);
                }
            }
        }
        drop(rows);
        drop(connection);
        self.pass_on(events).await
    }

    /// Whether there is still somebody who reads.
    async fn pass_on(&mut self, mut events: Vec<Arc<StoredEvent>>) -> Result<bool, StoreError> {
        events.retain(|event| event.position <= self.up_to);
        let Some(last) = events.last().map(|event| event.position) else { return Ok(true) };
        for (expected, event) in (self.position + 1..).zip(&events) {
            if event.position != expected {
                let why = "it is not in the log".to_string();
                return Err(StoreError::Damaged { position: expected, why });
            }
        }
        self.position = last;
        Ok(self.sender.send(Ok(StoredBatch { events, position: last })).await.is_ok())
    }
}

impl StoredEvent {
    /// The payload as it may leave for everyone: every sealed value, personal or secret, is `null`.
    ///
    /// A payload with nothing sealed in it is passed through as it is, byte for byte.
    ///
    /// # Errors
    /// If the payload is no JSON.
    pub fn public_payload(&self) -> Result<Cow<'_, str>, StoreError> {
        sealing::blanked(&self.payload)
            .map_err(|error| StoreError::Damaged { position: self.position, why: error.to_string() })
    }
}
