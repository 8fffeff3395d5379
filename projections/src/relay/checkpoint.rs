//! How far a relay is: a record in a compacted topic, written in the transaction of the events.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{KafkaSettings, RelayError, client::Quiet};

const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Records looked at first, from the end; more if they are all of transactions that were taken back.
const TAIL_RECORDS: i64 = 64;

/// What a relay has sent so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Every event up to here is in Kafka.
    pub position: u64,
    /// The event at that position: tells this log from another one, or from one that was restored.
    pub event_id: Uuid,
    /// Where a back-fill began: the first position after this one. 0 for the live relay.
    pub from: u64,
    /// Where a back-fill ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Rises by one with every start of a relay.
    pub epoch: u64,
    /// Which program wrote it: host and process.
    pub writer: String,
    pub at: DateTime<Utc>,
}

/// The last checkpoint that was committed. Blocks.
pub(super) fn read(settings: &KafkaSettings) -> Result<Option<Checkpoint>, RelayError> {
    let consumer = consumer(settings, "read_committed")?;
    match watermarks(&consumer, &settings.checkpoint_topic())? {
        Some((low, high)) => last(settings, &consumer, low, high),
        None => Ok(None),
    }
}

/// The same, once no transaction is open in its topic. After the producer of this prefix was
/// initialized none is: what was open was taken back or finished, and no older relay can open one.
/// Asked for all the same, because a checkpoint that is missed means events sent twice.
pub(super) fn read_settled(settings: &KafkaSettings) -> Result<Option<Checkpoint>, RelayError> {
    let topic = settings.checkpoint_topic();
    let (committed, all) = (consumer(settings, "read_committed")?, consumer(settings, "read_uncommitted")?);
    let deadline = Instant::now() + ANSWER_WITHIN;
    loop {
        let end = watermarks(&all, &topic)?.map(|(_, high)| high);
        if let Some((low, stable)) = watermarks(&committed, &topic)?
            && end.is_some_and(|end| stable >= end)
        {
            return last(settings, &committed, low, stable);
        }
        if Instant::now() > deadline {
            return Err(RelayError::TimedOut("a transaction in the checkpoint's topic stays open"));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn consumer(settings: &KafkaSettings, isolation: &str) -> Result<BaseConsumer<Quiet>, RelayError> {
    let mut config = settings.client();
    config
        // Partitions are assigned by hand: there is no group, but librdkafka wants a name for it.
        .set("group.id", settings.checkpoint_topic())
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "100");
    Ok(config.create_with_context(Quiet)?)
}

/// The first offset and the one after the last that the consumer may see; `None` without the topic.
fn watermarks(consumer: &BaseConsumer<Quiet>, topic: &str) -> Result<Option<(i64, i64)>, RelayError> {
    match consumer.fetch_watermarks(topic, 0, ANSWER_WITHIN) {
        Ok(watermarks) => Ok(Some(watermarks)),
        Err(error) => match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition,
            ) => Ok(None),
            _ => Err(error.into()),
        },
    }
}

fn last(
    settings: &KafkaSettings,
    consumer: &BaseConsumer<Quiet>,
    low: i64,
    high: i64,
) -> Result<Option<Checkpoint>, RelayError> {
    let mut back = TAIL_RECORDS;
    loop {
        let from = (high - back).max(low);
        if let Some(found) = last_after(settings, consumer, from)? {
            return Ok(Some(found));
        }
        if from <= low {
            return Ok(None);
        }
        back = back.saturating_mul(16);
    }
}

/// The last record from an offset on.
fn last_after(
    settings: &KafkaSettings,
    consumer: &BaseConsumer<Quiet>,
    from: i64,
) -> Result<Option<Checkpoint>, RelayError> {
    let topic = settings.checkpoint_topic();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&topic, 0, Offset::Offset(from))?;
    consumer.assign(&assignment)?;
    let deadline = Instant::now() + ANSWER_WITHIN;
    let mut found = None;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(record)) => {
                let value = record.payload().unwrap_or_default();
                let checkpoint = serde_json::from_slice(value)
                    .map_err(|why| RelayError::CheckpointDamaged { topic: topic.clone(), why })?;
                found = Some(checkpoint);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                consumer.unassign()?;
                return Ok(found);
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Err(RelayError::TimedOut("the checkpoint's topic was not read to its end"))
}
