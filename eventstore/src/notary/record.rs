//! The canonical record: the bytes of an event that are hashed. Documented byte by byte in `docs/audit.md`;
//! it never changes, a new version would get another tag.

use sha2::{Digest, Sha256};
use tlog_tiles::Hash;

use crate::StoredEvent;

/// The record's first bytes: which form it has.
pub const RECORD_TAG: &[u8; 16] = b"annals-event-v1\n";

/// RFC 6962, 2.1: what a leaf's hash begins with.
const LEAF_PREFIX: [u8; 1] = [0x00];

/// The record's bytes, in order: the tag, then ten fields, each its length (u32, big-endian) and its bytes.
///
/// Numbers are 8 bytes, big-endian; texts are UTF-8 as stored; the time is in microseconds since
/// 1970-01-01T00:00:00Z, signed.
pub fn canonical_record(event: &StoredEvent) -> Vec<u8> {
    let mut record = Vec::with_capacity(256 + event.payload.len() + event.metadata.len());
    each_part(event, |part| record.extend_from_slice(part));
    record
}

/// The event's leaf in the tree: SHA-256 of 0x00 and its canonical record.
pub fn leaf_hash(event: &StoredEvent) -> Hash {
    let mut hasher = Sha256::new_with_prefix(LEAF_PREFIX);
    each_part(event, |part| hasher.update(part));
    Hash(hasher.finalize().into())
}

fn each_part(event: &StoredEvent, mut take: impl FnMut(&[u8])) {
    let recorded_at_us = event.recorded_at.timestamp_micros();
    let fields: [&[u8]; 10] = [
        &event.position.to_be_bytes(),
        event.event_id.as_bytes(),
        event.stream.aggregate_type.as_bytes(),
        event.stream.aggregate_id.as_bytes(),
        &event.sequence.to_be_bytes(),
        event.event_type.as_bytes(),
        event.event_version.as_bytes(),
        event.payload.as_bytes(),
        event.metadata.as_bytes(),
        &recorded_at_us.to_be_bytes(),
    ];
    take(RECORD_TAG);
    for field in fields {
        // No field has 4 GiB: events are bounded by the store, and Postgres keeps no value above 1 GiB.
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        take(&length.to_be_bytes());
        take(field);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::StreamId;

    fn event() -> StoredEvent {
        StoredEvent {
            position: 7,
            event_id: Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001),
            stream: StreamId::new("test.account", "a1"),
            sequence: 2,
            event_type: "test.account.deposited".to_string(),
            event_version: "1".to_string(),
            payload: r#"{"Deposited":{"amount":5}}"#.to_string(),
            metadata: "{}".to_string(),
            recorded_at: DateTime::from_timestamp_micros(1_763_672_400_123_456).expect("a time"),
        }
    }

    /// The bytes as docs/audit.md shows them: whoever changes them makes every proof worthless.
    #[test]
    fn the_record_of_an_event_never_changes() {
        let expected = concat!(
            "616e6e616c732d6576656e742d76310a",
            "00000008",
            "0000000000000007",
            "00000010",
            "01980000000070008000000000000001",
            "0000000c",
            "746573742e6163636f756e74",
            "00000002",
            "6131",
            "00000008",
            "0000000000000002",
            "00000016",
            "746573742e6163636f756e742e6465706f7369746564",
            "00000001",
            "31",
            "0000001a",
            "7b224465706f7369746564223a7b22616d6f756e74223a357d7d",
            "00000002",
            "7b7d",
            "00000008",
            "000644",
        );
        let record = hex::encode(canonical_record(&event()));
        assert!(record.starts_with(expected), "{record}");
        assert_eq!(record.len(), expected.len() + 10);
        assert_eq!(leaf_hash(&event()), tlog_tiles::record_hash(&canonical_record(&event())));
    }

    #[test]
    fn no_two_events_share_a_record_by_moving_bytes_between_fields() {
        let mut moved = event();
        moved.event_type.pop();
        moved.event_version.insert(0, 'd');
        assert_eq!(moved.event_type.len() + moved.event_version.len(), event().event_type.len() + 1);
        assert_ne!(leaf_hash(&moved), leaf_hash(&event()));
    }
}
