//! What a post on Mastodon can hold.

use std::sync::LazyLock;

use annals_commands::ports::social::{ContentProblem, OutgoingPart};
use annals_domain::publishing::integration::ServerLimits;
use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

use crate::social::links::web_links;

/// Mastodon's own default; a server that takes more or less says so.
pub(super) const CHARS_MAX: usize = 500;
/// Every address counts as so many characters, by default.
const LINK_CHARS: usize = 23;
/// Ours: what can be written within the time of one call.
pub(super) const THREAD_PARTS_MAX: usize = 15;

/// A mention; of `@ada@example.org` only `@ada` counts.
static REMOTE_MENTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(^|[^/\w])(@[a-zA-Z0-9_]+)@[a-zA-Z0-9][a-zA-Z0-9.-]*[a-zA-Z0-9]").expect("a valid pattern")
});

/// How a server counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    chars_max: usize,
    link_chars: usize,
}

impl Default for Counting {
    fn default() -> Self {
        Self { chars_max: CHARS_MAX, link_chars: LINK_CHARS }
    }
}

impl Counting {
    /// As a server says of itself.
    pub(super) fn of(own: Option<&ServerLimits>) -> Self {
        let count = |own: Option<u32>, default| own.map_or(default, |own| own as usize);
        Self {
            chars_max: count(own.and_then(|own| own.text_chars_max), CHARS_MAX),
            link_chars: count(own.and_then(|own| own.link_chars), LINK_CHARS),
        }
    }

    /// For what was checked when it was scheduled: how many characters are too many, the server says.
    pub(super) fn any() -> Self {
        Self { chars_max: usize::MAX, ..Self::default() }
    }
}

pub(super) fn check(parts: &[OutgoingPart], counting: Counting) -> Vec<ContentProblem> {
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
        let chars = counted(text, counting.link_chars);
        if text.trim().is_empty() && attachments.is_empty() {
            problem(part, "must not be empty".to_string());
        } else if chars > counting.chars_max {
            problem(part, format!("has {chars} characters, Mastodon takes {}", counting.chars_max));
        }
    }
    problems
}

/// Characters as Mastodon counts them.
fn counted(text: &str, link_chars: usize) -> usize {
    let links = web_links(text);
    let mut rest = String::with_capacity(text.len());
    let mut end = 0;
    for link in &links {
        rest.push_str(&text[end..link.start]);
        end = link.end;
    }
    rest.push_str(&text[end..]);
    REMOTE_MENTION.replace_all(&rest, "$1$2").graphemes(true).count() + links.len() * link_chars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(parts: &[&str]) -> Vec<(usize, String)> {
        let parts: Vec<_> = parts.iter().map(|part| OutgoingPart::from(*part)).collect();
        check(&parts, Counting::default())
            .into_iter()
            .map(|problem| (problem.part, problem.message))
            .collect()
    }

    #[test]
    fn addresses_count_23_and_mentions_without_their_server() {
        assert_eq!(counted("https://example.org/a/very/long/path/that/goes/on/and/on", LINK_CHARS), 23);
        assert_eq!(counted("see https://a.example and https://b.example/x", LINK_CHARS), 4 + 23 + 5 + 23);
        assert_eq!(counted("hi @ada@example.org!", LINK_CHARS), "hi @ada!".len());
        assert_eq!(counted("e\u{301}👨‍👩‍👧‍👦", LINK_CHARS), 2);
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
