//! Mail, as the write side sees it.

use annals_domain::kernel::EmailAddress;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A mail to one person. Its text may hold a token: it is never logged.
#[derive(Clone)]
pub struct Mail {
    /// Of the event that calls for it: the Message-ID derives from it.
    pub message_id: Uuid,
    /// Whose personal data it is (`user:…`, `invitation:…`): for [`Mailer::forget`].
    pub person: String,
    pub to: EmailAddress,
    pub subject: String,
    pub text: String,
    pub at: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("the mail could not be written to the data folder")]
    Folder(#[from] std::io::Error),
}

/// Where mail goes. For now a folder; a mail twice under one `message_id` is one mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// # Errors
    /// If nothing was sent: trying again is safe.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;

    /// Removes what is kept of a person's mail.
    ///
    /// # Errors
    /// If something may be left: trying again is safe.
    async fn forget(&self, person: &str) -> Result<(), MailError>;
}
