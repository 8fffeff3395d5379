//! One mail as RFC 5322 has it, by `lettre`.

use annals_commands::ports::mail::{Mail, MailError};
use lettre::{
    Message,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType},
    },
};

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
    render(&mail.letter).map_err(|_| unfit("its template could not be filled in"))
}

pub(super) fn message(mail: &Mail, sender: &Sender, encoding: Encoding) -> Result<Message, MailError> {
    let Rendered { subject, html, text } = rendered(mail)?;
    let to: Mailbox = mail.to.as_str().parse().map_err(|_| unfit("its address is not one for mail"))?;
    Message::builder()
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
