//! Where a post stands on one channel.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::AttemptId;

/// A post is tried so often by itself before it is said to have failed.
pub const ATTEMPTS_MAX: u32 = 3;

/// How many attempts a delivery remembers, to know late answers as its own.
const ATTEMPTS_REMEMBERED: usize = 16;

/// Why a post is not on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The platform did not act, and might at another time.
    NotActed,
    /// The platform will never take this content.
    BadContent,
    /// The account no longer lets us in.
    Disconnected,
    /// A member switched the channel off or removed it.
    ChannelOff,
    /// The platform does not offer it.
    Unsupported,
}

/// A failure in words for the person who wrote the post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    pub class: FailureClass,
    pub reason: String,
    pub what_to_do: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its time; with `last_reason` if it was tried and the platform did not act.
    Scheduled {
        last_reason: Option<String>,
    },
    /// An attempt is under way, or was when its worker died.
    Publishing {
        attempt_id: AttemptId,
        attempt: u32,
        started_at: DateTime<Utc>,
    },
    Published {
        remote_id: String,
        url: Option<String>,
        at: DateTime<Utc>,
    },
    Failed {
        failure: Failure,
        at: DateTime<Utc>,
    },
    /// The platform may or may not have acted.
    Unknown {
        attempt_id: AttemptId,
        reason: String,
        what_to_do: String,
        since: DateTime<Utc>,
    },
    Cancelled,
}

impl DeliveryState {
    /// The state's name as the API shows it.
    pub fn as_str(&self) -> &'static str {
        match self {
            DeliveryState::Scheduled { .. } => "scheduled",
            DeliveryState::Publishing { .. } => "publishing",
            DeliveryState::Published { .. } => "published",
            DeliveryState::Failed { .. } => "failed",
            DeliveryState::Unknown { .. } => "unknown",
            DeliveryState::Cancelled => "cancelled",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub state: DeliveryState,
    /// Not before.
    pub due_at: DateTime<Utc>,
    /// Attempts at what is next, since it was due or a person asked for another try.
    pub attempts: u32,
    /// The parts that stand on the platform, the first first.
    pub standing: Vec<Standing>,
    /// When it was due when it was found that it should have been published, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_overdue: Option<DateTime<Utc>>,
    /// The newest attempts, oldest first.
    tried: Vec<Tried>,
}

/// A part that stands on the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub remote_id: String,
    pub url: Option<String>,
    pub at: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tried {
    id: AttemptId,
    part: usize,
}

impl Delivery {
    pub(super) fn due(at: DateTime<Utc>) -> Self {
        Self {
            state: DeliveryState::Scheduled { last_reason: None },
            due_at: at,
            attempts: 0,
            standing: Vec::new(),
            found_overdue: None,
            tried: Vec::new(),
        }
    }

    /// Whether nothing was ever tried.
    pub fn is_untouched(&self) -> bool {
        matches!(self.state, DeliveryState::Scheduled { .. }) && self.tried.is_empty()
    }

    /// The newest attempt, if there was one.
    pub fn last_attempt(&self) -> Option<AttemptId> {
        self.tried.last().map(|tried| tried.id)
    }

    /// Which part an attempt was at, if it is one of the newest.
    pub(super) fn part_of(&self, attempt_id: AttemptId) -> Option<usize> {
        self.tried.iter().find(|tried| tried.id == attempt_id).map(|tried| tried.part)
    }

    /// Whether this attempt's outcome is what the delivery still waits for.
    pub(super) fn awaits(&self, attempt_id: AttemptId) -> bool {
        match &self.state {
            DeliveryState::Publishing { attempt_id: open, .. }
            | DeliveryState::Unknown { attempt_id: open, .. } => *open == attempt_id,
            _ => false,
        }
    }

    pub(super) fn begin(&mut self, attempt_id: AttemptId, attempt: u32, started_at: DateTime<Utc>) {
        if self.tried.len() == ATTEMPTS_REMEMBERED {
            self.tried.remove(0);
        }
        self.tried.push(Tried { id: attempt_id, part: self.standing.len() });
        self.attempts = attempt;
        self.state = DeliveryState::Publishing { attempt_id, attempt, started_at };
    }

    /// A part stands; with `next_at`, another follows.
    pub(super) fn stand(&mut self, part: Standing, next_at: Option<DateTime<Utc>>) {
        self.standing.push(part);
        let Some(due_at) = next_at else {
            let Standing { remote_id, url, .. } = self.standing[0].clone();
            let at = self.standing[self.standing.len() - 1].at;
            self.state = DeliveryState::Published { remote_id, url, at };
            return;
        };
        self.state = DeliveryState::Scheduled { last_reason: None };
        (self.due_at, self.attempts) = (due_at, 0);
    }
}
