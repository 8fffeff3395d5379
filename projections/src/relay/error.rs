//! What can go wrong, by what is to be done about it.

use annals_eventstore::StoreError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Another relay with the same transactional id writes now; this one can't any more.
    #[error("another relay of this prefix has taken over: this one is fenced off and stands down")]
    Fenced,
    /// The transaction is void; after it is aborted the same producer goes on from the checkpoint.
    #[error("a transaction failed and is taken back: {0}")]
    Abortable(KafkaError),
    /// The producer can't be used any more, or the cluster does not answer.
    #[error("Kafka does not answer as it should: {0}")]
    Kafka(#[from] KafkaError),
    #[error("Kafka did not answer in time: {0}")]
    TimedOut(&'static str),
    #[error("the topic {topic} can't be made: {why}")]
    Topic { topic: String, why: RDKafkaErrorCode },
    #[error("the checkpoint in {topic} is not understood: {why}")]
    CheckpointDamaged { topic: String, why: serde_json::Error },
    #[error(
        "Kafka has events up to position {position}, the log ends at {head}: this log was restored from a backup \
         and what was lost stands in Kafka. Consumers have seen events that are no more. Relay into a new prefix \
         (kafka.topic_prefix), or delete the topics of {prefix:?} with its {prefix}.relay to send all again"
    )]
    Ahead { position: u64, head: u64, prefix: String },
    #[error(
        "at position {position} Kafka has another event than this log: the topics of {prefix:?} belong to another \
         installation, or this log was restored and went on. Relay into a new prefix (kafka.topic_prefix)"
    )]
    AnotherLog { position: u64, prefix: String },
    #[error("{0:?} is no prefix of topics: letters, digits, dots, underscores and hyphens, at most 150")]
    Prefix(String),
    #[error("{0:?} is the prefix of the live relay: a back-fill needs one of its own")]
    LivePrefix(String),
    #[error(
        "{prefix:?} was filled up to {position} from {from} on: leave --from out to go on, or choose another prefix"
    )]
    OtherRange { prefix: String, from: u64, position: u64 },
    #[error("the log could not be read")]
    Store(#[from] StoreError),
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    #[error("event {position} has metadata that is not understood: {why}")]
    Metadata { position: u64, why: serde_json::Error },
    #[error("stopped")]
    Stopped,
    #[error("the relay failed in itself: {0}")]
    Panicked(String),
}

impl RelayError {
    /// Whether trying again changes nothing until a person has acted.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Ahead { .. }
                | Self::AnotherLog { .. }
                | Self::CheckpointDamaged { .. }
                | Self::Prefix(_)
                | Self::LivePrefix(_)
                | Self::OtherRange { .. }
                | Self::Metadata { .. }
        )
    }
}

/// Whether a code means that another producer with the same transactional id was started.
pub(super) fn is_fencing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch
    )
}
