//! The key of a post's record: a timestamp identifier (TID, atproto.com/specs/tid) that any attempt to
//! publish the same thing arrives at.

use annals_commands::ports::social::PublishHandle;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::text::THREAD_PARTS_MAX;

const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
const MICROS_PER_SECOND: u64 = 1_000_000;
/// A TID has 53 bits of microseconds and 10 of a clock id; the topmost of its 64 bits is 0.
const MICROS_MAX: u64 = (1 << 53) - 1;
const CLOCK_ID_BITS: u32 = 10;

/// The key of one part. Within the second of `at`, where posts are planned to the minute, both the
/// microseconds and the clock id come from a hash over the handle: two posts of one second meet at odds of
/// one to 10⁹. Parts of one thread are in order.
pub(super) fn tid(handle: PublishHandle, at: DateTime<Utc>, part: usize) -> String {
    let hash = Sha256::new()
        .chain_update(b"annals bluesky tid 1")
        .chain_update(handle.post.uuid().as_bytes())
        .chain_update(handle.channel.uuid().as_bytes())
        .chain_update(handle.occurrence.to_be_bytes());
    let part_hash = hash.clone().chain_update((part as u64).to_be_bytes()).finalize();
    let spread = u64::from_be_bytes(hash.finalize()[..8].try_into().expect("8 bytes of 32"));
    let clock_id = u64::from(u16::from_be_bytes([part_hash[0], part_hash[1]])) & ((1 << CLOCK_ID_BITS) - 1);

    let second = u64::try_from(at.timestamp()).unwrap_or(0);
    let within = spread % (MICROS_PER_SECOND - THREAD_PARTS_MAX as u64) + part as u64;
    let micros = second.saturating_mul(MICROS_PER_SECOND).saturating_add(within).min(MICROS_MAX);
    encode(micros << CLOCK_ID_BITS | clock_id)
}

fn encode(value: u64) -> String {
    (0..13).rev().map(|digit| char::from(ALPHABET[(value >> (5 * digit)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use annals_domain::kernel::{IntegrationId, PostId};
    use uuid::Uuid;

    use super::*;

    fn handle(post: u128, channel: u128, occurrence: u32) -> PublishHandle {
        let (post, channel) = (Uuid::from_u128(post), Uuid::from_u128(channel));
        PublishHandle { post: PostId::new(post), channel: IntegrationId::new(channel), occurrence }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn encodes_as_the_specification_does() {
        assert_eq!(encode(0), "2222222222222");
        // From `@atproto/common-web`: TID.fromTime(1_700_000_000_000_000, 7).
        assert_eq!(encode(1_700_000_000_000_000 << 10 | 7), "3ke6kg3wk222b");
        assert_eq!(encode(u64::MAX >> 1), "bzzzzzzzzzzzz");
    }

    #[test]
    fn the_same_in_every_attempt_and_build() {
        let when = at("2026-03-02T09:00:00Z");
        assert_eq!(tid(handle(1, 2, 0), when, 0), "3mg2vbx6qnqd3");
        assert_eq!(tid(handle(1, 2, 0), when, 0), tid(handle(1, 2, 0), when, 0));
    }

    #[test]
    fn differs_by_post_channel_occurrence_and_part() {
        let when = at("2026-03-02T09:00:00Z");
        let mut seen = HashSet::new();
        for post in 0..200 {
            for channel in 0..5 {
                for occurrence in 0..3 {
                    for part in [0, 1, 24] {
                        assert!(seen.insert(tid(handle(post, channel, occurrence), when, part)));
                    }
                }
            }
        }
        assert_eq!(seen.len(), 9000);
    }

    #[test]
    fn is_a_valid_tid_and_sorts_by_time_and_part() {
        let times =
            ["1969-01-01T00:00:00Z", "2026-03-02T09:00:00Z", "2026-03-02T09:00:01Z", "9999-12-31T23:59:59Z"];
        let mut all = Vec::new();
        for when in times {
            all.extend((0..THREAD_PARTS_MAX).map(|part| tid(handle(7, 8, 0), at(when), part)));
        }
        for tid in &all {
            assert_eq!(tid.len(), 13);
            assert!(b"234567abcdefghij".contains(&tid.as_bytes()[0]), "{tid}");
            assert!(tid.bytes().all(|byte| ALPHABET.contains(&byte)), "{tid}");
        }
        let within_range = &all[..THREAD_PARTS_MAX * 3];
        assert!(within_range.is_sorted() && within_range.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
