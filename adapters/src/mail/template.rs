//! What a mail looks like: the templates of `templates/mail`, and its subject.

use annals_commands::ports::mail::Letter;
use askama::Template;
use url::Url;

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'l> {
    subject: &'l str,
    letter: &'l Letter,
    /// Where the person gets no more of its kind.
    unsubscribe: Option<&'l Url>,
}

/// Plain text has nothing to escape.
#[derive(Template)]
#[template(path = "mail/letter.txt", escape = "none")]
struct Text<'l> {
    letter: &'l Letter,
    unsubscribe: Option<&'l Url>,
}

/// A mail, ready to be packed.
pub(super) struct Rendered {
    pub(super) subject: String,
    pub(super) html: String,
    pub(super) text: String,
}

pub(super) fn render(letter: &Letter, unsubscribe: Option<&Url>) -> Result<Rendered, askama::Error> {
    let subject = subject(letter);
    let html = Html { subject: &subject, letter, unsubscribe }.render()?;
    let text = Text { letter, unsubscribe }.render()?;
    Ok(Rendered { subject, html, text: text.trim_end().to_string() + "\n" })
}

fn subject(letter: &Letter) -> String {
    match letter {
        Letter::Welcome { .. } => "Welcome to Annals: verify your mail address".to_string(),
        Letter::Verification { .. } => "Verify your mail address".to_string(),
        Letter::EmailChange { .. } => "Confirm your new mail address".to_string(),
        Letter::PasswordReset { .. } => "Set a new password".to_string(),
        Letter::Invitation { organization, .. } => format!("You are invited to join {organization}"),
        Letter::FailedPost(post) => format!("Not published on {}", post.channel),
        Letter::Notice(notice) => notice.title.clone(),
    }
}

#[cfg(test)]
mod tests {
    use annals_commands::ports::mail::{FailedPost, Notice};
    use annals_domain::engagement::NotificationKind;

    use super::*;

    fn letters() -> Vec<Letter> {
        let link = || "https://annals.example.org/console/x#token=t_1".parse().expect("is a URL");
        let (name, until) = (|| "Ada <b>&".to_string(), || "Friday".to_string());
        vec![
            Letter::Welcome { name: name(), link: link(), until: until() },
            Letter::Verification { name: name(), link: link(), until: until() },
            Letter::EmailChange { name: name(), link: link(), until: until() },
            Letter::PasswordReset { name: name(), link: link(), until: until() },
            Letter::Invitation { organization: name(), role: "user".into(), link: link(), until: until() },
            Letter::FailedPost(FailedPost {
                name: name(),
                channel: "Ada's <i>feed</i>".to_string(),
                platform: "bluesky".to_string(),
                excerpt: "<script>alert(1)</script>".to_string(),
                reason: "it is too long".to_string(),
                what_to_do: "shorten it".to_string(),
                link: link(),
            }),
            Letter::Notice(Notice {
                kind: NotificationKind::PostOverdue,
                name: name(),
                title: "A post is overdue on Ada's <i>feed</i>".to_string(),
                text: "“<script>alert(1)</script>” should have been published.".to_string(),
                what_to_do: Some("wait".to_string()),
                due: Some(until()),
                link: link(),
            }),
        ]
    }

    #[test]
    fn every_value_is_escaped_in_html_and_as_it_is_in_text() {
        for letter in letters() {
            let page = "https://annals.example.org/console/unsubscribe#token=un_1".parse().expect("is a URL");
            let rendered = render(&letter, Some(&page)).expect("renders");
            let kind = letter.topic().as_str();
            assert!(rendered.html.contains("https://annals.example.org/console/x#token=t_1"), "{kind}");
            assert!(rendered.text.contains("https://annals.example.org/console/x#token=t_1\n"), "{kind}");
            assert!(rendered.text.contains("Ada <b>&"), "{kind}: {}", rendered.text);
            for markup in ["<b>", "<i>", "<script>"] {
                assert!(!rendered.html.contains(markup), "{kind}: {}", rendered.html);
            }
            for text in [&rendered.html, &rendered.text] {
                assert!(text.contains("/console/unsubscribe#token=un_1"), "{kind}");
            }
            let plain = render(&letter, None).expect("renders");
            assert!(!plain.html.contains("No more mail") && !plain.text.contains("No more mail"), "{kind}");
            assert!(!rendered.text.contains("{{") && !rendered.subject.is_empty(), "{kind}");
        }
    }
}
