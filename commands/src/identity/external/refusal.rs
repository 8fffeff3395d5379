use annals_domain::{Refusal, RefusalKind};

use crate::ports::sign_in::{ProviderInfo, SignInFailure};

/// Why nobody is let in, or nothing linked, by another provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalRefusal {
    #[error("there is no such provider")]
    NoSuchProvider,
    #[error("is not valid any more: sign in again")]
    NoSuchTicket,
    #[error("was not begun in this browser: begin again, and end it where you began")]
    AnotherBrowser,
    /// [`Refusal::code`] is `PROVIDER_UNAVAILABLE`.
    #[error("{provider} can't be reached now, try again later: {message}")]
    Unavailable { provider: String, message: String },
    #[error("{provider} refused: {message}")]
    Refused { provider: String, message: String },
    #[error("the answer of {provider} can't be trusted: {message}")]
    Untrusted { provider: String, message: String },
    #[error("{provider} has not verified a mail address of yours: verify it there, then sign in again")]
    UnverifiedThere { provider: String },
    #[error(
        "there is an account with this mail address that was never verified: sign in with its password (or \
         set a new one by mail), then link {provider} there or verify the address"
    )]
    UnverifiedHere { provider: String },
    #[error("this account of {provider} is linked to another account here")]
    LinkedElsewhere { provider: String },
    /// Somebody else registered or linked at the same moment.
    #[error("the account changed meanwhile, sign in again")]
    Moved,
}

impl ExternalRefusal {
    /// What a provider's failure means for the person; logged here, where it ends.
    pub(super) fn of(info: &ProviderInfo, failure: &SignInFailure) -> Self {
        let (provider, message) = (info.label.clone(), failure.to_string());
        let name = info.name.as_str();
        match failure {
            SignInFailure::Unavailable { source, .. } => {
                let error = source.as_ref().map(|error| format!("{error:?}")).unwrap_or_default();
                tracing::warn!(provider.name = name, message, error, "a sign-in provider is not available");
                Self::Unavailable { provider, message }
            }
            SignInFailure::Refused(_) => Self::Refused { provider, message },
            SignInFailure::Untrusted(_) => {
                tracing::warn!(provider.name = name, message, "a sign-in provider's answer is not trusted");
                Self::Untrusted { provider, message }
            }
        }
    }

    pub(super) fn unverified_there(info: &ProviderInfo) -> Self {
        Self::UnverifiedThere { provider: info.label.clone() }
    }

    pub(super) fn unverified_here(info: &ProviderInfo) -> Self {
        Self::UnverifiedHere { provider: info.label.clone() }
    }

    pub(super) fn linked_elsewhere(info: &ProviderInfo) -> Self {
        Self::LinkedElsewhere { provider: info.label.clone() }
    }
}

impl Refusal for ExternalRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchProvider => RefusalKind::NotFound,
            Self::NoSuchTicket | Self::AnotherBrowser | Self::Refused { .. } | Self::Untrusted { .. } => {
                RefusalKind::Invalid
            }
            Self::UnverifiedThere { .. } => RefusalKind::Forbidden,
            Self::Unavailable { .. }
            | Self::UnverifiedHere { .. }
            | Self::LinkedElsewhere { .. }
            | Self::Moved => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchProvider => "PROVIDER_NOT_FOUND",
            Self::NoSuchTicket => "SIGN_IN_CODE_INVALID",
            Self::AnotherBrowser => "AUTHORIZATION_OF_ANOTHER_BROWSER",
            Self::Unavailable { .. } => "PROVIDER_UNAVAILABLE",
            Self::Refused { .. } => "PROVIDER_REFUSED",
            Self::Untrusted { .. } => "PROVIDER_NOT_TRUSTED",
            Self::UnverifiedThere { .. } => "EMAIL_NOT_VERIFIED_THERE",
            Self::UnverifiedHere { .. } => "ACCOUNT_NOT_VERIFIED",
            Self::LinkedElsewhere { .. } => "IDENTITY_LINKED_ELSEWHERE",
            Self::Moved => "ACCOUNT_CHANGED",
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::AnotherBrowser => Some("state"),
            Self::NoSuchTicket | Self::Refused { .. } | Self::Untrusted { .. } => Some("code"),
            _ => None,
        }
    }
}
