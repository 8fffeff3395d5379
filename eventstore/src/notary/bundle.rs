//! Bundles: events with their proofs in one file, to be verified with no database and no network.
//!
//! One JSON object a line (NDJSON): a header, earlier checkpoints, the events, an end. `docs/audit.md`
//! documents each.

mod export;
mod problem;
mod verify;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use tlog_tiles::Hash;
use uuid::Uuid;

use crate::{StoredEvent, StreamId};

pub use export::{Export, ExportOptions};
pub use problem::Problem;
pub use verify::{Report, Verdict, VerifyOptions, verify};

/// The header's `format`, and the first line of a manifest.
const FORMAT: &str = "annals-bundle-v1";

/// What a bundle has of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// All of it: the tree can be computed again.
    Log,
    /// One organization's events, each with its proof.
    Organization(Uuid),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::Organization(id) => write!(f, "organization {id}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Line {
    Header {
        format: String,
        scope: Scope,
        size: u64,
        verifier_key: String,
        /// The signed note that everything here is held to.
        checkpoint: String,
        exported_at: DateTime<Utc>,
    },
    /// An earlier one; the proof is that the header's tree begins with its tree.
    Checkpoint {
        note: String,
        verifier_key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<Vec<Base64Hash>>,
    },
    Event {
        /// The leaf's hash as it was noted.
        leaf: Base64Hash,
        /// Of an organization's event: that the leaf is in the tree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<Vec<Base64Hash>>,
        /// Of an organization's event: the position of the line before, 0 for the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<u64>,
        event: Row,
    },
    /// A leaf without an event: it was gone when the bundle was made.
    Missing { position: u64, leaf: Base64Hash },
    End {
        /// Lines of events, missing ones included.
        events: u64,
        digest: Base64Hash,
        /// Scope, size, count and digest as a note that the notary signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest: Option<String>,
    },
}

/// An event's row, its texts byte by byte as they are stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    position: u64,
    event_id: Uuid,
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    event_type: String,
    event_version: String,
    payload: String,
    metadata: String,
    #[serde(serialize_with = "with_microseconds")]
    recorded_at: DateTime<Utc>,
}

fn with_microseconds<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

impl From<StoredEvent> for Row {
    fn from(event: StoredEvent) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            aggregate_type: event.stream.aggregate_type.into_owned(),
            aggregate_id: event.stream.aggregate_id,
            sequence: event.sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload,
            metadata: event.metadata,
            recorded_at: event.recorded_at,
        }
    }
}

impl From<Row> for StoredEvent {
    fn from(row: Row) -> Self {
        Self {
            position: row.position,
            event_id: row.event_id,
            stream: StreamId::new(row.aggregate_type, row.aggregate_id),
            sequence: row.sequence,
            event_type: row.event_type,
            event_version: row.event_version,
            payload: row.payload,
            metadata: row.metadata,
            recorded_at: row.recorded_at,
        }
    }
}

/// A hash as standard base64, as in checkpoints.
#[derive(Clone, Copy, PartialEq)]
struct Base64Hash(Hash);

impl Serialize for Base64Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Base64Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Hash::deserialize(deserializer).map(Self)
    }
}

fn base64(hashes: &[Hash]) -> Vec<Base64Hash> {
    hashes.iter().copied().map(Base64Hash).collect()
}

fn plain(hashes: &[Base64Hash]) -> Vec<Hash> {
    hashes.iter().map(|hash| hash.0).collect()
}

/// What the end says of all lines of events: SHA-256 of each one's position (8 bytes, big-endian) and leaf.
#[derive(Default)]
struct Lines {
    count: u64,
    digest: Sha256,
}

impl Lines {
    fn add(&mut self, position: u64, leaf: Hash) {
        self.count += 1;
        self.digest.update(position.to_be_bytes());
        self.digest.update(leaf.0);
    }

    fn digest(&self) -> Hash {
        Hash(self.digest.clone().finalize().into())
    }

    /// The text that the notary signs: no checkpoint reads like it.
    fn manifest(&self, origin: &str, scope: Scope, size: u64) -> String {
        format!("{FORMAT}\n{origin}\n{scope}\n{size}\n{}\n{}\n", self.count, self.digest())
    }
}
