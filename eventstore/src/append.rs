//! What is asked of the log in one append, and what it answers.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{Metadata, StoreError, StreamId};

/// All or nothing: events on one or more streams, with what must hold for them.
#[derive(Clone, Debug)]
pub struct Append {
    pub streams: Vec<StreamAppend>,
    pub asserts: Vec<Assert>,
    pub claims: Vec<Claim>,
    /// Subjects and owners (`user:…`, `integration:…`) whose keys are destroyed with this append.
    pub forget: Vec<String>,
    pub metadata: Metadata,
    pub idempotency: Option<Idempotency>,
}

impl Append {
    pub fn new(metadata: Metadata) -> Self {
        Self {
            streams: Vec::new(),
            asserts: Vec::new(),
            claims: Vec::new(),
            forget: Vec::new(),
            metadata,
            idempotency: None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct StreamAppend {
    pub stream: StreamId,
    pub expected: Expected,
    pub events: Vec<NewEvent>,
}

/// The version a stream must have; a stream's version is the number of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Exact(u64),
    /// Whatever it is: for facts that stand in any order, such as the outcomes of several channels.
    Any,
}

/// An event to append. `payload` may hold `$personal` and `$secret` values; they are sealed on the way.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// A UUIDv7 keeps the index on it compact.
    pub event_id: Uuid,
    pub event_type: String,
    pub event_version: String,
    pub payload: String,
}

impl NewEvent {
    /// A domain event as it will be stored, under `event_id`.
    ///
    /// # Errors
    /// If the event does not serialize.
    pub fn of<E: cqrs_es::DomainEvent>(event_id: Uuid, event: &E) -> Result<Self, serde_json::Error> {
        Ok(Self {
            event_id,
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload: serde_json::to_string(event)?,
        })
    }
}

/// Something that must still hold when the append commits, checked under the head's lock.
#[derive(Clone, Debug)]
pub enum Assert {
    StreamVersion {
        stream: StreamId,
        version: u64,
    },
    /// `holder: None` asserts that nobody holds it.
    ClaimHolder {
        key: ClaimKey,
        holder: Option<String>,
    },
}

/// A unique key, such as `identity.email` + a keyed hash of the address.
///
/// Made by [`crate::EventStore::claim_key`] (for personal values, hashed) or [`ClaimKey::plain`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimKey {
    pub(crate) namespace: String,
    pub(crate) key: String,
}

impl ClaimKey {
    /// A key that is stored as it is: never a personal value.
    pub fn plain(namespace: &str, key: impl ToString) -> Self {
        Self { namespace: namespace.to_string(), key: key.to_string() }
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// Taking or releasing a unique key with an append.
#[derive(Clone, Debug)]
pub enum Claim {
    /// Refused if another holds it; taking what one holds already is fine.
    Take { key: ClaimKey, holder: String },
    /// Refused if another holds it; releasing what nobody holds is fine.
    Release { key: ClaimKey, holder: String },
}

/// Where an idempotency key counts: `scope` is actor and organization, or the route for anonymous calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyRef {
    pub scope: String,
    pub key: String,
    /// [`crate::EventStore::digest`] of the request: an HMAC, never a plain hash.
    pub request_digest: [u8; 32],
}

/// Makes an append happen once, whoever retries it and whenever.
#[derive(Clone, Debug)]
pub struct Idempotency {
    pub reference: IdempotencyRef,
    /// Ids the command made, for its answer to a retry. No personal data.
    pub result: serde_json::Value,
    /// An answer that shows a secret once: kept sealed for 10 minutes.
    pub shown_once: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamVersion {
    pub stream: String,
    pub version: u64,
}

/// What an append answers, also to a retry under the same idempotency key.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// The position of the append's last event; if it had none, the head at that moment.
    pub position: u64,
    pub recorded_at: DateTime<Utc>,
    /// The streams of the append with their versions after it, in the order given. Empty when replayed.
    pub versions: Vec<(StreamId, u64)>,
    /// [`Idempotency::result`] of the first call.
    pub result: serde_json::Value,
    /// [`Idempotency::shown_once`] of the first call, if it is not older than 10 minutes.
    pub shown_once: Option<Vec<u8>>,
    /// True if the first call showed a secret that can't be shown any more.
    pub shown_once_expired: bool,
    /// Whether this is the answer to an earlier call under the same key.
    pub replayed: bool,
}

/// Why nothing of an append was written. Each hurts only its own append.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("{stream} is at version {actual}, not {expected}")]
    VersionConflict { stream: StreamId, expected: u64, actual: u64 },
    #[error("the key in {} is taken", key.namespace)]
    ClaimTaken { key: ClaimKey, holder: String },
    #[error("an assertion about {what} does not hold")]
    AssertFailed { what: String },
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("the event id {event_id} is in the log already")]
    DuplicateEvent { event_id: Uuid },
    #[error("an event of {bytes} bytes is over the limit of {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the append is not well-formed: {why}")]
    Malformed { why: String },
    #[error("the values of {subject} can't be sealed: its key was destroyed")]
    Forgotten { subject: String },
    /// The commit's answer was lost and it is not in the log: it did not happen.
    #[error("the log could not be reached")]
    Unavailable(#[source] StoreError),
}

impl AppendError {
    /// A short name for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::VersionConflict { .. } => "version_conflict",
            Self::ClaimTaken { .. } => "claim_taken",
            Self::AssertFailed { .. } => "assert_failed",
            Self::KeyReused => "key_reused",
            Self::DuplicateEvent { .. } => "duplicate_event",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
            Self::Forgotten { .. } => "forgotten",
            Self::Unavailable(_) => "unavailable",
        }
    }
}
