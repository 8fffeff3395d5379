//! The producer and its transactions. Its calls block: it lives on a thread of its own.

use std::time::{Duration, Instant};

use annals_eventstore::StoredEvent;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};
use tokio_util::sync::CancellationToken;

use super::{
    Checkpoint, Compression, KafkaSettings, RelayError,
    checkpoint::{self},
    client::Quiet,
    cloud_event,
    error::is_fencing,
    topics::Topics,
};

/// How long one call waits before it looks whether the relay is to stop.
const STEP: Duration = Duration::from_secs(2);
/// How long the cluster may take over one thing, a start or a commit.
const PATIENCE: Duration = Duration::from_secs(90);
/// What a relay that was told to stop still waits for a commit's outcome.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// The cluster takes back what a relay left open after so long, if no other relay does before.
const TRANSACTION_TIMEOUT_MS: &str = "60000";
/// What the producer holds at most.
const QUEUE_KBYTES_MAX: &str = "65536";

pub(super) struct Sink {
    producer: BaseProducer<Quiet>,
    topics: Topics,
    settings: KafkaSettings,
    checkpoint_topic: String,
    stop: CancellationToken,
}

impl Sink {
    /// Fences whoever wrote under this prefix before, and finds where to go on.
    pub(super) fn open(
        settings: &KafkaSettings,
        stop: CancellationToken,
    ) -> Result<(Self, Option<Checkpoint>), RelayError> {
        let topics = Topics::new(settings)?;
        topics.ensure_checkpoint()?;
        let producer = producer(settings)?;
        let sink = Self {
            producer,
            topics,
            settings: settings.clone(),
            checkpoint_topic: settings.checkpoint_topic(),
            stop,
        };
        sink.until_done(PATIENCE, || sink.producer.init_transactions(STEP))?;
        let checkpoint = checkpoint::read_settled(settings)?;
        Ok((sink, checkpoint))
    }

    /// Topics are made before the transaction begins: it need not wait for them.
    pub(super) fn prepare(&mut self, event: &StoredEvent) -> Result<(), RelayError> {
        self.topics.ensure(cloud_event::context(&event.stream.aggregate_type))
    }

    pub(super) fn begin(&self) -> Result<(), RelayError> {
        self.producer.begin_transaction().map_err(|error| self.failure(error))
    }

    /// Hands an event to the producer; returns its size in bytes.
    pub(super) fn send(&self, event: &StoredEvent) -> Result<usize, RelayError> {
        let payload = event.public_payload()?;
        let headers = cloud_event::headers(event, &self.settings.schemas_url)
            .map_err(|why| RelayError::Metadata { position: event.position, why })?;
        let topic = self.topics.of(cloud_event::context(&event.stream.aggregate_type)).unwrap_or_default();
        let record = BaseRecord::to(topic)
            .key(event.stream.aggregate_id.as_str())
            .payload(payload.as_ref())
            .headers(headers)
            .timestamp(event.recorded_at.timestamp_millis());
        self.enqueue(record)?;
        Ok(payload.len())
    }

    /// Commits what was sent together with how far that is.
    pub(super) fn commit(&self, checkpoint: &Checkpoint) -> Result<(), RelayError> {
        let value = serde_json::to_vec(checkpoint)
            .map_err(|why| RelayError::CheckpointDamaged { topic: self.checkpoint_topic.clone(), why })?;
        self.enqueue(
            BaseRecord::to(&self.checkpoint_topic).key(self.settings.prefix.as_str()).payload(&value),
        )?;
        self.until_done(PATIENCE, || self.producer.commit_transaction(STEP))
    }

    /// Takes back the open transaction, so that the same producer can begin another one.
    pub(super) fn abort(&self) -> Result<(), RelayError> {
        self.until_done(PATIENCE, || self.producer.abort_transaction(STEP))
    }

    /// Waits while the producer's queue is full: that bounds what the relay holds.
    fn enqueue(
        &self,
        mut record: BaseRecord<'_, str, impl rdkafka::message::ToBytes + ?Sized>,
    ) -> Result<(), RelayError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(20));
                    if self.stop.is_cancelled() {
                        return Err(RelayError::Stopped);
                    }
                    if Instant::now() > deadline {
                        return Err(RelayError::TimedOut("it takes no more records"));
                    }
                }
                Err((error, _)) => return Err(self.failure(error)),
            }
        }
    }

    /// Repeats a call that may be repeated, until it is done or it is time to give up.
    fn until_done(
        &self,
        patience: Duration,
        call: impl Fn() -> Result<(), KafkaError>,
    ) -> Result<(), RelayError> {
        let started = Instant::now();
        let mut stopping_since = None;
        loop {
            let Err(error) = call() else { return Ok(()) };
            let again = match &error {
                KafkaError::Transaction(transaction) => transaction.is_retriable(),
                KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
                _ => false,
            };
            if !again {
                return Err(self.failure(error));
            }
            if self.stop.is_cancelled() {
                let since = *stopping_since.get_or_insert_with(Instant::now);
                if since.elapsed() > STOP_WITHIN {
                    return Err(RelayError::Stopped);
                }
            }
            if started.elapsed() > patience {
                return Err(error.into());
            }
        }
    }

    /// What a failed call means.
    fn failure(&self, error: KafkaError) -> RelayError {
        if let Some((code, _)) = self.producer.client().fatal_error() {
            return if is_fencing(code) { RelayError::Fenced } else { error.into() };
        }
        match &error {
            KafkaError::Transaction(transaction) if is_fencing(transaction.code()) => RelayError::Fenced,
            KafkaError::Transaction(transaction) if transaction.txn_requires_abort() => {
                RelayError::Abortable(error)
            }
            // A transaction that failed already takes no more records: its abort tells the reason.
            KafkaError::MessageProduction(code) if is_fencing(*code) => RelayError::Fenced,
            KafkaError::MessageProduction(_) | KafkaError::Flush(_) => RelayError::Abortable(error),
            _ => error.into(),
        }
    }
}

fn producer(settings: &KafkaSettings) -> Result<BaseProducer<Quiet>, RelayError> {
    let mut config = settings.client();
    config
        .set("transactional.id", settings.transactional_id())
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
        .set(
            "compression.codec",
            match settings.compression {
                Compression::None => "none",
                Compression::Lz4 => "lz4",
            },
        )
        // The partition that Kafka's own clients would choose for the key.
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .set("batch.num.messages", "10000")
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", QUEUE_KBYTES_MAX);
    Ok(config.create_with_context(Quiet)?)
}
