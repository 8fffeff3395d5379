use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    identity::{ExternalAccount, Issuer, Profile, ProviderName, UserSettings},
    kernel::{
        ApiKeyId, EmailAddress, ExternalIdentityId, OrganizationId, Personal, Secret, SessionId, UserId,
        named_events,
    },
};

/// What happened to a user, each `identity.user.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserEvent {
    Registered {
        user_id: UserId,
        email: Personal<EmailAddress>,
        profile: Personal<Profile>,
        settings: Personal<UserSettings>,
        /// argon2id in PHC form; left out for who comes from another provider and has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Secret<String>>,
    },
    ProfileChanged {
        profile: Personal<Profile>,
    },
    SettingsChanged {
        settings: Personal<UserSettings>,
    },
    PasswordChanged {
        password: Secret<String>,
        /// Sessions of another epoch are over, but for the kept one.
        session_epoch: u32,
        kept_session: Option<SessionId>,
    },
    SessionsRevoked {
        session_epoch: u32,
        kept_session: Option<SessionId>,
    },
    EmailChangeRequested {
        address: Personal<EmailAddress>,
        /// SHA-256 of the token that is mailed to the new address.
        token: Secret<String>,
        /// From which the token is derived; new for every request.
        request_id: uuid::Uuid,
        expires_at: DateTime<Utc>,
    },
    EmailChanged {
        email: Personal<EmailAddress>,
    },
    /// A link goes to the account's address; one of before does not count any more.
    EmailVerificationRequested {
        /// SHA-256 of the token that is mailed.
        token: Secret<String>,
        /// From which the token is derived; new for every request.
        request_id: uuid::Uuid,
        occasion: VerificationOccasion,
        expires_at: DateTime<Utc>,
    },
    /// The token that was mailed to the address came back, or a provider that verified it vouched for it.
    EmailVerified,
    /// A link goes to the account's address; one of before does not count any more.
    PasswordResetRequested {
        /// SHA-256 of the token that is mailed.
        token: Secret<String>,
        /// From which the token is derived; new for every request.
        request_id: uuid::Uuid,
        expires_at: DateTime<Utc>,
    },
    /// The person may sign in at another provider from now on.
    ExternalIdentityLinked {
        external_identity_id: ExternalIdentityId,
        /// What this installation calls the provider.
        provider: ProviderName,
        /// Within which the account is one and the same for ever.
        issuer: Issuer,
        account: Personal<ExternalAccount>,
    },
    ExternalIdentityUnlinked {
        external_identity_id: ExternalIdentityId,
    },
    OrganizationJoined {
        organization_id: OrganizationId,
    },
    OrganizationLeft {
        organization_id: OrganizationId,
    },
    ApiKeyAdded {
        api_key_id: ApiKeyId,
    },
    ApiKeyRemoved {
        api_key_id: ApiKeyId,
    },
    OperatorGranted,
    OperatorRevoked,
    Deleted,
}

/// Why an address is to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerificationOccasion {
    /// The account is new: the mail welcomes, too.
    Registration,
    /// The person asked for another link.
    Asked,
}

named_events! {
    UserEvent, version "1",
    Registered => "identity.user.registered",
    ProfileChanged => "identity.user.profile_changed",
    SettingsChanged => "identity.user.settings_changed",
    PasswordChanged => "identity.user.password_changed",
    SessionsRevoked => "identity.user.sessions_revoked",
    EmailChangeRequested => "identity.user.email_change_requested",
    EmailChanged => "identity.user.email_changed",
    EmailVerificationRequested => "identity.user.email_verification_requested",
    EmailVerified => "identity.user.email_verified",
    PasswordResetRequested => "identity.user.password_reset_requested",
    ExternalIdentityLinked => "identity.user.external_identity_linked",
    ExternalIdentityUnlinked => "identity.user.external_identity_unlinked",
    OrganizationJoined => "identity.user.organization_joined",
    OrganizationLeft => "identity.user.organization_left",
    ApiKeyAdded => "identity.user.api_key_added",
    ApiKeyRemoved => "identity.user.api_key_removed",
    OperatorGranted => "identity.user.operator_granted",
    OperatorRevoked => "identity.user.operator_revoked",
    Deleted => "identity.user.deleted",
}
