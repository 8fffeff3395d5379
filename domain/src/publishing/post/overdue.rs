//! What should have been published and was not.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Delivery, DeliveryState, Post, PostError, PostEvent};
use crate::kernel::IntegrationId;

/// What keeps a post from its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverdueCause {
    /// The channel's platform lets us in no longer: the post is held.
    LostAccess,
    /// Nothing would have called for it any more; it was set again.
    TimerLost,
    /// Its timer's tries are used up.
    TimerParked,
    /// Whoever runs the installation cancelled its timer.
    TimerCancelled,
    /// An attempt's outcome is unknown and nobody decided.
    OutcomeUnknown,
    /// It is due, and no worker has done it.
    NotTakenUp,
}

impl OverdueCause {
    pub const ALL: [Self; 6] = [
        Self::LostAccess,
        Self::TimerLost,
        Self::TimerParked,
        Self::TimerCancelled,
        Self::OutcomeUnknown,
        Self::NotTakenUp,
    ];

    /// As it stands in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LostAccess => "lost_access",
            Self::TimerLost => "timer_lost",
            Self::TimerParked => "timer_parked",
            Self::TimerCancelled => "timer_cancelled",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::NotTakenUp => "not_taken_up",
        }
    }
}

/// More may come: consumers of events take any text.
impl JsonSchema for OverdueCause {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OverdueCause".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// Why a post is overdue, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    pub cause: OverdueCause,
    pub reason: String,
    pub what_to_do: String,
}

impl Delivery {
    /// Since when it waits for what does not come by itself: past its time, in an attempt, in doubt.
    pub fn stuck_since(&self) -> Option<DateTime<Utc>> {
        match &self.state {
            DeliveryState::Scheduled { .. } => Some(self.due_at),
            DeliveryState::Publishing { started_at, .. } => Some(*started_at),
            DeliveryState::Unknown { since, .. } => Some(*since),
            DeliveryState::Published { .. } | DeliveryState::Failed { .. } | DeliveryState::Cancelled => None,
        }
    }
}

impl Post {
    /// Once for each time that it was due: an overdue post that nobody sees to is not said again and again.
    pub(super) fn find_overdue(
        &self,
        channel: IntegrationId,
        late_by: TimeDelta,
        overdue: Overdue,
        at: DateTime<Utc>,
    ) -> Result<Vec<PostEvent>, PostError> {
        let delivery = self.delivery(channel)?;
        let Some(since) = delivery.stuck_since().filter(|since| at - *since >= late_by) else {
            return Ok(Vec::new());
        };
        if self.archived || delivery.found_overdue == Some(delivery.due_at) {
            return Ok(Vec::new());
        }
        let Overdue { cause, reason, what_to_do } = overdue;
        let due_at = delivery.due_at;
        Ok(vec![PostEvent::FoundOverdue { channel, due_at, since, cause, reason, what_to_do, at }])
    }
}
