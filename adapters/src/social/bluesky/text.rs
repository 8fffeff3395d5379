//! What a Bluesky post can hold.

use annals_commands::ports::social::{ContentProblem, OutgoingPart};
use unicode_segmentation::UnicodeSegmentation;

/// As the lexicon `app.bsky.feed.post` says.
pub(super) const GRAPHEMES_MAX: usize = 300;
const BYTES_MAX: usize = 3000;
/// Ours: what can be written within the time of one call.
pub(super) const THREAD_PARTS_MAX: usize = 25;

pub(super) fn check(parts: &[OutgoingPart]) -> Vec<ContentProblem> {
    let mut problems = Vec::new();
    let mut problem = |part, message| problems.push(ContentProblem { part, message });
    if parts.is_empty() {
        problem(0, "must not be empty".to_string());
    }
    if parts.len() > THREAD_PARTS_MAX {
        let count = parts.len();
        problem(THREAD_PARTS_MAX, format!("has {count} parts, a Bluesky thread takes {THREAD_PARTS_MAX}"));
    }
    for (part, OutgoingPart { text, attachments }) in parts.iter().enumerate() {
        let graphemes = text.graphemes(true).count();
        if text.trim().is_empty() && attachments.is_empty() {
            problem(part, "must not be empty".to_string());
        } else if graphemes > GRAPHEMES_MAX {
            problem(part, format!("has {graphemes} characters, Bluesky takes {GRAPHEMES_MAX}"));
        } else if text.len() > BYTES_MAX {
            problem(part, format!("has {} bytes, Bluesky takes {BYTES_MAX}", text.len()));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One character to a reader: 25 bytes of UTF-8.
    const FAMILY: &str = "👨‍👩‍👧‍👦";

    fn messages(parts: &[&str]) -> Vec<(usize, String)> {
        let parts: Vec<_> = parts.iter().map(|part| OutgoingPart::from(*part)).collect();
        check(&parts).into_iter().map(|problem| (problem.part, problem.message)).collect()
    }

    #[test]
    fn graphemes_count_not_code_points() {
        assert_eq!(messages(&[&"e\u{301}".repeat(300)]), []);
        assert_eq!(messages(&[&FAMILY.repeat(120)]), []);
        assert_eq!(
            messages(&["ok", &"ä".repeat(301)]),
            [(1, "has 301 characters, Bluesky takes 300".to_string())]
        );
    }

    #[test]
    fn bytes_count_too() {
        assert_eq!(messages(&[&FAMILY.repeat(121)]), [(0, "has 3025 bytes, Bluesky takes 3000".to_string())]);
    }

    #[test]
    fn nothing_is_not_a_post() {
        assert_eq!(messages(&[]), [(0, "must not be empty".to_string())]);
        assert_eq!(messages(&["a", " \n"]), [(1, "must not be empty".to_string())]);
        assert_eq!(messages(&["x"; 26])[0].0, 25);
        assert_eq!(messages(&["x"; 25]), []);
    }
}
