use annals_domain::{Refusal, RefusalKind};

/// Why the operator's tools do nothing, beyond what the aggregates refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OperationRefusal {
    #[error("there is no such read model")]
    NoSuchReadModel,
    #[error("a build of this read model is under way already; cancel it first, or let it end")]
    RebuildUnderWay,
    #[error("no build of this read model is under way")]
    NoRebuild,
    #[error("this read model was never built: there is nothing to fall back on if its build is cancelled")]
    NothingToFallBackOn,
    #[error("nothing is parked on this key")]
    NotParked,
    #[error("there is no such timer")]
    NoSuchTimer,
    #[error("this timer is not parked: only one that waits for a person is tried again")]
    TimerNotParked,
    #[error("a call for this timer is under way; wait for its outcome")]
    TimerLeased,
}

impl Refusal for OperationRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchReadModel | Self::NotParked | Self::NoSuchTimer => RefusalKind::NotFound,
            Self::RebuildUnderWay
            | Self::NoRebuild
            | Self::NothingToFallBackOn
            | Self::TimerNotParked
            | Self::TimerLeased => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchReadModel | Self::NotParked | Self::NoSuchTimer => "NOT_FOUND",
            Self::RebuildUnderWay => "REBUILD_UNDER_WAY",
            Self::NoRebuild => "NO_REBUILD_UNDER_WAY",
            Self::NothingToFallBackOn => "NOTHING_TO_FALL_BACK_ON",
            Self::TimerNotParked => "TIMER_NOT_PARKED",
            Self::TimerLeased => "TIMER_LEASED",
        }
    }
}
