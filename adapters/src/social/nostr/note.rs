//! What a post becomes: notes that answer each other (NIP-10).

use std::{collections::BTreeSet, sync::LazyLock};

use annals_commands::ports::social::{ContentProblem, OutgoingPart, OutgoingPost, PublishHandle};
use regex::Regex;
use sha2::{Digest, Sha256};

use super::{
    event::{Draft, Event, TEXT_NOTE},
    key::Key,
};

/// Ours: Nostr has no limit, and most relays take more.
pub(super) const CHARS_MAX: usize = 5_000;
/// Ours: what can be written within the time of one call.
pub(super) const THREAD_PARTS_MAX: usize = 25;
const HASHTAGS_MAX: usize = 30;

static HASHTAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\s(])#([\p{L}\p{N}_]*\p{L}[\p{L}\p{N}_]*)").expect("a valid pattern")
});

pub(super) fn check(parts: &[OutgoingPart]) -> Vec<ContentProblem> {
    let mut problems = Vec::new();
    let mut problem = |part, message| problems.push(ContentProblem { part, message });
    if parts.is_empty() {
        problem(0, "must not be empty".to_string());
    }
    if parts.len() > THREAD_PARTS_MAX {
        let count = parts.len();
        problem(THREAD_PARTS_MAX, format!("has {count} parts, a thread on Nostr takes {THREAD_PARTS_MAX}"));
    }
    for (part, OutgoingPart { text, attachments, .. }) in parts.iter().enumerate() {
        if !attachments.is_empty() {
            problem(part, "has attachments, which are not taken to Nostr yet".to_string());
        }
        let chars = text.chars().count();
        if text.trim().is_empty() {
            problem(part, "must not be empty".to_string());
        } else if chars > CHARS_MAX {
            problem(part, format!("has {chars} characters, Nostr takes {CHARS_MAX}"));
        }
    }
    problems
}

/// The notes of the parts that do not stand yet, in order, each an answer to the one before. Whatever attempt
/// makes them, they are the same.
pub(super) fn notes(key: &Key, handle: PublishHandle, post: &OutgoingPost) -> Vec<Event> {
    let mut thread: Vec<String> = post.standing.iter().map(|part| part.remote_id.clone()).collect();
    let mut notes = Vec::with_capacity(post.parts.len().saturating_sub(thread.len()));
    for (index, part) in post.parts.iter().enumerate().skip(thread.len()) {
        let mut tags = answers(&thread, &key.public_key());
        tags.extend(hashtags(&part.text));
        tags.push(tag(&["annals", &mark(handle, index)]));
        let draft = Draft {
            // A second apart: readers sort by it.
            created_at: post.at.timestamp().saturating_add(index as i64),
            kind: TEXT_NOTE,
            tags,
            content: part.text.clone(),
        };
        let note = draft.signed(key);
        thread.push(note.id.clone());
        notes.push(note);
    }
    notes
}

/// What is answered: the note that the thread began with and the one before. No relay is named as where they
/// are, for the channel's relays may change and the id must not.
fn answers(thread: &[String], author: &str) -> Vec<Vec<String>> {
    let Some((root, later)) = thread.split_first() else { return Vec::new() };
    let mut tags = vec![tag(&["e", root, "", "root", author])];
    tags.extend(later.last().map(|parent| tag(&["e", parent, "", "reply", author])));
    tags.push(tag(&["p", author]));
    tags
}

/// `t` tags of the words that begin with `#`, in lower case (NIP-24).
fn hashtags(text: &str) -> Vec<Vec<String>> {
    let words: BTreeSet<String> =
        HASHTAG.captures_iter(text).map(|found| found[1].to_lowercase()).take(HASHTAGS_MAX).collect();
    words.iter().map(|word| tag(&["t", word])).collect()
}

