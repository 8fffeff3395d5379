//! Checkpoints into a Kafka topic, where others keep them as long as they like.

use annals_commands::ports::checkpoints::{CheckpointPublisher, NotPublished, SignedCheckpoint};
use annals_projections::relay::{self, KafkaSettings};
use async_trait::async_trait;

/// One record a checkpoint: its size is the key, the signed note the value. The topic is
/// `<kafka.topic_prefix>.checkpoints`, with one partition, kept for ever. A record may be there twice.
pub(super) struct CheckpointTopic {
    settings: KafkaSettings,
    topic: String,
    place: String,
}

impl CheckpointTopic {
    pub(super) fn new(settings: KafkaSettings) -> Self {
        let topic = settings.topic("checkpoints");
        Self { place: format!("kafka {topic}"), topic, settings }
    }
}

#[async_trait]
impl CheckpointPublisher for CheckpointTopic {
    fn place(&self) -> &str {
        &self.place
    }

    async fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), NotPublished> {
        let (key, note) = (checkpoint.size.to_string(), checkpoint.note.as_bytes());
        let published = relay::publish(&self.settings, &self.topic, &key, note).await;
        published.map_err(|error| {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            NotPublished(format!("topic {}: {error}{}", self.topic, source.unwrap_or_default()))
        })
    }
}
