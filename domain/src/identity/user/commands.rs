use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::VerificationOccasion;
use crate::{
    identity::{ExternalAccount, Issuer, Profile, ProviderName, UserSettings},
    kernel::{ApiKeyId, EmailAddress, ExternalIdentityId, OrganizationId, SessionId, UserId},
};

/// What may be asked of a user. Hashes and digests come in ready made.
#[derive(Clone, Debug)]
pub enum UserCommand {
    Register {
        user_id: UserId,
        email: EmailAddress,
        profile: Profile,
        settings: UserSettings,
        /// None for who comes from another provider.
        password_hash: Option<String>,
    },
    ChangeProfile {
        profile: Profile,
    },
    ChangeSettings {
        settings: UserSettings,
    },
    /// Ends every session but the kept one.
    ChangePassword {
        password_hash: String,
        keep_session: Option<SessionId>,
    },
    /// Ends every session but the kept one.
    RevokeSessions {
        keep_session: Option<SessionId>,
    },
    RequestEmailChange {
        request_id: Uuid,
        address: EmailAddress,
        token_digest: String,
        now: DateTime<Utc>,
    },
    ConfirmEmailChange {
        token_digest: String,
        now: DateTime<Utc>,
    },
    /// A link to the address that the account has; at most one a minute.
    RequestEmailVerification {
        request_id: Uuid,
        occasion: VerificationOccasion,
        token_digest: String,
        now: DateTime<Utc>,
    },
    VerifyEmail {
        token_digest: String,
        now: DateTime<Utc>,
    },
    /// A provider vouches for the account's address.
    AcceptEmail,
    /// One account of each issuer at most.
    LinkExternalIdentity {
        external_identity_id: ExternalIdentityId,
        provider: ProviderName,
        issuer: Issuer,
        account: ExternalAccount,
    },
    /// Never the only way in.
    UnlinkExternalIdentity {
        external_identity_id: ExternalIdentityId,
    },
    /// A link with which a new password may be set; asked for again within a minute it does nothing.
    RequestPasswordReset {
        request_id: Uuid,
        token_digest: String,
        now: DateTime<Utc>,
    },
    /// Ends every session.
    ResetPassword {
        token_digest: String,
        password_hash: String,
        now: DateTime<Utc>,
    },
    JoinOrganization {
        organization_id: OrganizationId,
    },
    LeaveOrganization {
        organization_id: OrganizationId,
    },
    AddApiKey {
        api_key_id: ApiKeyId,
    },
    RemoveApiKey {
        api_key_id: ApiKeyId,
    },
    GrantOperator,
    RevokeOperator,
    /// Only once every organization is left.
    Delete,
}
