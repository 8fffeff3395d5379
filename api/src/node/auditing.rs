//! The tree over the log, and what is signed of it made public.

use std::{sync::Arc, time::Duration};

use annals_adapters::checkpoints::{CheckpointBucket, CheckpointFile};
use annals_commands::{Running, audit::CheckpointPublishing, ports::checkpoints::CheckpointPublisher};
use annals_eventstore::{
    EventStore,
    notary::{Notary, NotaryOptions},
};
use anyhow::Context as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::checkpoint_topic::CheckpointTopic;
use crate::config::Config;

/// A notary that follows the log.
pub(super) struct Auditing {
    following: TaskTracker,
    publishing: Running,
}

impl Auditing {
    pub(super) fn start(
        notary: Notary,
        store: &EventStore,
        config: &Config,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        // First: a setting that does not hold is told before anything runs.
        let publishers = publishers(config)?;
        let options =
            NotaryOptions { checkpoint_interval: Duration::from_secs(config.notary.checkpoint_interval_s) };
        let following = TaskTracker::new();
        following.spawn(notary.clone().follow(store.clone(), options, stop.clone()));
        following.close();
        let publishing = CheckpointPublishing::new(notary, publishers).start(stop.clone());
        Ok(Self { following, publishing })
    }

    pub(super) async fn stopped(&self) {
        self.following.wait().await;
        self.publishing.stopped().await;
    }
}

fn publishers(config: &Config) -> anyhow::Result<Vec<Arc<dyn CheckpointPublisher>>> {
    let mut publishers: Vec<Arc<dyn CheckpointPublisher>> = Vec::new();
    if let Some(path) = &config.notary.publish_file {
        publishers.push(Arc::new(CheckpointFile::new(path)));
    }
    if let Some(kafka) = config.kafka_settings() {
        publishers.push(Arc::new(CheckpointTopic::new(kafka)));
    }
    if let Some(url) = &config.notary.publish_url {
        let bucket = CheckpointBucket::open(url).context("notary.publish_url")?;
        publishers.push(Arc::new(bucket));
    }
    Ok(publishers)
}
