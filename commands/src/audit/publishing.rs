//! Checkpoints to their places, in order, each place at its own pace.

use std::{sync::Arc, time::Duration};

use annals_eventstore::notary::{Notary, NotaryError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Running,
    ports::checkpoints::{CheckpointPublisher, NotPublished, SignedCheckpoint},
};

const POLL: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
const PAGE: u32 = 100;

/// Publishes whatever is signed. Every node may run it: places take a checkpoint twice as once.
pub struct CheckpointPublishing {
    notary: Notary,
    publishers: Vec<Arc<dyn CheckpointPublisher>>,
}

#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Notary(#[from] NotaryError),
    #[error(transparent)]
    Place(#[from] NotPublished),
}

impl CheckpointPublishing {
    pub fn new(notary: Notary, publishers: Vec<Arc<dyn CheckpointPublisher>>) -> Self {
        Self { notary, publishers }
    }

    /// Runs until `stop`.
    pub fn start(self, stop: CancellationToken) -> Running {
        metrics::describe_gauge!(
            "annals_checkpoint_published_size",
            "Events in the newest checkpoint that a place has"
        );
        metrics::describe_counter!(
            "annals_checkpoint_publish_failures_total",
            "Checkpoints that a place did not take, and that are tried again"
        );
        let tasks = TaskTracker::new();
        for publisher in self.publishers {
            tasks.spawn(follow(self.notary.clone(), publisher, stop.clone()));
        }
        Running::new(tasks)
    }
}

async fn follow(notary: Notary, publisher: Arc<dyn CheckpointPublisher>, stop: CancellationToken) {
    let mut pause = POLL;
    loop {
        match stop.run_until_cancelled(publish(&notary, &*publisher)).await {
            None => return,
            Some(Ok(())) => pause = POLL,
            Some(Err(error)) => {
                let place = publisher.place().to_string();
                metrics::counter!("annals_checkpoint_publish_failures_total", "place" => place).increment(1);
                tracing::warn!(place = publisher.place(), %error, "a checkpoint could not be published and is tried again");
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// What the place does not have yet.
async fn publish(notary: &Notary, publisher: &dyn CheckpointPublisher) -> Result<(), PublishError> {
    loop {
        let page = notary.unpublished(publisher.place(), PAGE).await?;
        for checkpoint in &page {
            let signed = SignedCheckpoint { size: checkpoint.size, note: checkpoint.note.clone() };
            publisher.publish(&signed).await?;
            notary.published(publisher.place(), checkpoint.number).await?;
            let place = publisher.place().to_string();
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("annals_checkpoint_published_size", "place" => place).set(checkpoint.size as f64);
        }
        if page.len() < PAGE as usize {
            return Ok(());
        }
    }
}
