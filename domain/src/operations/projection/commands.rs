use super::{Build, EventsPerSecond, SkippedKey};
use crate::operations::Reason;

/// What may be done to a read model.
#[derive(Clone, Debug)]
pub enum ProjectionControlCommand {
    /// Builds it again beside the live one, at most so fast.
    RequestRebuild { events_per_second_max: Option<EventsPerSecond>, reason: Reason },
    /// Fine if it is paused already.
    PauseRebuild { build: Build, reason: Reason },
    /// Fine if it runs already.
    ResumeRebuild { build: Build, reason: Reason },
    /// `None` lifts the limit.
    ThrottleRebuild { build: Build, events_per_second_max: Option<EventsPerSecond>, reason: Reason },
    /// Gives the build up, whatever it has done; the live one is not touched.
    CancelRebuild { build: Build, reason: Reason },
    /// Lets a build that has parked keys take over all the same.
    AcceptParked { build: Build, reason: Reason },
    /// Applies what is parked, in order: one key, or all with `None`.
    ReplayParked { key: Option<String>, reason: Reason },
    /// Leaves out what is parked on a key.
    SkipParked { skipped: SkippedKey, reason: Reason },
}

impl ProjectionControlCommand {
    /// The build it is about, if it is about one that is under way.
    pub(super) fn build(&self) -> Option<Build> {
        match self {
            Self::PauseRebuild { build, .. }
            | Self::ResumeRebuild { build, .. }
            | Self::ThrottleRebuild { build, .. }
            | Self::CancelRebuild { build, .. }
            | Self::AcceptParked { build, .. } => Some(*build),
            Self::RequestRebuild { .. } | Self::ReplayParked { .. } | Self::SkipParked { .. } => None,
        }
    }
}
