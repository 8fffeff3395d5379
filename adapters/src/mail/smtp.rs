//! Mail over SMTP, with `lettre`'s connection driven step by step: only so is it known whether a server
//! that hung up may have taken the mail (RFC 5321, 4.2.5: it has, once it answered the end of the data).

use std::{future::Future, time::Duration};

use annals_commands::ports::mail::{Mail, MailError, SEND_WITHIN};
use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt},
        extension::{ClientId, Extension, MailParameter},
        response::Severity,
    },
};
use url::{Host, Url};

use super::message::{Encoding, Sender, message};

/// From the first packet to the word that the data may come; the rest of the time is for the data.
const PREPARED_WITHIN: Duration = Duration::from_secs(20);

const SMTP: u16 = 587;
const SMTPS: u16 = 465;

/// A mail server that takes mail for others.
#[derive(Clone)]
pub struct SmtpServer {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    /// From the first byte (RFC 8314).
    Implicit,
    /// Asked for before anything else is said; a server that can't is not talked to.
    StartTls,
    None,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "must be smtps://user:password@host or smtp://user:password@host:port; smtp asks for STARTTLS, \
         unless the host is this machine or ?tls=off is said"
)]
pub struct InvalidSmtpUrl;

impl SmtpServer {
    /// # Errors
    /// If the URL is not of the form that [`InvalidSmtpUrl`] describes.
    pub fn parse(url: &str) -> Result<Self, InvalidSmtpUrl> {
        let url: Url = url.parse().map_err(|_| InvalidSmtpUrl)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidSmtpUrl)?;
        let (port, encryption) = match (url.scheme(), url.query()) {
            ("smtps", None) => (SMTPS, Encryption::Implicit),
            ("smtp", None) if is_this_machine(&url) => (SMTP, Encryption::None),
            ("smtp", None | Some("tls=required")) => (SMTP, Encryption::StartTls),
            ("smtp", Some("tls=off")) => (SMTP, Encryption::None),
            _ => return Err(InvalidSmtpUrl),
        };
        let credentials = match (decoded(url.username())?, url.password()) {
            (user, Some(password)) if !user.is_empty() => Some(Credentials::new(user, decoded(password)?)),
            (user, None) if user.is_empty() => None,
            _ => return Err(InvalidSmtpUrl),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
        Ok(Self { host, port: url.port().unwrap_or(port), encryption, credentials })
    }

