//! What happened, line by line.

use maud::{Markup, html};

use super::{frame::Frame, parts::empty};
use crate::publishing::activity::{ActivityView, ActorView};

pub(super) fn list(frame: &Frame, lines: &[ActivityView]) -> Markup {
    if lines.is_empty() {
        return empty("Nothing has happened yet", "What you and others do stands here, the newest first.");
    }
    html! {
        table {
            thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } } }
            tbody {
                @for line in lines {
                    tr {
                        td { (frame.time(line.at)) }
                        td { (actor(&line.actor)) }
                        td { (happened(line)) }
                    }
                }
            }
        }
    }
}

/// A person by name; what is no person by what it is.
pub(super) fn actor(actor: &ActorView) -> String {
    match (actor.kind.as_str(), &actor.name, &actor.id) {
        (_, Some(name), _) => name.clone(),
        ("user", None, _) => "someone who left".to_string(),
        ("process", _, Some(name)) => name.replace(['_', '.', '-'], " "),
        (kind, ..) => kind.replace('_', " "),
    }
}

/// `publishing.post.publish_attempted` as people say it: `Post publish attempted`.
pub(super) fn what(event_type: &str) -> String {
    let words = event_type.split_once('.').map_or(event_type, |(_, words)| words).replace(['.', '_'], " ");
    let mut letters = words.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    first + letters.as_str()
}

/// What happened; about what has a page of its own, as a link to it.
fn happened(line: &ActivityView) -> Markup {
    let words = what(&line.event_type);
    html! {
        @match line.subject.kind.as_str() {
            "publishing.post" => a href={ "/console/posts/" (line.subject.id) } { (words) },
            _ => (words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_read_as_words() {
        assert_eq!(what("publishing.post.publish_attempted"), "Post publish attempted");
        assert_eq!(what("identity.organization.member_joined"), "Organization member joined");
        assert_eq!(what("odd"), "Odd");
    }

    #[test]
    fn a_process_and_someone_forgotten_have_words() {
        let actor = |kind: &str, id: Option<&str>, name: Option<&str>| {
            super::actor(&ActorView { kind: kind.into(), id: id.map(Into::into), name: name.map(Into::into) })
        };
        assert_eq!(actor("user", Some("1"), Some("Ada")), "Ada");
        assert_eq!(actor("user", Some("1"), None), "someone who left");
        assert_eq!(actor("process", Some("publishing.publisher"), None), "publishing publisher");
        assert_eq!(actor("api_key", Some("1"), None), "api key");
    }
}
