use crate::{
    Refusal, RefusalKind,
    kernel::{QuotaExceeded, Role},
};

/// Why an organization's command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationError {
    #[error("there is no such organization")]
    NotFound,
    #[error("there is an organization with this id already")]
    AlreadyCreated,
    #[error("there is no such member")]
    NoSuchMember,
    #[error("there is no such invitation, or it was used or revoked")]
    NoSuchInvitation,
    #[error("your role is {role}, this takes at least {needed}")]
    RoleTooWeak { role: Role, needed: Role },
    #[error("your role is {own}, you can't grant {granted}")]
    CannotGrant { own: Role, granted: Role },
    #[error("your role is {own}, you can't change a member whose role is {theirs}")]
    CannotTouch { own: Role, theirs: Role },
    #[error("ownership is handed on with a transfer, not granted")]
    OwnerOnlyByTransfer,
    #[error("the organization needs an owner, transfer ownership first")]
    OwnerMustTransfer,
    #[error("you own the organization already, name another member")]
    AlreadyOwner,
    #[error("to go yourself, leave the organization")]
    UseLeave,
    #[error("is a member already")]
    AlreadyMember,
    #[error("has an open invitation already, revoke it first")]
    AlreadyInvited,
    #[error("the invitation has expired, ask for a new one")]
    InvitationExpired,
    #[error("the invitation is for another mail address, sign in with that one")]
    InvitationForAnotherAddress,
    #[error("who invited may not grant this role any more, ask for a new invitation")]
    InvitationVoid,
    #[error("an organization can have at most {max} members")]
    TooManyMembers { max: usize },
    #[error("an organization can have at most {max} open invitations, revoke one first")]
    TooManyInvitations { max: usize },
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
}

impl Refusal for OrganizationError {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound | Self::NoSuchMember | Self::NoSuchInvitation => RefusalKind::NotFound,
            Self::RoleTooWeak { .. }
            | Self::CannotGrant { .. }
            | Self::CannotTouch { .. }
            | Self::InvitationForAnotherAddress => RefusalKind::Forbidden,
            Self::OwnerOnlyByTransfer | Self::AlreadyOwner => RefusalKind::Invalid,
            Self::AlreadyCreated
            | Self::OwnerMustTransfer
            | Self::UseLeave
            | Self::AlreadyMember
            | Self::AlreadyInvited
            | Self::InvitationExpired
            | Self::InvitationVoid
            | Self::TooManyMembers { .. }
            | Self::TooManyInvitations { .. }
            | Self::Quota(_) => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "ORGANIZATION_NOT_FOUND",
            Self::AlreadyCreated => "ORGANIZATION_ALREADY_CREATED",
            Self::NoSuchMember => "MEMBER_NOT_FOUND",
            Self::NoSuchInvitation => "INVITATION_NOT_FOUND",
            Self::RoleTooWeak { .. } => "FORBIDDEN",
            Self::CannotGrant { .. } => "ROLE_ABOVE_OWN",
            Self::CannotTouch { .. } => "MEMBER_ABOVE_OWN",
            Self::OwnerOnlyByTransfer => "OWNER_ONLY_BY_TRANSFER",
            Self::OwnerMustTransfer => "OWNER_MUST_TRANSFER",
            Self::AlreadyOwner => "ALREADY_OWNER",
            Self::UseLeave => "USE_LEAVE",
            Self::AlreadyMember => "ALREADY_MEMBER",
            Self::AlreadyInvited => "ALREADY_INVITED",
            Self::InvitationExpired => "INVITATION_EXPIRED",
            Self::InvitationForAnotherAddress => "INVITATION_FOR_ANOTHER_ADDRESS",
            Self::InvitationVoid => "INVITATION_VOID",
            Self::TooManyMembers { .. } => "TOO_MANY_MEMBERS",
            Self::TooManyInvitations { .. } => "TOO_MANY_INVITATIONS",
            Self::Quota(exceeded) => exceeded.code(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::OwnerOnlyByTransfer => Some("role"),
            Self::AlreadyOwner => Some("userId"),
            _ => None,
        }
    }

    fn quota(&self) -> Option<&QuotaExceeded> {
        match self {
            Self::Quota(exceeded) => Some(exceeded),
            _ => None,
        }
    }
}
