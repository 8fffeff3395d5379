use annals_domain::{Refusal, RefusalKind, kernel::InvalidText};

use crate::tiers::TiersError;

/// What no aggregate alone can refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityRefusal {
    /// Says neither whether the address is known nor which of the two was wrong.
    #[error("the mail address or the password is wrong")]
    WrongCredentials,
    #[error("there is an account with this mail address already, sign in instead")]
    EmailTaken,
    #[error("is not your current password")]
    WrongPassword { field: &'static str },
    /// Who came from another provider can set one by mail.
    #[error("this account has no password: set one with the link that auth/forgot-password mails")]
    NoPassword,
    #[error("there is no such organization")]
    NotAMember,
    #[error("there is no such session")]
    NoSuchSession,
    #[error("there is no account with this mail address")]
    NoSuchAccount,
    /// Says not whether it is wrong or of no use any more.
    #[error("is not the setup code of this installation, or it has an operator already")]
    WrongSetupCode,
    #[error("{0}")]
    UnfitPassword(InvalidText),
    #[error(transparent)]
    UnknownTier(#[from] TiersError),
}

impl Refusal for IdentityRefusal {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::WrongCredentials => RefusalKind::Unauthorized,
            Self::EmailTaken | Self::NoPassword => RefusalKind::Conflict,
            Self::WrongPassword { .. }
            | Self::WrongSetupCode
            | Self::UnfitPassword(_)
            | Self::UnknownTier(_) => RefusalKind::Invalid,
            Self::NotAMember | Self::NoSuchSession | Self::NoSuchAccount => RefusalKind::NotFound,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::WrongCredentials => "INVALID_CREDENTIALS",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::WrongPassword { .. } => "WRONG_PASSWORD",
            Self::NoPassword => "NO_PASSWORD",
            Self::NotAMember => "ORGANIZATION_NOT_FOUND",
            Self::NoSuchSession => "SESSION_NOT_FOUND",
            Self::NoSuchAccount => "USER_NOT_FOUND",
            Self::UnfitPassword(_) | Self::UnknownTier(_) => "VALIDATION_ERROR",
            Self::WrongSetupCode => "WRONG_SETUP_CODE",
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::EmailTaken => Some("email"),
            Self::UnfitPassword(_) => Some("password"),
            Self::WrongSetupCode => Some("code"),
            Self::UnknownTier(_) => Some("tier"),
            Self::WrongPassword { field } => Some(field),
            _ => None,
        }
    }
}
