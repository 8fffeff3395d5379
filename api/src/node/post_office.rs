//! The way that mail goes out of this installation, as it is configured.

use std::path::Path;

use annals_adapters::mail::{MailFolder, Outgoing, Resend, Sender, SmtpServer, Transport};
use anyhow::Context as _;

use crate::config::Config;

/// The mailer. A mail server that does not answer keeps nobody from working: it is said here, and mail
/// that could not be sent is tried again and then waits among the parked timers.
///
/// # Errors
/// If the configuration of it does not hold.
pub(super) async fn open(config: &Config, data: &Path) -> anyhow::Result<Outgoing> {
    let sender: Sender = config.mail_from().parse().context("mail.from")?;
    let mail = &config.mail;
    let transport = if let Some(url) = &mail.smtp_url {
        let server = SmtpServer::parse(url.reveal()).context("mail.smtp_url")?;
        match server.reach(&sender).await {
            Ok(()) => tracing::info!("mail goes out through a mail server, which answers"),
            Err(error) => {
                tracing::error!(%error, "mail goes out through a mail server (mail.smtp_url), which can't be used now")
            }
        }
        Transport::Smtp(server)
    } else if let Some(key) = &mail.resend_api_key {
        tracing::info!("mail goes out through Resend");
        Transport::Resend(Resend::new(&mail.resend_url, key.reveal()).context("mail.resend_api_key")?)
    } else {
        let folder = data.join("mail");
        tracing::info!(folder = %folder.display(), "mail is written to files: neither mail.smtp_url nor mail.resend_api_key is set");
        Transport::Files
    };
    Ok(Outgoing::new(MailFolder::new(data.join("mail")), sender, transport))
}
