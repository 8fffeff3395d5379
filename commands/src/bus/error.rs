//! Why a command did nothing.

use annals_domain::Refusal;
use annals_eventstore::{AppendError, ClaimKey, LoadError, StoreError};

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The aggregate said no; its words are for the caller.
    #[error("{0}")]
    Refused(Box<dyn Refusal>),
    /// `If-Match` named another version, or conflicts did not end within the tries.
    #[error("the version is {actual}, not {expected}")]
    VersionConflict { expected: u64, actual: u64 },
    #[error("the key in {} is taken", .0.namespace())]
    ClaimTaken(ClaimKey),
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("the answer to the first call with this key showed a secret and can't be shown again")]
    AnswerExpired,
    #[error(transparent)]
    Append(AppendError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommandError {
    /// For `map_err` on what an aggregate or a check refused.
    pub fn refused(refusal: impl Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }

    /// Whether it is an answer decided on loaded aggregates, rather than a failure to find one.
    pub(super) fn is_a_decision(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::VersionConflict { .. } | Self::ClaimTaken(_))
    }

    /// The metrics' word for it.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::VersionConflict { .. } => "version_conflict",
            Self::ClaimTaken(_) => "claim_taken",
            Self::KeyReused => "key_reused",
            Self::AnswerExpired => "answer_expired",
            Self::Append(_) | Self::Load(_) | Self::Store(_) => "failed",
        }
    }
}