    /// Whether it lets us in now.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn reach(&self, sender: &Sender) -> Result<(), String> {
        let connected = within(PREPARED_WITHIN, self.connect(sender)).await;
        let mut connection = connected.map_err(|error| error.to_string())?;
        // It is only a courtesy.
        drop(connection.quit().await);
        Ok(())
    }

    pub(super) async fn send(&self, mail: &Mail, sender: &Sender) -> Result<(), MailError> {
        let message = message(mail, sender, Encoding::Portable)?.formatted();
        let mut connection = within(PREPARED_WITHIN, self.prepare(mail, sender)).await?;
        let answered =
            tokio::time::timeout(SEND_WITHIN - PREPARED_WITHIN, connection.message(&message)).await;
        match answered {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(after_data(&error)),
            Err(_) => {
                let reason = "the mail server did not answer the end of the mail in time".to_string();
                return Err(MailError::Unknown { reason });
            }
        }
        // It has the mail: what becomes of the connection changes nothing.
        let goodbye = tokio::time::timeout(Duration::from_secs(1), connection.quit()).await;
        if !matches!(goodbye, Ok(Ok(_))) {
            tracing::debug!("the mail server did not say goodbye");
        }
        Ok(())
    }

    async fn connect(&self, sender: &Sender) -> Result<AsyncSmtpConnection, MailError> {
        let hello = ClientId::Domain(sender.domain().to_string());
        let tls = || TlsParameters::new(self.host.clone()).map_err(|error| not_yet("TLS", &error));
        let implicit = if self.encryption == Encryption::Implicit { Some(tls()?) } else { None };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(PREPARED_WITHIN), &hello, implicit, None)
                .await
                .map_err(|error| not_yet("the connection", &error))?;
        if self.encryption == Encryption::StartTls {
            connection.starttls(tls()?, &hello).await.map_err(|error| not_yet("STARTTLS", &error))?;
        }
        if let Some(credentials) = &self.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection
                .auth(&mechanisms, credentials)
                .await
                .map_err(|error| not_yet("the sign-in", &error))?;
        }
        Ok(connection)
    }

    /// Everything before the mail itself: whatever fails here, nothing was sent.
    async fn prepare(&self, mail: &Mail, sender: &Sender) -> Result<AsyncSmtpConnection, MailError> {
        let refused = |reason: &str| MailError::Refused { reason: reason.to_string() };
        let to: Address = mail.to.as_str().parse().map_err(|_| refused("its address is not one for mail"))?;
        let from = sender.mailbox().email.clone();
        let mut connection = self.connect(sender).await?;
        let mut parameters = Vec::new();
        if !(to.to_string().is_ascii() && from.to_string().is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(refused("the mail server takes no addresses beyond ASCII"));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let mail_from = MailFrom::new(Some(from), parameters);
        connection.command(mail_from).await.map_err(|error| not_yet("the sender", &error))?;
        connection.command(Rcpt::new(to, Vec::new())).await.map_err(|error| {
            if error.is_permanent() {
                refused(&words("the address", &error))
            } else {
                not_yet("the address", &error)
            }
        })?;
        connection.command(Data).await.map_err(|error| not_yet("the mail", &error))?;
        Ok(connection)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        // A scheme that the URL standard does not know has its host as it was written.
        Some(Host::Domain(host)) => {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn decoded(text: &str) -> Result<String, InvalidSmtpUrl> {
    // What `+` means in forms it does not mean here.
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let (_, text) = url::form_urlencoded::parse(pair.as_bytes()).next().ok_or(InvalidSmtpUrl)?;
    Ok(text.into_owned())
}

async fn within<T>(
    time: Duration,
    prepared: impl Future<Output = Result<T, MailError>>,
) -> Result<T, MailError> {
    tokio::time::timeout(time, prepared).await.unwrap_or_else(|_| {
        let reason = "the mail server did not answer in time".to_string();
        Err(MailError::NotSent { reason, not_before: None })
    })
}

/// The data was sent: only an answer says what became of it.
fn after_data(error: &Error) -> MailError {
    let severity = error.status().map(|code| code.severity);
    match severity {
        Some(Severity::PermanentNegativeCompletion) => {
            MailError::Refused { reason: words("the mail", error) }
        }
        Some(Severity::TransientNegativeCompletion) => not_yet("the mail", error),
        _ => MailError::Unknown {
            reason: "the mail server hung up after it was given the mail, before it said whether it took it"
                .to_string(),
        },
    }
}

fn not_yet(what: &str, error: &Error) -> MailError {
    MailError::NotSent { reason: words(what, error), not_before: None }
}

/// Never the server's own words: they may hold the address.
fn words(what: &str, error: &Error) -> String {
    match error.status() {
        Some(code) => format!("the mail server refused {what} with {code}"),
        None if error.is_timeout() => format!("the mail server did not answer in time ({what})"),
        None if error.is_tls() => format!("the mail server's encryption could not be agreed on ({what})"),
        None => format!("the mail server could not be reached or hung up ({what})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_encrypted_unless_the_server_is_this_machine_or_it_is_said_otherwise() {
        let of = |url: &str| SmtpServer::parse(url).map(|server| (server.port, server.encryption));
        for (url, port, encryption) in [
            ("smtps://u:p@mail.example.org", 465, Encryption::Implicit),
            ("smtp://u:p@mail.example.org", 587, Encryption::StartTls),
            ("smtp://mail.example.org:2525?tls=required", 2525, Encryption::StartTls),
            ("smtp://mail.example.org:25?tls=off", 25, Encryption::None),
            ("smtp://127.0.0.1:1025", 1025, Encryption::None),
            ("smtp://localhost:1025", 1025, Encryption::None),
            ("smtp://[::1]:1025", 1025, Encryption::None),
        ] {
            assert_eq!(of(url).expect("is a server"), (port, encryption), "{url}");
        }
        for wrong in
            ["", "mail.example.org", "http://x", "smtp://u@x", "smtp://x?tls=maybe", "smtps://x?tls=off"]
        {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_and_passwords_may_hold_what_urls_do_not() {
        assert_eq!(decoded("a%40b+c%26").expect("decodes"), "a@b+c&");
    }
}