fn tag(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

/// Tells two posts of the same second with the same text apart; means nothing to others.
fn mark(handle: PublishHandle, part: usize) -> String {
    let hash = Sha256::new()
        .chain_update(b"annals nostr note 1")
        .chain_update(handle.post.uuid().as_bytes())
        .chain_update(handle.channel.uuid().as_bytes())
        .chain_update(handle.occurrence.to_be_bytes())
        .chain_update((part as u64).to_be_bytes())
        .finalize();
    hex::encode(&hash[..8])
}

#[cfg(test)]
mod tests {
    use annals_commands::ports::social::Published;
    use annals_domain::kernel::{IntegrationId, PostId};
    use uuid::Uuid;

    use super::*;

    fn handle(post: u128) -> PublishHandle {
        let (post, channel) = (Uuid::from_u128(post), Uuid::from_u128(2));
        PublishHandle { post: PostId::new(post), channel: IntegrationId::new(channel), occurrence: 0 }
    }

    fn post(texts: &[&str]) -> OutgoingPost {
        OutgoingPost {
            parts: texts.iter().map(|text| OutgoingPart::from(*text)).collect(),
            standing: Vec::new(),
            at: "2026-03-02T09:00:00Z".parse().expect("a time"),
            settings: serde_json::Map::new(),
        }
    }

    fn key() -> Key {
        Key::parse(&format!("{:064x}", 3)).expect("a key")
    }

    #[test]
    fn a_thread_is_tagged_as_nip_10_says_whether_it_goes_out_at_once_or_part_by_part() {
        let key = key();
        let whole = notes(&key, handle(1), &post(&["one", "two", "three"]));
        let tags = |index: usize| {
            let of: Vec<_> = whole[index].tags.iter().filter(|tag| tag[0] != "annals").collect();
            of.into_iter().map(|tag| tag.join(" ")).collect::<Vec<_>>()
        };
        let (author, first, second) = (key.public_key(), &whole[0].id, &whole[1].id);
        assert_eq!(tags(0), Vec::<String>::new());
        assert_eq!(tags(1), [format!("e {first}  root {author}"), format!("p {author}")]);
        assert_eq!(
            tags(2),
            [
                format!("e {first}  root {author}"),
                format!("e {second}  reply {author}"),
                format!("p {author}")
            ]
        );
        let mut later = post(&["one", "two", "three"]);
        later.standing =
            whole[..2].iter().map(|note| Published { remote_id: note.id.clone(), url: None }).collect();
        assert_eq!(notes(&key, handle(1), &later), whole[2..]);
        assert_eq!(whole.iter().map(|note| note.created_at - 1_772_442_000).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn two_posts_with_one_text_at_one_time_are_two_notes_and_two_attempts_are_one() {
        let one = |post_id| notes(&key(), handle(post_id), &post(&["good morning"]))[0].id.clone();
        assert_eq!(one(1), one(1));
        assert_ne!(one(1), one(2));
    }

    #[test]
    fn hashtags_are_words_after_a_hash() {
        let words = |text| hashtags(text).into_iter().map(|tag| tag[1].clone()).collect::<Vec<_>>();
        assert_eq!(words("#Rust and (#Événement) #rust a#b #1 #2026go"), ["2026go", "rust", "événement"]);
    }

    #[test]
    fn five_thousand_characters_and_no_more() {
        let messages = |texts: &[&str]| {
            let found = check(&post(texts).parts);
            found.into_iter().map(|problem| (problem.part, problem.message)).collect::<Vec<_>>()
        };
        assert_eq!(messages(&[&"ä".repeat(5_000)]), []);
        let long = messages(&["ok", &"ä".repeat(5_001)]);
        assert_eq!(long, [(1, "has 5001 characters, Nostr takes 5000".to_string())]);
        assert_eq!(messages(&[]), [(0, "must not be empty".to_string())]);
        assert_eq!(messages(&[" \n"]), [(0, "must not be empty".to_string())]);
        assert_eq!(messages(&["x"; 26])[0].0, 25);
    }
}
