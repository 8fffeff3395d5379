//! What can be asked of a post.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Composition, Failure, Overdue, Part, RetryBasis, Schedule};
use crate::{
    kernel::{AttemptId, IntegrationId, OrganizationId, TimeZone, UserId},
    publishing::series::Occurrence,
};

/// What its author wants of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Keep it; perhaps for this time.
    Draft(Option<Schedule>),
    Publish(Due),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    At(Schedule),
    /// At once; the zone is the author's.
    Now(TimeZone),
}

#[derive(Clone, Debug)]
pub enum PostCommand {
    Create {
        organization: OrganizationId,
        author: UserId,
        composition: Composition,
        plan: Plan,
        /// If it is one of a series.
        occurrence: Option<Occurrence>,
        now: DateTime<Utc>,
    },
    /// A draft or scheduled post as it shall be now.
    Revise {
        composition: Composition,
        plan: Plan,
        now: DateTime<Utc>,
    },
    /// A draft is deleted, a scheduled post cancelled, anything else leaves the lists.
    Delete {
        now: DateTime<Utc>,
    },
    /// One more part at the end of the thread.
    Reply {
        reply: Part,
    },
    BeginAttempt {
        channel: IntegrationId,
        attempt_id: AttemptId,
        now: DateTime<Utc>,
    },
    RecordPublished {
        channel: IntegrationId,
        attempt_id: AttemptId,
        remote_id: String,
        url: Option<String>,
        at: DateTime<Utc>,
    },
    RecordFailed {
        channel: IntegrationId,
        attempt_id: AttemptId,
        failure: Failure,
        at: DateTime<Utc>,
    },
    RecordUnknown {
        channel: IntegrationId,
        attempt_id: AttemptId,
        reason: String,
        what_to_do: String,
        at: DateTime<Utc>,
    },
    /// It is due and can't even be tried.
    GiveUp {
        channel: IntegrationId,
        failure: Failure,
        at: DateTime<Utc>,
    },
    /// It should have been published; does nothing unless it is so late and was not found yet.
    FindOverdue {
        channel: IntegrationId,
        late_by: TimeDelta,
        overdue: Overdue,
        at: DateTime<Utc>,
    },
    Retry {
        channel: IntegrationId,
        basis: RetryBasis,
        now: DateTime<Utc>,
    },
}
