use crate::{Refusal, RefusalKind};

/// Why a session's command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("there is a session with this id already")]
    AlreadyOpen,
    #[error("the session has ended, sign in again")]
    Ended,
}

impl Refusal for SessionError {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::AlreadyOpen => RefusalKind::Conflict,
            Self::Ended => RefusalKind::Unauthorized,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyOpen => "SESSION_ALREADY_OPEN",
            Self::Ended => "SESSION_ENDED",
        }
    }
}
