use crate::{Refusal, RefusalKind};

/// Why a user's command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    #[error("there is no such user")]
    NotFound,
    #[error("there is an account with this id already")]
    AlreadyRegistered,
    #[error("that is the address already, give another one")]
    SameAddress,
    #[error("the link is not valid any more, ask for a new one")]
    NoSuchEmailChange,
    #[error("the link is not valid any more, ask for a new one")]
    NoSuchVerification,
    #[error("the link is not valid any more, ask for a new one")]
    NoSuchPasswordReset,
    #[error("this mail address is verified already")]
    AlreadyVerified,
    #[error("a link was mailed less than a minute ago, look for it or ask again in a minute")]
    VerificationJustSent,
    #[error("another account of {issuer} is linked already, unlink it first")]
    LinkedDifferently { issuer: String },
    #[error("at most {max} accounts of other providers can be linked, unlink one first")]
    TooManyExternalIdentities { max: usize },
    #[error("no such account is linked")]
    NoSuchExternalIdentity,
    #[error("this is the only way into the account, set a password first (ask for a link to do so)")]
    OnlyWayIn,
    #[error("a user can be in at most {max} organizations, leave one first")]
    TooManyOrganizations { max: usize },
    #[error("a user can have at most {max} api keys, revoke one first")]
    TooManyApiKeys { max: usize },
    #[error("leave every organization before the account is deleted")]
    StillMember,
}

impl Refusal for UserError {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound | Self::NoSuchExternalIdentity => RefusalKind::NotFound,
            Self::NoSuchEmailChange
            | Self::NoSuchVerification
            | Self::NoSuchPasswordReset
            | Self::SameAddress => RefusalKind::Invalid,
            Self::AlreadyRegistered
            | Self::AlreadyVerified
            | Self::VerificationJustSent
            | Self::LinkedDifferently { .. }
            | Self::TooManyExternalIdentities { .. }
            | Self::OnlyWayIn
            | Self::TooManyOrganizations { .. }
            | Self::TooManyApiKeys { .. }
            | Self::StillMember => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "USER_NOT_FOUND",
            Self::AlreadyRegistered => "USER_ALREADY_REGISTERED",
            Self::SameAddress => "EMAIL_UNCHANGED",
            Self::NoSuchEmailChange => "EMAIL_CHANGE_INVALID",
            Self::NoSuchVerification => "VERIFICATION_INVALID",
            Self::NoSuchPasswordReset => "PASSWORD_RESET_INVALID",
            Self::AlreadyVerified => "EMAIL_ALREADY_VERIFIED",
            Self::VerificationJustSent => "VERIFICATION_JUST_SENT",
            Self::LinkedDifferently { .. } => "IDENTITY_LINKED_DIFFERENTLY",
            Self::TooManyExternalIdentities { .. } => "TOO_MANY_IDENTITIES",
            Self::NoSuchExternalIdentity => "IDENTITY_NOT_FOUND",
            Self::OnlyWayIn => "ONLY_WAY_IN",
            Self::TooManyOrganizations { .. } => "TOO_MANY_ORGANIZATIONS",
            Self::TooManyApiKeys { .. } => "TOO_MANY_API_KEYS",
            Self::StillMember => "USER_STILL_MEMBER",
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::SameAddress => Some("email"),
            Self::NoSuchEmailChange | Self::NoSuchVerification | Self::NoSuchPasswordReset => Some("token"),
            _ => None,
        }
    }
}
