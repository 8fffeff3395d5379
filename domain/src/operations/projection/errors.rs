use crate::{Refusal, RefusalKind};

/// Why an intervention in a read model is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionControlError {
    #[error("this rebuild was cancelled; request another one")]
    Cancelled,
}

impl Refusal for ProjectionControlError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        "REBUILD_CANCELLED"
    }
}
