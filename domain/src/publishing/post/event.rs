//! What happened to a post.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Composition, Failure, OverdueCause, Schedule};
use crate::{
    kernel::{AttemptId, IntegrationId, OrganizationId, UserId},
    publishing::series::Occurrence,
};

/// On what grounds something is published again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryBasis {
    /// A person asks; good after a failure, when the platform did not act.
    Asked,
    /// A person asks, and the platform was asked and does not have it.
    NotOnPlatform,
    /// A person asks and accepts that it may double.
    ConfirmedMayDouble,
    /// The platform does not have it and takes a handle only once: safe without a person.
    SafeByHandle,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PostEvent {
    Drafted {
        organization_id: OrganizationId,
        author_id: UserId,
        composition: Composition,
        /// If it is one of a series.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occurrence: Option<Occurrence>,
    },
    /// The time a draft is meant for; binds nobody.
    Planned {
        schedule: Option<Schedule>,
    },
    Edited {
        composition: Composition,
    },
    Scheduled {
        schedule: Schedule,
        channels: Vec<IntegrationId>,
    },
    Rescheduled {
        schedule: Schedule,
        channels: Vec<IntegrationId>,
        /// Channels it no longer goes to.
        dropped: Vec<IntegrationId>,
    },
    /// Back to a draft.
    Unscheduled {
        channels: Vec<IntegrationId>,
    },
    Cancelled {
        channels: Vec<IntegrationId>,
        at: DateTime<Utc>,
    },
    /// A draft is gone.
    Deleted {
        at: DateTime<Utc>,
    },
    /// Gone from the lists; what stands on platforms stays there.
    Archived {
        at: DateTime<Utc>,
    },
    /// Recorded before the platform is called (invariant 6).
    PublishAttempted {
        channel: IntegrationId,
        attempt_id: AttemptId,
        /// From 1, since it was scheduled or a person asked for another try.
        attempt: u32,
        occurrence: u32,
        /// Of a thread, which part, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<u32>,
        at: DateTime<Utc>,
    },
    Published {
        channel: IntegrationId,
        attempt_id: AttemptId,
        remote_id: String,
        url: Option<String>,
        /// Of a thread, which part, from 0. A thread without it was published as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<u32>,
        /// When the thread's next part is due; none after the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_at: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
    },
    /// The platform did not act; it is tried again by itself.
    PublishDeferred {
        channel: IntegrationId,
        attempt_id: AttemptId,
        reason: String,
        at: DateTime<Utc>,
    },
    PublishFailed {
        channel: IntegrationId,
        /// None if it was not even tried: the channel was off.
        attempt_id: Option<AttemptId>,
        failure: Failure,
        at: DateTime<Utc>,
    },
    /// The platform may or may not have acted.
    OutcomeUnknown {
        channel: IntegrationId,
        attempt_id: AttemptId,
        reason: String,
        what_to_do: String,
        at: DateTime<Utc>,
    },
    RetryRequested {
        channel: IntegrationId,
        basis: RetryBasis,
        at: DateTime<Utc>,
    },
    /// It should have been published and was not; said once for each time that it was due.
    FoundOverdue {
        channel: IntegrationId,
        due_at: DateTime<Utc>,
        /// Since when it waits as it does: due, in an attempt, in doubt.
        since: DateTime<Utc>,
        cause: OverdueCause,
        reason: String,
        what_to_do: String,
        at: DateTime<Utc>,
    },
}

impl PostEvent {
    pub const TYPES: [&str; 16] = [
        "publishing.post.drafted",
        "publishing.post.planned",
        "publishing.post.edited",
        "publishing.post.scheduled",
        "publishing.post.rescheduled",
        "publishing.post.unscheduled",
        "publishing.post.cancelled",
        "publishing.post.deleted",
        "publishing.post.archived",
        "publishing.post.publish_attempted",
        "publishing.post.published",
        "publishing.post.publish_deferred",
        "publishing.post.publish_failed",
        "publishing.post.outcome_unknown",
        "publishing.post.retry_requested",
        "publishing.post.found_overdue",
    ];
}

impl DomainEvent for PostEvent {
    fn event_type(&self) -> String {
        let index = match self {
            PostEvent::Drafted { .. } => 0,
            PostEvent::Planned { .. } => 1,
            PostEvent::Edited { .. } => 2,
            PostEvent::Scheduled { .. } => 3,
            PostEvent::Rescheduled { .. } => 4,
            PostEvent::Unscheduled { .. } => 5,
            PostEvent::Cancelled { .. } => 6,
            PostEvent::Deleted { .. } => 7,
            PostEvent::Archived { .. } => 8,
            PostEvent::PublishAttempted { .. } => 9,
            PostEvent::Published { .. } => 10,
            PostEvent::PublishDeferred { .. } => 11,
            PostEvent::PublishFailed { .. } => 12,
            PostEvent::OutcomeUnknown { .. } => 13,
            PostEvent::RetryRequested { .. } => 14,
            PostEvent::FoundOverdue { .. } => 15,
        };
        Self::TYPES[index].to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}
