//! Events (NIP-01): what relays keep.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::key::{Key, is_signed_by};

/// A profile.
pub(super) const METADATA: u16 = 0;
/// A short text note.
pub(super) const TEXT_NOTE: u16 = 1;
/// The answer to a relay's challenge (NIP-42).
pub(super) const CLIENT_AUTHENTICATION: u16 = 22_242;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) pubkey: String,
    /// Unix seconds.
    pub(super) created_at: i64,
    pub(super) kind: u16,
    pub(super) tags: Vec<Vec<String>>,
    pub(super) content: String,
    pub(super) sig: String,
}

/// What an event says, before it is anyone's.
pub(super) struct Draft {
    pub(super) created_at: i64,
    pub(super) kind: u16,
    pub(super) tags: Vec<Vec<String>>,
    pub(super) content: String,
}

impl Draft {
    pub(super) fn signed(self, key: &Key) -> Event {
        let Self { created_at, kind, tags, content } = self;
        let (id, sig) = (String::new(), String::new());
        let mut event = Event { id, pubkey: key.public_key(), created_at, kind, tags, content, sig };
        let id = event.hash();
        event.id = hex::encode(id);
        event.sig = key.sign(&id);
        event
    }
}

impl Event {
    /// Whether it is what its author signed: a relay is only its keeper.
    pub(super) fn is_genuine(&self) -> bool {
        self.id == hex::encode(self.hash()) && is_signed_by(&self.pubkey, &self.id, &self.sig)
    }

    /// NIP-01's serialization is JSON without white space, which is how it is written here anyway.
    fn hash(&self) -> [u8; 32] {
        let serialized =
            json!([0, self.pubkey, self.created_at, self.kind, self.tags, self.content]).to_string();
        Sha256::digest(serialized.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_hash_of_the_serialization_with_its_escapes() {
        let key = Key::parse(&format!("{:064x}", 3)).expect("a key");
        let draft = || Draft {
            created_at: 1_700_000_000,
            kind: TEXT_NOTE,
            tags: vec![vec!["t".to_string(), "nostr".to_string()]],
            content: "a \"quote\", a \\, a\nline, a\ttab, ä and 👋 </x>".to_string(),
        };
        let event = draft().signed(&key);
        // What `JSON.stringify` makes of it, hashed by sha256sum.
        let serialized = format!(
            "[0,\"{}\",1700000000,1,[[\"t\",\"nostr\"]],\"a \\\"quote\\\", a \\\\, a\\nline, a\\ttab, ä and 👋 </x>\"]",
            key.public_key()
        );
        assert_eq!(event.id, hex::encode(Sha256::digest(serialized)));
        assert!(event.is_genuine());
        assert_eq!(event, draft().signed(&key), "the same in every attempt");
        for altered in [
            Event { content: "another".to_string(), ..event.clone() },
            Event { created_at: 1, ..event.clone() },
            Event { sig: "00".repeat(64), ..event.clone() },
        ] {
            assert!(!altered.is_genuine(), "{altered:?}");
        }
    }
}
