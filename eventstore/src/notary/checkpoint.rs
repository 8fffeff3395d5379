//! Checkpoints: the size and root of the tree, signed (C2SP tlog-checkpoint in a signed note).

use chrono::{DateTime, Utc};
use tlog_tiles::Hash;

use super::{
    NotaryError,
    key::{NotaryKey, NoteError, open_note},
};

/// A checkpoint as it was stored: a promise about the first `size` events.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// In the order of signing; what a list is paged by.
    pub number: u64,
    pub size: u64,
    pub root: Hash,
    /// The signed note, ready to be given away.
    pub note: String,
    pub verifier_key: String,
    pub signed_at: DateTime<Utc>,
}

/// What a checkpoint's text says.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeHead {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// The signed note of a tree.
pub(super) fn sign(key: &NotaryKey, size: u64, root: Hash) -> Result<String, NotaryError> {
    let text = tlog_tiles::Checkpoint::new(key.origin(), size, root, "")
        .map_err(|error| NotaryError::Damaged { why: error.to_string() })?;
    key.sign(&String::from_utf8_lossy(&text.to_bytes()))
}

/// What a signed checkpoint says, if its signature holds under the key and it is of the key's log.
///
/// # Errors
/// [`NoteError`] otherwise.
pub fn open_checkpoint(note: &str, verifier_key: &str) -> Result<TreeHead, NoteError> {
    let text = open_note(note, verifier_key)?;
    let checkpoint =
        tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).map_err(|_| NoteError::Checkpoint)?;
    let wanted = verifier_key.trim().split('+').next().unwrap_or_default();
    if checkpoint.origin() != wanted {
        return Err(NoteError::Origin { found: checkpoint.origin().to_string(), wanted: wanted.to_string() });
    }
    Ok(TreeHead {
        origin: checkpoint.origin().to_string(),
        size: checkpoint.size(),
        root: *checkpoint.hash(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(origin: Option<&str>) -> NotaryKey {
        NotaryKey::new(&[7; 32], origin).expect("a key")
    }

    #[test]
    fn a_checkpoint_is_three_lines_and_a_signature_that_only_its_key_made() {
        let root = tlog_tiles::record_hash(b"leaf");
        let note = sign(&key(Some("annals.example.org/log")), 1, root).expect("signs");
        let lines: Vec<&str> = note.lines().collect();
        assert_eq!(lines[..2], ["annals.example.org/log", "1"]);
        assert_eq!(lines[2], root.to_string());
        assert_eq!(lines[3], "");
        assert!(lines[4].starts_with("— annals.example.org/log "), "{note}");
        assert_eq!(lines.len(), 5);
        let verifier = key(Some("annals.example.org/log"));
        let head = open_checkpoint(&note, verifier.verifier_key()).expect("holds");
        assert_eq!((head.size, head.root), (1, root));
        let other = NotaryKey::new(&[8; 32], Some("annals.example.org/log")).expect("a key");
        let refused = open_checkpoint(&note, other.verifier_key());
        assert!(matches!(refused, Err(NoteError::Signature(_))), "{refused:?}");
        let changed = note.replacen("\n1\n", "\n2\n", 1);
        assert!(matches!(open_checkpoint(&changed, verifier.verifier_key()), Err(NoteError::Signature(_))));
    }

    #[test]
    fn a_key_without_a_name_gets_one_that_stays() {
        assert_eq!(key(None).origin(), key(None).origin());
        assert!(key(None).origin().starts_with("annals/"), "{}", key(None).origin());
        for wrong in ["", "a b", "a+b", "a\nb", &"x".repeat(201)] {
            assert!(NotaryKey::new(&[7; 32], Some(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_signed_text_that_is_no_checkpoint_is_not_taken_for_one() {
        let key = key(Some("annals.example.org/log"));
        let note = key.sign("annals-bundle-v1\n*\n3\n").expect("signs");
        assert_eq!(open_checkpoint(&note, key.verifier_key()), Err(NoteError::Checkpoint));
        let of_another = sign(&NotaryKey::new(&[7; 32], Some("other")).expect("a key"), 1, Hash([0; 32]));
        assert!(open_checkpoint(&of_another.expect("signs"), key.verifier_key()).is_err());
    }
}
