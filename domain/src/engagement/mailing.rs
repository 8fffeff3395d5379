//! One mail to one person, called for by one event: attempted before it is sent, with its outcome after
//! (invariant 6). Text, address and tokens are in no event of it: whoever sends makes them of the event
//! that calls for the mail.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::NotificationKind;
use crate::{
    Refusal, RefusalKind,
    kernel::{Subject, named_events},
};

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// Welcomes, and asks to verify the address.
    Welcome,
    /// Another link to verify the address.
    Verification,
    /// A link to confirm a new address.
    EmailChange,
    /// A link to set a new password.
    PasswordReset,
    /// A link to join an organization.
    Invitation,
    /// A post is not on a channel.
    FailedPost,
}

impl MailKind {
    /// As it stands in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::Verification => "verification",
            Self::EmailChange => "email_change",
            Self::PasswordReset => "password_reset",
            Self::Invitation => "invitation",
            Self::FailedPost => "failed_post",
        }
    }
}

/// What a mail is about: a matter of its own, or a notification of somebody who wants it by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTopic {
    Own(MailKind),
    Notification(NotificationKind),
}

impl MailTopic {
    /// As it stands in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own(kind) => kind.as_str(),
            Self::Notification(kind) => kind.as_str(),
        }
    }
}

/// Why a mail was certainly not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotSent {
    /// It may be tried again.
    ForNow,
    /// The server will not take it: no use trying again.
    ForGood,
}

/// Where a mail stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailing {
    state: State,
    /// How often it was tried.
    pub attempts: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    #[default]
    Untried,
    /// An attempt is under way, or was when its worker died.
    Attempted {
        attempt_id: Uuid,
    },
    /// The attempt did nothing.
    NotSent,
    Refused,
    Sent,
    Unknown {
        attempt_id: Uuid,
    },
}

impl Mailing {
    /// The attempt without an outcome.
    pub fn open_attempt(&self) -> Option<Uuid> {
        match self.state {
            State::Attempted { attempt_id } => Some(attempt_id),
            _ => None,
        }
    }

    /// Whether nothing is to be tried (any more).
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Sent | State::Refused | State::Unknown { .. })
    }
}

/// What a mail's worker says.
#[derive(Clone, Debug)]
pub enum MailingCommand {
    Begin { topic: MailTopic, addressee: Subject, attempt_id: Uuid, now: DateTime<Utc> },
    RecordSent { attempt_id: Uuid, now: DateTime<Utc> },
    RecordNotSent { attempt_id: Uuid, not_sent: NotSent, reason: String, now: DateTime<Utc> },
    RecordUnknown { attempt_id: Uuid, reason: String, now: DateTime<Utc> },
}

/// What became of a mail, each `engagement.mailing.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MailingEvent {
    /// Recorded before the mail server is called (invariant 6).
    Attempted {
        kind: MailKind,
        /// Whose personal data the address is: `user:…`, `invitation:…`.
        addressee: Subject,
        attempt_id: Uuid,
        /// From 1.
        attempt: u32,
        at: DateTime<Utc>,
    },
    /// The same, of a notification.
    NotificationAttempted {
        kind: NotificationKind,
        /// Whose personal data the address is: `user:…`.
        addressee: Subject,
        attempt_id: Uuid,
        /// From 1.
        attempt: u32,
        at: DateTime<Utc>,
    },
    /// The mail server took it.
    Sent { attempt_id: Uuid, at: DateTime<Utc> },
    NotSent {
        attempt_id: Uuid,
        not_sent: NotSent,
        /// In our words, with the server's code: its own words may hold the address.
        reason: String,
        at: DateTime<Utc>,
    },
    /// The mail server may or may not have taken it. It is not sent again; the person may ask again.
    OutcomeUnknown { attempt_id: Uuid, reason: String, at: DateTime<Utc> },
}

named_events! {
    MailingEvent, version "1",
    Attempted => "engagement.mailing.attempted",
    NotificationAttempted => "engagement.mailing.notification_attempted",
    Sent => "engagement.mailing.sent",
    NotSent => "engagement.mailing.not_sent",
    OutcomeUnknown => "engagement.mailing.outcome_unknown",
}

/// Why a mail's command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailingError {
    #[error("an attempt is under way")]
    UnderWay,
    #[error("this mail is sent, refused or in doubt: it is not tried again")]
    Settled,
    #[error("that is not the attempt that waits for its outcome")]
    OtherAttempt,
}

impl Refusal for MailingError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnderWay => "MAIL_UNDER_WAY",
            Self::Settled => "MAIL_SETTLED",
            Self::OtherAttempt => "MAIL_OTHER_ATTEMPT",
        }
    }
}

impl Mailing {
    fn decide(&self, command: MailingCommand) -> Result<MailingEvent, MailingError> {
        match command {
            MailingCommand::Begin { topic, addressee, attempt_id, now } => {
                if self.open_attempt().is_some() {
                    return Err(MailingError::UnderWay);
                }
                if self.is_settled() {
                    return Err(MailingError::Settled);
                }
                let attempt = self.attempts + 1;
                Ok(match topic {
                    MailTopic::Own(kind) => {
                        MailingEvent::Attempted { kind, addressee, attempt_id, attempt, at: now }
                    }
                    MailTopic::Notification(kind) => {
                        MailingEvent::NotificationAttempted { kind, addressee, attempt_id, attempt, at: now }
                    }
                })
            }
            // An answer that comes late is better than none.
            MailingCommand::RecordSent { attempt_id, now } => {
                let is_doubted = self.state == State::Unknown { attempt_id };
                if !is_doubted {
                    self.check_open(attempt_id)?;
                }
                Ok(MailingEvent::Sent { attempt_id, at: now })
            }
            MailingCommand::RecordNotSent { attempt_id, not_sent, reason, now } => {
                self.check_open(attempt_id)?;
                Ok(MailingEvent::NotSent { attempt_id, not_sent, reason, at: now })
            }
            MailingCommand::RecordUnknown { attempt_id, reason, now } => {
                self.check_open(attempt_id)?;
                Ok(MailingEvent::OutcomeUnknown { attempt_id, reason, at: now })
            }
        }
    }

    /// Whether it is this attempt's outcome that is missing.
    fn check_open(&self, attempt_id: Uuid) -> Result<(), MailingError> {
        let is_open = self.open_attempt() == Some(attempt_id);
        is_open.then_some(()).ok_or(MailingError::OtherAttempt)
    }
}

impl Aggregate for Mailing {
    const TYPE: &'static str = "engagement.mailing";
    type Command = MailingCommand;
    type Event = MailingEvent;
    type Error = MailingError;
    type Services = ();

    async fn handle(
        &mut self,
        command: MailingCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), MailingError> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: MailingEvent) {
        self.state = match event {
            MailingEvent::Attempted { attempt_id, attempt, .. }
            | MailingEvent::NotificationAttempted { attempt_id, attempt, .. } => {
                self.attempts = attempt;
                State::Attempted { attempt_id }
            }
            MailingEvent::Sent { .. } => State::Sent,
            MailingEvent::NotSent { not_sent: NotSent::ForNow, .. } => State::NotSent,
            MailingEvent::NotSent { not_sent: NotSent::ForGood, .. } => State::Refused,
            MailingEvent::OutcomeUnknown { attempt_id, .. } => State::Unknown { attempt_id },
        };
    }
}
