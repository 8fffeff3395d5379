//! What a message on Discord can hold.

use annals_commands::ports::social::{ContentProblem, OutgoingPart};

/// Without a subscription of the writer's.
pub(super) const CHARS_MAX: usize = 2_000;
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
        problem(THREAD_PARTS_MAX, format!("has {count} parts, Discord takes {THREAD_PARTS_MAX}"));
    }
    for (part, OutgoingPart { text, attachments, .. }) in parts.iter().enumerate() {
        if !attachments.is_empty() {
            problem(part, "has attachments, which are not taken to Discord yet".to_string());
        }
        let chars = text.chars().count();
        if text.trim().is_empty() && attachments.is_empty() {
            problem(part, "must not be empty".to_string());
        } else if chars > CHARS_MAX {
            problem(part, format!("has {chars} characters, Discord takes {CHARS_MAX}"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thousand_characters_and_no_more() {
        let messages = |texts: &[&str]| {
            let parts: Vec<_> = texts.iter().map(|text| OutgoingPart::from(*text)).collect();
            let found = check(&parts);
            found.into_iter().map(|problem| (problem.part, problem.message)).collect::<Vec<_>>()
        };
        assert_eq!(messages(&[&"ä".repeat(2_000)]), []);
        let long = messages(&["ok", &"ä".repeat(2_001)]);
        assert_eq!(long, [(1, "has 2001 characters, Discord takes 2000".to_string())]);
        assert_eq!(messages(&[]), [(0, "must not be empty".to_string())]);
        assert_eq!(messages(&[" \n"]), [(0, "must not be empty".to_string())]);
        assert_eq!(messages(&["x"; 16])[0].0, 15);
    }
}
