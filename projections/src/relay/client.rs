//! How clients speak up: what librdkafka says of its own goes to the log in detail only, as every
//! call's failure is told where it is handled.

use rdkafka::{
    ClientContext, Message, config::RDKafkaLogLevel, error::KafkaError, message::DeliveryResult,
    producer::ProducerContext,
};

pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    /// A record that could not be delivered voids its transaction, which says so when it is committed.
    fn delivery(&self, delivery: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = delivery {
            tracing::debug!(kafka.topic = record.topic(), %error, "a record was not delivered");
        }
    }
}
