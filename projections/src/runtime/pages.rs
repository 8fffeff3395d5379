//! The log as one generation reads it. A build's next page is fetched while the one before is written.

use std::sync::Arc;

use annals_eventstore::{Batch, EventStore, Opening, StoreError, Subscription, UnparsedEvent};
use tokio_util::task::AbortOnDropHandle;

use super::{EVENTS_IN_A_ROW, model::Model};

pub(super) struct Pages {
    reading: Reading,
}

enum Reading {
    Here(Subscription),
    /// On its way, at most one: what waits to be written is bounded.
    Ahead(AbortOnDropHandle<Fetched>),
    /// The task that read ahead is gone: read on from the checkpoint.
    Lost,
}

type Fetched = (Subscription, Result<Batch<UnparsedEvent>, StoreError>);

impl Pages {
    /// Reads after a position.
    pub(super) fn after(store: &EventStore, model: &dyn Model, position: u64) -> Self {
        Self { reading: Reading::Here(store.subscribe(position, model.filter(), Opening::Personal)) }
    }

    /// At most `max` events, as soon as there is one or the head moved past others. Cancel-safe.
    ///
    /// # Errors
    /// If the database does not answer. Then, read on from the checkpoint.
    pub(super) async fn next(
        &mut self,
        model: &dyn Model,
        max: usize,
    ) -> Result<Batch<UnparsedEvent>, StoreError> {
        let fetched = match &mut self.reading {
            Reading::Here(subscription) => return subscription.next_unparsed(max, model.metadata()).await,
            Reading::Lost => return Err(StoreError::Database(sqlx::Error::WorkerCrashed)),
            Reading::Ahead(task) => task.await,
        };
        match fetched {
            Ok((subscription, batch)) => {
                self.reading = Reading::Here(subscription);
                batch
            }
            Err(error) => {
                tracing::error!(%error, "the task that reads a build's next page failed");
                self.reading = Reading::Lost;
                Err(StoreError::Database(sqlx::Error::WorkerCrashed))
            }
        }
    }

    /// Begins to fetch and decode the next page.
    pub(super) fn fetch_ahead(&mut self, model: &Arc<dyn Model>, max: usize) {
        match std::mem::replace(&mut self.reading, Reading::Lost) {
            Reading::Here(mut subscription) => {
                let model = Arc::clone(model);
                self.reading = Reading::Ahead(AbortOnDropHandle::new(tokio::spawn(async move {
                    let batch = subscription.next_unparsed(max, model.metadata()).await;
                    for events in batch.iter().flat_map(|batch| batch.events.chunks(EVENTS_IN_A_ROW)) {
                        events.iter().for_each(|event| model.decode_ahead(event));
                        tokio::task::yield_now().await;
                    }
                    (subscription, batch)
                })));
            }
            other => self.reading = other,
        }
    }
}
