//! What a post refuses.

use chrono::{DateTime, Utc};

use super::{PostStatus, THREAD_PARTS_MAX};
use crate::{
    Refusal, RefusalKind,
    kernel::{AttemptId, IntegrationId},
};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    #[error("there is no such post")]
    NotFound,
    #[error("the post exists already")]
    AlreadyExists,
    #[error("must name at least one channel to publish on")]
    NoChannels,
    #[error("must not be in the past")]
    ScheduledInThePast,
    #[error("must be at most five years ahead")]
    ScheduledTooFarAhead,
    #[error("the post is {} and can't be changed: write a new one", .0.words())]
    NotEditable(PostStatus),
    #[error("the post is being published this moment: try again when its outcome is known")]
    BeingPublished,
    #[error("the thread has {THREAD_PARTS_MAX} parts after the first already")]
    ThreadTooLong,
    #[error("the post is archived")]
    Archived,
    #[error("the post does not go to channel {0}")]
    NoSuchChannel(IntegrationId),
    #[error("there is nothing to publish on this channel: it is {0}")]
    NothingToDo(&'static str),
    #[error("the post is not due before {0}")]
    NotDue(DateTime<Utc>),
    #[error("an attempt is open since {started_at}")]
    AttemptOpen { attempt_id: AttemptId, started_at: DateTime<Utc> },
    #[error("there is no such attempt")]
    NoSuchAttempt,
    #[error("only what failed or whose outcome is unknown can be tried again: this is {0}")]
    NothingToRetry(&'static str),
    #[error(
        "the post may be on the channel already and the platform can't tell: look there, then send \
         {{\"confirmMayDouble\": true}} to publish at the risk of doubling it"
    )]
    MayDouble,
    #[error("it was tried too often by itself: look at the channel, then retry it yourself")]
    TriedTooOften,
}

impl Refusal for PostError {
    fn kind(&self) -> RefusalKind {
        match self {
            PostError::NotFound => RefusalKind::NotFound,
            PostError::NoChannels
            | PostError::ScheduledInThePast
            | PostError::ScheduledTooFarAhead
            | PostError::NoSuchChannel(_) => RefusalKind::Invalid,
            _ => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            PostError::NotFound => "NOT_FOUND",
            PostError::NoChannels
            | PostError::ScheduledInThePast
            | PostError::ScheduledTooFarAhead
            | PostError::NoSuchChannel(_) => "VALIDATION_ERROR",
            PostError::AlreadyExists => "POST_EXISTS",
            PostError::NotEditable(_) => "POST_NOT_EDITABLE",
            PostError::BeingPublished => "POST_BEING_PUBLISHED",
            PostError::Archived => "POST_ARCHIVED",
            PostError::ThreadTooLong => "THREAD_TOO_LONG",
            PostError::NothingToDo(_) => "NOTHING_TO_PUBLISH",
            PostError::NotDue(_) => "POST_NOT_DUE",
            PostError::AttemptOpen { .. } => "ATTEMPT_OPEN",
            PostError::NoSuchAttempt => "NO_SUCH_ATTEMPT",
            PostError::NothingToRetry(_) => "NOTHING_TO_RETRY",
            PostError::MayDouble => "OUTCOME_UNKNOWN",
            PostError::TriedTooOften => "TRIED_TOO_OFTEN",
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            PostError::NoChannels => Some("integrations"),
            PostError::ScheduledInThePast | PostError::ScheduledTooFarAhead => Some("scheduledAt"),
            PostError::NoSuchChannel(_) => Some("channel"),
            _ => None,
        }
    }
}
