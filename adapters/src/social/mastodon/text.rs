//! What a post on Mastodon can hold.

use std::sync::LazyLock;

use annals_commands::ports::social::{ContentProblem, OutgoingPart};
use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

use crate::social::links::web_links;

/// Mastodon's own default; a server may take more, and few take less.
pub(super) const CHARS_MAX: usize = 500;
/// Every address counts as so many characters.
const LINK_CHARS: usize = 23;
/// Ours: what can be written within the time of one call.
pub(super) const THREAD_PARTS_MAX: usize = 15;
const ATTACHMENTS_MAX: usize = 4;
const ALT_TEXT_CHARS_MAX: usize = 1_500;

/// A mention; of `@ada@example.org` only `@ada` counts.
static REMOTE_MENTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(^|[^/\w])(@[a-zA-Z0-9_]+)@[a-zA-Z0-9][a-zA-Z0-9.-]*[a-zA-Z0-9]").expect("a valid pattern")
});

pub(super) fn check(parts: &[OutgoingPart]) -> Vec<ContentProblem> {
    let mut problems = Vec::new();
    let mut problem = |part, message| problems.push(ContentProblem { part, message });
    if parts.is_empty() {
        problem(0, "must not be empty".to_string());
    }
    if parts.len() > THREAD_PARTS_MAX {
        let count = parts.len();
        problem(THREAD_PARTS_MAX, format!("has {count} parts, a Mastodon thread takes {THREAD_PARTS_MAX}"));
    }
    for (part, OutgoingPart { text, attachments }) in parts.iter().enumerate() {
        let chars = counted(text);
        if text.trim().is_empty() && attachments.is_empty() {
            problem(part, "must not be empty".to_string());
        } else if chars > CHARS_MAX {
            problem(part, format!("has {chars} characters, Mastodon takes {CHARS_MAX}"));
        }
        if attachments.len() > ATTACHMENTS_MAX {
            let count = attachments.len();
            problem(part, format!("has {count} attachments, Mastodon takes {ATTACHMENTS_MAX}"));
        }
        for attachment in attachments {
            let kind = attachment.media_type.split('/').next().unwrap_or_default();
            if !matches!(kind, "image" | "video" | "audio") {
                problem(part, format!("has a file of type {}, Mastodon takes none", attachment.media_type));
            }
            if attachment.alt_text.as_ref().is_some_and(|text| text.chars().count() > ALT_TEXT_CHARS_MAX) {
                problem(part, format!("has an alt text of more than {ALT_TEXT_CHARS_MAX} characters"));
            }
        }
    }
    problems
}

/// Characters as Mastodon counts them.
fn counted(text: &str) -> usize {
    let links = web_links(text);
    let mut rest = String::with_capacity(text.len());
    let mut end = 0;
    for link in &links {
        rest.push_str(&text[end..link.start]);
        end = link.end;
    }
    rest.push_str(&text[end..]);
    REMOTE_MENTION.replace_all(&rest, "$1$2").graphemes(true).count() + links.len() * LINK_CHARS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(parts: &[&str]) -> Vec<(usize, String)> {
        let parts: Vec<_> = parts.iter().map(|part| OutgoingPart::from(*part)).collect();
        check(&parts).into_iter().map(|problem| (problem.part, problem.message)).collect()
    }

    #[test]
    fn addresses_count_23_and_mentions_without_their_server() {
        assert_eq!(counted("https://example.org/a/very/long/path/that/goes/on/and/on"), 23);
        assert_eq!(counted("see https://a.example and https://b.example/x"), 4 + 23 + 5 + 23);
        assert_eq!(counted("hi @ada@example.org!"), "hi @ada!".len());
        assert_eq!(counted("e\u{301}👨‍👩‍👧‍👦"), 2);
    }

    #[test]
    fn five_hundred_and_no_more() {
        assert_eq!(messages(&[&"ä".repeat(500)]), []);
        assert_eq!(
            messages(&["ok", &"ä".repeat(501)]),
            [(1, "has 501 characters, Mastodon takes 500".to_string())]
        );
        assert_eq!(messages(&[]), [(0, "must not be empty".to_string())]);
        assert_eq!(messages(&["a", " \n"]), [(1, "must not be empty".to_string())]);
        assert_eq!(messages(&["x"; 16])[0].0, 15);
    }
}
