//! What a message on Slack can hold, and how it is written.

use annals_commands::ports::social::{ContentProblem, OutgoingPart};

/// What Slack recommends; it cuts off what is much longer, and says nothing.
pub(super) const CHARS_MAX: usize = 4_000;
/// Ours: what can be written within the time of one call.
pub(super) const THREAD_PARTS_MAX: usize = 15;

pub(super) fn check(parts: &[OutgoingPart]) -> Vec<ContentProblem> {
    let mut problems = Vec::new();
    let mut problem = |part, message| problems.push(ContentProblem { part, message });
    if parts.is_empty() {
        problem(0, "must not be empty".to_string());
    }
    if parts.len() > THREAD_PARTS_MAX {
        let count = parts.len();
        problem(THREAD_PARTS_MAX, format!("has {count} parts, Slack takes {THREAD_PARTS_MAX}"));
    }
    for (part, OutgoingPart { text, attachments, .. }) in parts.iter().enumerate() {
        if !attachments.is_empty() {
            problem(part, "has attachments, which are not taken to Slack".to_string());
        }
        let chars = text.chars().count();
        if text.trim().is_empty() {
            problem(part, "must not be empty".to_string());
        } else if chars > CHARS_MAX {
            problem(part, format!("has {chars} characters, Slack takes {CHARS_MAX}"));
        }
    }
    problems
}

/// The three characters that mean something to Slack in any text: no mention, link or command comes of what
/// somebody wrote. `*bold*` and the like stay what they are.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_written_is_a_command() {
        assert_eq!(
            escaped("<!channel> a & b <@U1> &lt; *bold*"),
            "&lt;!channel&gt; a &amp; b &lt;@U1&gt; &amp;lt; *bold*"
        );
    }

    #[test]
    fn four_thousand_characters_and_no_more() {
        let messages = |texts: &[&str]| {
            let parts: Vec<_> = texts.iter().map(|text| OutgoingPart::from(*text)).collect();
            let found = check(&parts);
            found.into_iter().map(|problem| (problem.part, problem.message)).collect::<Vec<_>>()
        };
        assert_eq!(messages(&[&"<".repeat(4_000)]), []);
        let long = messages(&["ok", &"ä".repeat(4_001)]);
        assert_eq!(long, [(1, "has 4001 characters, Slack takes 4000".to_string())]);
        assert_eq!(messages(&[]), [(0, "must not be empty".to_string())]);
        assert_eq!(messages(&[" \n"]), [(0, "must not be empty".to_string())]);
        assert_eq!(messages(&["x"; 16])[0].0, 15);
    }
}
