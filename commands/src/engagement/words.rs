//! What a notification says, in the app and in mail.

use annals_domain::{engagement::NotificationKind as Kind, kernel::Role};

/// How much of a post is shown.
const EXCERPT_CHARS: usize = 140;

/// What is known of what a notification is about when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The channel's name; none if it was removed.
    pub channel: Option<String>,
    /// What the post says.
    pub content: Option<String>,
    /// The member's name; none if they were forgotten.
    pub member: Option<String>,
    pub role: Option<Role>,
    pub reason: Option<String>,
}

/// A title, and a text with whole sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub title: String,
    pub text: String,
}

impl Words {
    /// What a kind is about, for who chooses what they want to be told.
    pub fn about(kind: Kind) -> &'static str {
        match kind {
            Kind::PostFailed => "A post is not published",
            Kind::ThreadFailed => "A part of a thread is not published",
            Kind::OutcomeUnknown => "Whether a post is published is not known",
            Kind::PostHeld => "A post waits because its channel lost access",
            Kind::PostOverdue => "A post is overdue",
            Kind::PostPublished => "A post is published",
            Kind::ChannelLostAccess => "A channel has to be connected again",
            Kind::MemberJoined => "Somebody joined",
            Kind::RoleChanged => "Your role was changed",
            Kind::MediaFailed => "A file could not be prepared",
            Kind::SeriesEnded => "A recurring post has ended",
        }
    }

    pub fn of(kind: Kind, facts: &Facts) -> Self {
        let channel = facts.channel.as_deref().unwrap_or("a channel that was removed");
        let post = match facts.content.as_deref().map(excerpt).filter(|text| !text.is_empty()) {
            Some(text) => format!("“{text}”"),
            None => "a post".to_string(),
        };
        let why = facts.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let role = facts.role.map_or("member", Role::as_str);
        let (title, text) = match kind {
            Kind::PostFailed => {
                (format!("Not published on {channel}"), format!("{post} was not published{why}"))
            }
            Kind::ThreadFailed => (
                format!("A thread stops on {channel}"),
                format!("a part of {post} was not published{why}; what came before it stands"),
            ),
            Kind::OutcomeUnknown => (
                format!("It is not known whether a post is on {channel}"),
                format!("{post} may or may not be there{why}"),
            ),
            Kind::PostHeld => (format!("A post waits for {channel}"), format!("{post} is held{why}")),
            Kind::PostOverdue => (
                format!("A post is overdue on {channel}"),
                format!("{post} should have been published and was not{why}"),
            ),
            Kind::PostPublished => (format!("Published on {channel}"), format!("{post} is there")),
            Kind::ChannelLostAccess => (
                format!("{channel} has to be connected again"),
                format!("the platform no longer lets us in{why}; posts to it wait until then"),
            ),
            Kind::MemberJoined => {
                let who = facts.member.as_deref().unwrap_or("Somebody");
                (format!("{who} joined"), format!("the invitation was accepted, with the role {role}"))
            }
            Kind::RoleChanged => {
                (format!("Your role is {role} now"), "what you may do here has changed".to_string())
            }
            Kind::MediaFailed => (
                "A file could not be prepared".to_string(),
                format!("no smaller versions of it could be made{why}; it can be used as it is"),
            ),
            Kind::SeriesEnded => {
                ("A recurring post has ended".to_string(), format!("{post} does not recur any more{why}"))
            }
        };
        Self { title, text: sentence(&text) }
    }
}

/// The beginning of a text.
pub(super) fn excerpt(text: &str) -> String {
    let mut chars = text.chars();
    let beginning: String = chars.by_ref().take(EXCERPT_CHARS).collect();
    if chars.next().is_some() { format!("{}…", beginning.trim_end()) } else { beginning }
}

/// With a capital letter and a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let capital: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = chars.as_str().trim_end();
    let end = if rest.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{capital}{rest}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_ends_where_the_text_goes_on() {
        assert_eq!(excerpt("short"), "short");
        let long = excerpt(&"ä".repeat(EXCERPT_CHARS + 1));
        assert_eq!(long, format!("{}…", "ä".repeat(EXCERPT_CHARS)));
    }

    #[test]
    fn every_kind_says_what_it_is_about_with_and_without_names() {
        let facts = Facts {
            channel: Some("News".to_string()),
            content: Some("Hello, world".to_string()),
            member: Some("Bo".to_string()),
            role: Some(Role::Admin),
            reason: Some("it is too long".to_string()),
        };
        for kind in Kind::ALL {
            for facts in [&facts, &Facts::default()] {
                let Words { title, text } = Words::of(kind, facts);
                assert!(!title.is_empty() && !title.ends_with('.'), "{kind}: {title}");
                assert!(text.ends_with('.') && !text.ends_with(".."), "{kind}: {text}");
                let first = text.chars().next().expect("is not empty");
                assert!(!first.is_lowercase(), "{kind}: {text}");
            }
        }
        let words = Words::of(Kind::PostFailed, &facts);
        assert_eq!(words.title, "Not published on News");
        assert_eq!(words.text, "“Hello, world” was not published: it is too long.");
        let words = Words::of(Kind::MemberJoined, &Facts { role: Some(Role::User), ..Facts::default() });
        assert_eq!(words.title, "Somebody joined");
    }
}
