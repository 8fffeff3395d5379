//! What reaches people from here: mail, and what became of it.
//!
//! | stream | its id | what is recorded |
//! |---|---|---|
//! | [`Mailing`] `engagement.mailing` | the id of the event that calls for the mail | attempts, outcomes |

pub mod mailing;

#[cfg(test)]
mod samples;

pub use mailing::{MailKind, Mailing, MailingCommand, MailingError, MailingEvent, NotSent};
