//! One mail as RFC 5322 has it, by `lettre`.

use annals_commands::ports::mail::{Mail, MailError};
use lettre::{
    Message,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue},
    },
};

use url::Url;

use super::template::{Rendered, render};

/// Whom mail is from: `Annals <annals@example.org>`.
#[derive(Clone, Debug)]
pub struct Sender(Mailbox);

#[derive(Debug, thiserror::Error)]
#[error("must be a mail address, or a name with one: Annals <annals@example.org>")]
pub struct InvalidSender;

impl std::str::FromStr for Sender {
    type Err = InvalidSender;

    fn from_str(text: &str) -> Result<Self, InvalidSender> {
        text.parse().map(Self).map_err(|_| InvalidSender)
    }
}

impl Sender {
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.0
    }

    /// What is behind the `@`.
    pub(super) fn domain(&self) -> &str {
        self.0.email.domain()
    }

    /// The same for the same event, however often it is made.
    pub(super) fn message_id(&self, mail: &Mail) -> String {
        format!("<{}@{}>", mail.message_id, self.domain())
    }
}

/// How the parts of a message are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// In seven bits, for any server.
    Portable,
    /// As they are, so that a person can read the file.
    Readable,
}

/// A mail that can't be written is refused: trying again would not change that.
pub(super) fn rendered(mail: &Mail) -> Result<Rendered, MailError> {
    render(&mail.letter, mail.unsubscribe.as_ref().map(|way| &way.page))
        .map_err(|_| unfit("its template could not be filled in"))
}

pub(super) fn message(mail: &Mail, sender: &Sender, encoding: Encoding) -> Result<Message, MailError> {
    let Rendered { subject, html, text } = rendered(mail)?;
    let to: Mailbox = mail.to.as_str().parse().map_err(|_| unfit("its address is not one for mail"))?;
    let mut message = Message::builder();
    if let Some(way) = &mail.unsubscribe {
        message = message.header(ListUnsubscribe(listed(&way.one_click))).header(OneClick);
    }
    message
        .from(sender.mailbox().clone())
        .to(to)
        .subject(subject)
        .date(mail.at.into())
        .message_id(Some(sender.message_id(mail)))
        .multipart(
            MultiPart::alternative()
                .singlepart(part(ContentType::TEXT_PLAIN, text, encoding)?)
                .singlepart(part(ContentType::TEXT_HTML, html, encoding)?),
        )
        .map_err(|_| unfit("it could not be put together"))
}

/// The address as `List-Unsubscribe` has it.
pub(super) fn listed(one_click: &Url) -> String {
    format!("<{one_click}>")
}

/// What `List-Unsubscribe-Post` says.
pub(super) const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

/// Where no more mail of a kind is asked for (RFC 2369).
#[derive(Clone)]
struct ListUnsubscribe(String);

impl Header for ListUnsubscribe {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_string()))
    }

    fn display(&self) -> HeaderValue {
        // A URL is ASCII and has nothing to fold at.
        HeaderValue::dangerous_new_pre_encoded(Self::name(), self.0.clone(), self.0.clone())
    }
}

/// That a `POST` there does it, with no more questions (RFC 8058).
#[derive(Clone, Copy)]
struct OneClick;

impl Header for OneClick {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe-Post")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), ONE_CLICK.to_string())
    }
}

fn part(content_type: ContentType, text: String, encoding: Encoding) -> Result<SinglePart, MailError> {
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let body = match encoding {
        Encoding::Portable => Body::new(text),
        // With lines of any length (RFC 3030): it is a file, no server has to take it.
        Encoding::Readable => Body::new_with_encoding(text, ContentTransferEncoding::Binary)
            .map_err(|_| unfit("its text could not be encoded"))?,
    };
    Ok(SinglePart::builder().header(content_type).body(body))
}

fn unfit(why: &str) -> MailError {
    MailError::Refused { reason: format!("the mail could not be written: {why}") }
}
