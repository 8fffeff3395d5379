//! One record by itself, outside of any transaction: for what is no event of the log.

use std::time::Duration;

use futures::executor::block_on;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{KafkaSettings, client::Quiet};

const ANSWER_WITHIN: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("Kafka does not answer as it should")]
    Kafka(#[from] KafkaError),
    #[error("the topic {topic} can't be made: {why}")]
    Topic { topic: String, why: RDKafkaErrorCode },
    #[error("Kafka did not take the record")]
    NotTaken,
}

/// Sends one record to a topic, which is made with one partition if it is not there, and waits until
/// all in-sync replicas have it. An idempotent producer does not write it twice by itself; a caller
/// that tries again may.
///
/// # Errors
/// If the cluster did not confirm the record.
pub async fn publish(
    settings: &KafkaSettings,
    topic: &str,
    key: &str,
    value: &[u8],
) -> Result<(), PublishError> {
    let (settings, topic, key, value) =
        (settings.clone(), topic.to_string(), key.to_string(), value.to_vec());
    tokio::task::spawn_blocking(move || send(&settings, &topic, &key, &value))
        .await
        .map_err(|_| PublishError::NotTaken)?
}

fn send(settings: &KafkaSettings, topic: &str, key: &str, value: &[u8]) -> Result<(), PublishError> {
    let admin: AdminClient<Quiet> = settings.client().create_with_context(Quiet)?;
    let copies = if settings.replication == 0 { -1 } else { i32::from(settings.replication) };
    let wanted = NewTopic::new(topic, 1, TopicReplication::Fixed(copies)).set("retention.ms", "-1");
    let options =
        AdminOptions::new().request_timeout(Some(ANSWER_WITHIN)).operation_timeout(Some(ANSWER_WITHIN));
    for made in block_on(admin.create_topics([&wanted], &options))? {
        match made {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, why)) => return Err(PublishError::Topic { topic, why }),
        }
    }
    let mut config = settings.client();
    config.set("enable.idempotence", "true").set("message.timeout.ms", "15000");
    let (context, taken) = Confirmed::new();
    let producer: BaseProducer<Confirmed> = config.create_with_context(context)?;
    producer.send(BaseRecord::to(topic).key(key).payload(value)).map_err(|(error, _)| error)?;
    producer.flush(ANSWER_WITHIN)?;
    producer.poll(Duration::ZERO);
    if taken.load(std::sync::atomic::Ordering::Acquire) { Ok(()) } else { Err(PublishError::NotTaken) }
}

/// Remembers that the record was confirmed.
struct Confirmed(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Confirmed {
    fn new() -> (Self, std::sync::Arc<std::sync::atomic::AtomicBool>) {
        let taken = std::sync::Arc::default();
        (Self(std::sync::Arc::clone(&taken)), taken)
    }
}

impl rdkafka::ClientContext for Confirmed {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl rdkafka::producer::ProducerContext for Confirmed {
    type DeliveryOpaque = ();

    fn delivery(&self, delivery: &rdkafka::message::DeliveryResult<'_>, (): ()) {
        if delivery.is_ok() {
            self.0.store(true, std::sync::atomic::Ordering::Release);
        }
    }
}
