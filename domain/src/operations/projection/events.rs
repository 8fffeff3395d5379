use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Build, EventsPerSecond, SkippedKey};
use crate::{kernel::named_events, operations::Reason};

/// What was done to a read model, each `operations.projection.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ProjectionControlEvent {
    RebuildRequested {
        /// `None`: as fast as it goes.
        events_per_second_max: Option<EventsPerSecond>,
        reason: Reason,
    },
    RebuildPaused {
        build: Build,
        reason: Reason,
    },
    RebuildResumed {
        build: Build,
        reason: Reason,
    },
    RebuildThrottled {
        build: Build,
        /// `None`: no limit any more.
        events_per_second_max: Option<EventsPerSecond>,
        reason: Reason,
    },
    RebuildCancelled {
        build: Build,
        reason: Reason,
    },
    ParkedAccepted {
        build: Build,
        reason: Reason,
    },
    ParkedReplayRequested {
        /// `None`: all of them.
        key: Option<String>,
        reason: Reason,
    },
    ParkedSkipped {
        skipped: SkippedKey,
        reason: Reason,
    },
}

impl ProjectionControlEvent {
    /// The build under way that it is about.
    pub(super) fn build(&self) -> Option<Build> {
        match self {
            Self::RebuildPaused { build, .. }
            | Self::RebuildResumed { build, .. }
            | Self::RebuildThrottled { build, .. }
            | Self::RebuildCancelled { build, .. }
            | Self::ParkedAccepted { build, .. } => Some(*build),
            Self::RebuildRequested { .. }
            | Self::ParkedReplayRequested { .. }
            | Self::ParkedSkipped { .. } => None,
        }
    }
}

named_events! {
    ProjectionControlEvent, version "1",
    RebuildRequested => "operations.projection.rebuild_requested",
    RebuildPaused => "operations.projection.rebuild_paused",
    RebuildResumed => "operations.projection.rebuild_resumed",
    RebuildThrottled => "operations.projection.rebuild_throttled",
    RebuildCancelled => "operations.projection.rebuild_cancelled",
    ParkedAccepted => "operations.projection.parked_accepted",
    ParkedReplayRequested => "operations.projection.parked_replay_requested",
    ParkedSkipped => "operations.projection.parked_skipped",
}
