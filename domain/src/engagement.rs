//! What reaches people from here: notifications, mail, and what became of them.
//!
//! | stream | its id | what is recorded |
//! |---|---|---|
//! | [`Notification`] `engagement.notification` | follows from whom it tells of what | that a person was told, by which ways |
//! | [`Inbox`] `engagement.inbox` | organization and person | what they read, by which ways they want to be told |
//! | [`Mailing`] `engagement.mailing` | the id of the event that calls for the mail | attempts, outcomes |

pub mod inbox;
pub mod kind;
pub mod mailing;
pub mod notification;

#[cfg(test)]
mod samples;

pub use inbox::{Inbox, InboxAction, InboxCommand, InboxError, InboxEvent, InboxId, Mark, WaysChange};
pub use kind::{NotificationKind, UnknownKind, Ways};
pub use mailing::{MailKind, MailTopic, Mailing, MailingCommand, MailingError, MailingEvent, NotSent};
pub use notification::{
    About, Details, NewNotification, Notification, NotificationCommand, NotificationError, NotificationEvent,
};
