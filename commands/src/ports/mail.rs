//! Mail, as the write side sees it: who writes what to whom. How it looks and how it travels is the
//! adapter's.

use std::time::Duration;

use annals_domain::{
    engagement::{MailKind, MailTopic, NotificationKind},
    kernel::EmailAddress,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use url::Url;
use uuid::Uuid;

/// A mail to one person. What it says may hold a token: it is never logged.
#[derive(Clone)]
pub struct Mail {
    /// Of the event that calls for it: the Message-ID derives from it.
    pub message_id: Uuid,
    /// Whose personal data it is (`user:…`, `invitation:…`): for [`Mailer::forget`].
    pub person: String,
    pub to: EmailAddress,
    pub letter: Letter,
    /// How its reader gets no more of its kind; none where they asked for it, such as a new password.
    pub unsubscribe: Option<Unsubscribe>,
    /// When what it tells of happened.
    pub at: DateTime<Utc>,
}

/// Where mail of a kind is switched off.
#[derive(Clone)]
pub struct Unsubscribe {
    /// A page, for the person.
    pub page: Url,
    /// For the mail program, which sends a `POST` there (RFC 8058).
    pub one_click: Url,
}

/// What a mail says. Times are ready to be read.
#[derive(Clone)]
pub enum Letter {
    Welcome { name: String, link: Url, until: String },
    Verification { name: String, link: Url, until: String },
    EmailChange { name: String, link: Url, until: String },
    PasswordReset { name: String, link: Url, until: String },
    Invitation { organization: String, role: String, link: Url, until: String },
    FailedPost(FailedPost),
    Notice(Notice),
}

/// A post that is not on a channel, and what its author can do.
#[derive(Clone)]
pub struct FailedPost {
    pub name: String,
    /// The channel, as people know it.
    pub channel: String,
    pub platform: String,
    /// The beginning of what it says.
    pub excerpt: String,
    pub reason: String,
    pub what_to_do: String,
    pub link: Url,
}

/// Another notification by mail.
#[derive(Clone)]
pub struct Notice {
    pub kind: NotificationKind,
    pub name: String,
    pub title: String,
    pub text: String,
    pub what_to_do: Option<String>,
    /// When a post was due.
    pub due: Option<String>,
    pub link: Url,
}

impl Letter {
    pub fn topic(&self) -> MailTopic {
        MailTopic::Own(match self {
            Self::Welcome { .. } => MailKind::Welcome,
            Self::Verification { .. } => MailKind::Verification,
            Self::EmailChange { .. } => MailKind::EmailChange,
            Self::PasswordReset { .. } => MailKind::PasswordReset,
            Self::Invitation { .. } => MailKind::Invitation,
            Self::FailedPost(_) => MailKind::FailedPost,
            Self::Notice(notice) => return MailTopic::Notification(notice.kind),
        })
    }
}

/// Why a mail is not known to be on its way. Reasons are in our words, with the server's code at most:
/// its own words may hold the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It was certainly not sent; it may be tried again.
    #[error("{reason}")]
    NotSent { reason: String, not_before: Option<Duration> },
    /// It was certainly not sent, and never will be.
    #[error("{reason}")]
    Refused { reason: String },
    /// It may or may not be on its way.
    #[error("{reason}")]
    Unknown { reason: String },
}

/// Where mail goes.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends a mail; ends by itself, one way or the other, within [`SEND_WITHIN`].
    ///
    /// # Errors
    /// See [`MailError`]. A mail is sent again under one `message_id` only after one that says so.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;

    /// Removes what is kept here of a person's mail.
    ///
    /// # Errors
    /// If something may be left: trying again is safe.
    async fn forget(&self, person: &str) -> Result<(), std::io::Error>;
}

/// The longest that one mail takes: less than the lease under which it is sent.
pub const SEND_WITHIN: Duration = Duration::from_secs(40);
