//! Mail over Resend's HTTP API (`POST /emails`, <https://resend.com/docs/api-reference/emails/send-email>).

use std::time::Duration;

use annals_commands::ports::mail::{Mail, MailError};
use reqwest::{Client, StatusCode, header, redirect};
use serde::Serialize;
use url::Url;

use super::{
    message::{ONE_CLICK, Sender, listed, rendered},
    template::Rendered,
};

/// Less than [`annals_commands::ports::mail::SEND_WITHIN`].
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Resend's own address.
pub const RESEND_URL: &str = "https://api.resend.com";

/// An account at Resend.
#[derive(Clone)]
pub struct Resend {
    http: Client,
    emails: String,
    api_key: String,
}

#[derive(Serialize)]
struct Email<'e> {
    from: String,
    to: [&'e str; 1],
    subject: &'e str,
    html: &'e str,
    text: &'e str,
    headers: Headers,
}

#[derive(Serialize)]
struct Headers {
    #[serde(rename = "Message-ID")]
    message_id: String,
    #[serde(rename = "List-Unsubscribe", skip_serializing_if = "Option::is_none")]
    list_unsubscribe: Option<String>,
    #[serde(rename = "List-Unsubscribe-Post", skip_serializing_if = "Option::is_none")]
    list_unsubscribe_post: Option<&'static str>,
}

impl Resend {
    /// `url` is that of the API, without a path.
    ///
    /// # Errors
    /// If this machine can't make HTTPS calls.
    pub fn new(url: &Url, api_key: &str) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .timeout(ANSWERS_WITHIN)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("annals/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let emails = format!("{}/emails", url.as_str().trim_end_matches('/'));
        Ok(Self { http, emails, api_key: api_key.to_string() })
    }

    pub(super) async fn send(&self, mail: &Mail, sender: &Sender) -> Result<(), MailError> {
        let Rendered { subject, html, text } = rendered(mail)?;
        let email = Email {
            from: sender.mailbox().to_string(),
            to: [mail.to.as_str()],
            subject: &subject,
            html: &html,
            text: &text,
            headers: Headers {
                message_id: sender.message_id(mail),
                list_unsubscribe: mail.unsubscribe.as_ref().map(|way| listed(&way.one_click)),
                list_unsubscribe_post: mail.unsubscribe.as_ref().map(|_| ONE_CLICK),
            },
        };
        let sent = self
            .http
            .post(&self.emails)
            .bearer_auth(&self.api_key)
            // Resend remembers it for a day: the same mail is not sent twice.
            .header("Idempotency-Key", mail.message_id.to_string())
            .json(&email)
            .send()
            .await;
        match sent {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(refused(response.status(), retry_after(response.headers()))),
            Err(error) if error.is_connect() || error.is_builder() => Err(MailError::NotSent {
                reason: "Resend could not be reached".to_string(),
                not_before: None,
            }),
            Err(_) => Err(MailError::Unknown { reason: "Resend did not answer, or not in time".to_string() }),
        }
    }
}

fn refused(status: StatusCode, not_before: Option<Duration>) -> MailError {
    let reason = format!("Resend answered {}", status.as_u16());
    match status {
        // What is wrong with the mail stays wrong.
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE => {
            MailError::Refused { reason }
        }
        // One with this key is under way, or it is unwell in the middle of it.
        StatusCode::CONFLICT => MailError::Unknown { reason },
        _ if status.is_server_error() => MailError::Unknown { reason },
        // The key, the domain or the rate: somebody sees to it, or it passes.
        _ => MailError::NotSent { reason, not_before },
    }
}

fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(Duration::from_secs(3600)))
}
