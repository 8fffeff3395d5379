//! Mail: how it looks and how it travels.
//!
//! - Templates stand in `templates/mail`, one pair of HTML and text per kind of mail; they are compiled into
//!   the program, and what goes into HTML is escaped.
//! - [`Outgoing`] is the mailer: files in the data folder ([`MailFolder`]), SMTP ([`SmtpServer`]) or Resend's
//!   HTTP API ([`Resend`]). The Message-ID is that of the event that calls for the mail, on each way.

mod folder;
mod message;
mod resend;
mod smtp;
mod template;

use annals_commands::ports::mail::{Mail, MailError, Mailer};
use async_trait::async_trait;

pub use folder::MailFolder;
pub use message::{InvalidSender, Sender};
pub use resend::{RESEND_URL, Resend};
pub use smtp::{InvalidSmtpUrl, SmtpServer};

/// The way that mail goes out.
pub enum Transport {
    /// Into the folder.
    Files,
    Smtp(SmtpServer),
    Resend(Resend),
}

/// Mail on its way out of an installation. Whatever the way is now, what the folder holds of somebody goes
/// when they are forgotten.
pub struct Outgoing {
    folder: MailFolder,
    sender: Sender,
    transport: Transport,
}

impl Outgoing {
    pub fn new(folder: MailFolder, sender: Sender, transport: Transport) -> Self {
        Self { folder, sender, transport }
    }
}

#[async_trait]
impl Mailer for Outgoing {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        match &self.transport {
            Transport::Files => self.folder.write(mail, &self.sender).await,
            Transport::Smtp(server) => server.send(mail, &self.sender).await,
            Transport::Resend(resend) => resend.send(mail, &self.sender).await,
        }
    }

    async fn forget(&self, person: &str) -> Result<(), std::io::Error> {
        self.folder.forget(person).await
    }
}
