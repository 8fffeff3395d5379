//! Whether two posts say the same, in a number: what is compared is found by an index and not by reading texts.

use annals_domain::publishing::post::Part;
use sha2::{Digest, Sha256};

/// The same for texts that differ in case and spaces only; all parts of a thread count. Two that say different
/// things share one by chance alone, which costs a needless warning.
pub fn likeness(parts: &[Part]) -> i64 {
    let mut digest = Sha256::new();
    for part in parts {
        for word in part.text.as_str().split_whitespace() {
            digest.update(word.to_lowercase().as_bytes());
            digest.update(b" ");
        }
        digest.update(b"\n");
    }
    let digest = digest.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use annals_domain::publishing::post::PartDraft;

    use super::*;

    fn of(texts: &[&str]) -> i64 {
        let parts: Vec<Part> =
            texts.iter().map(|text| PartDraft::from(*text).parse().expect("is a text")).collect();
        likeness(&parts)
    }

    #[test]
    fn case_and_spaces_do_not_tell_texts_apart_and_all_else_does() {
        assert_eq!(of(&["Hello,  Wörld"]), of(&["hello,\nWÖRLD "]));
        assert_ne!(of(&["Hello, world"]), of(&["Hello world"]));
        assert_ne!(of(&["a", "b"]), of(&["a b"]), "a thread is not its parts in one");
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
    }
}
