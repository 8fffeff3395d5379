//! What is refused before, or beside, an aggregate's own decision.

use annals_domain::{Refusal, RefusalKind};

use crate::ports::social::{FailureClass, ProviderError};

#[derive(Debug, thiserror::Error)]
pub enum PublishingRefusal {
    #[error("only its author or an admin may change this post")]
    NotYours,
    #[error("is no platform of this installation")]
    UnknownPlatform,
    /// The platform does not accept what the user gave.
    #[error("{message}")]
    CredentialsRefused { message: String, field: Option<String> },
    /// The platform did not answer, or not sensibly; [`Refusal::code`] is `PLATFORM_UNAVAILABLE`.
    #[error("{platform} can't be reached now, try again later: {message}")]
    PlatformUnavailable { platform: &'static str, message: String },
}

impl PublishingRefusal {
    /// What a failed sign-in means for the person who tried.
    pub(super) fn of_sign_in(platform: &'static str, error: &ProviderError) -> Self {
        match error.class {
            FailureClass::Retry | FailureClass::OutcomeUnknown => {
                Self::PlatformUnavailable { platform, message: error.message.clone() }
            }
            FailureClass::RefreshToken
            | FailureClass::BadContent
            | FailureClass::Disconnected
            | FailureClass::Unsupported => Self::CredentialsRefused {
                message: error.message.clone(),
                field: error.field.map(|field| format!("credentials.{field}")),
            },
        }
    }
}

impl Refusal for PublishingRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotYours => RefusalKind::Forbidden,
            Self::UnknownPlatform | Self::CredentialsRefused { .. } => RefusalKind::Invalid,
            Self::PlatformUnavailable { .. } => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotYours => "FORBIDDEN",
            Self::UnknownPlatform | Self::CredentialsRefused { .. } => "VALIDATION_ERROR",
            Self::PlatformUnavailable { .. } => "PLATFORM_UNAVAILABLE",
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::UnknownPlatform => Some("platform"),
            Self::CredentialsRefused { field, .. } => Some(field.as_deref().unwrap_or("credentials")),
            Self::NotYours | Self::PlatformUnavailable { .. } => None,
        }
    }
}
