//! The topics: made when they are first needed.

use std::{collections::HashMap, time::Duration};

use futures::executor::block_on;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::RDKafkaErrorCode,
};

use super::{KafkaSettings, RelayError, client::Quiet};

const ANSWER_WITHIN: Duration = Duration::from_secs(8);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Makes topics and remembers which are there. Its calls block.
pub(super) struct Topics {
    admin: AdminClient<Quiet>,
    settings: KafkaSettings,
    by_context: HashMap<String, String>,
}

impl Topics {
    pub(super) fn new(settings: &KafkaSettings) -> Result<Self, RelayError> {
        let admin = settings.client().create_with_context(Quiet)?;
        Ok(Self { admin, settings: settings.clone(), by_context: HashMap::new() })
    }

    /// Sees to it that a context's topic is there.
    pub(super) fn ensure(&mut self, context: &str) -> Result<(), RelayError> {
        if !self.by_context.contains_key(context) {
            let name = self.settings.topic(context);
            let retention_ms = match self.settings.retention_days {
                0 => "-1".to_string(),
                days => (u64::from(days) * DAY_MS).to_string(),
            };
            let topic = NewTopic::new(&name, i32::from(self.settings.partitions), self.replication())
                .set("cleanup.policy", "delete")
                .set("retention.ms", &retention_ms);
            self.create(&topic)?;
            self.by_context.insert(context.to_string(), name);
        }
        Ok(())
    }

    /// The topic of a context, if it was made sure of.
    pub(super) fn of(&self, context: &str) -> Option<&str> {
        self.by_context.get(context).map(String::as_str)
    }

    /// The checkpoint's topic: one partition, compacted, in small segments, so that what is out of
    /// date goes soon.
    pub(super) fn ensure_checkpoint(&self) -> Result<(), RelayError> {
        let name = self.settings.checkpoint_topic();
        let topic = NewTopic::new(&name, 1, self.replication())
            .set("cleanup.policy", "compact")
            .set("segment.bytes", "4194304")
            .set("min.cleanable.dirty.ratio", "0.1");
        self.create(&topic)
    }

    fn replication(&self) -> TopicReplication<'static> {
        match self.settings.replication {
            // The cluster's own default.
            0 => TopicReplication::Fixed(-1),
            copies => TopicReplication::Fixed(i32::from(copies)),
        }
    }

    fn create(&self, topic: &NewTopic<'_>) -> Result<(), RelayError> {
        let options =
            AdminOptions::new().request_timeout(Some(ANSWER_WITHIN)).operation_timeout(Some(ANSWER_WITHIN));
        for result in block_on(self.admin.create_topics([topic], &options))? {
            match result {
                Ok(name) => tracing::info!(kafka.topic = %name, "a topic was made"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, why)) => return Err(RelayError::Topic { topic, why }),
            }
        }
        Ok(())
    }
}

/// Asks the cluster for its brokers: whether it can be reached at all. Blocks for at most `within`.
pub(super) fn reach(settings: &KafkaSettings, within: Duration) -> Result<usize, RelayError> {
    let admin: AdminClient<Quiet> = settings.client().create_with_context(Quiet)?;
    Ok(admin.inner().fetch_metadata(None, within)?.brokers().len())
}
