//! A person with an account.

mod commands;
mod errors;
mod events;
mod external;
#[cfg(test)]
mod external_tests;
mod mailed;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub use commands::UserCommand;
pub use errors::UserError;
pub use events::{UserEvent, VerificationOccasion};
pub use external::ExternalIdentity;
use mailed::MailedToken;

use super::{Profile, UserSettings};
use crate::kernel::{
    ApiKeyId, EmailAddress, ExternalIdentityId, OrganizationId, Owner, Personal, Secret, SessionId, UserId,
};

/// A user, as their events left them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub status: UserStatus,
    email: Option<Personal<EmailAddress>>,
    /// Whether the address was confirmed by a token mailed to it.
    pub email_verified: bool,
    profile: Option<Personal<Profile>>,
    settings: Option<Personal<UserSettings>>,
    password: Option<Secret<String>>,
    email_change: Option<EmailChange>,
    email_verification: Option<MailedToken>,
    password_reset: Option<MailedToken>,
    /// Accounts at other providers that lead in.
    pub external_identities: BTreeMap<ExternalIdentityId, ExternalIdentity>,
    session_epoch: u32,
    kept_session: Option<SessionId>,
    /// Every organization the user is a member of.
    pub organizations: BTreeSet<OrganizationId>,
    /// The keys that are not revoked.
    pub api_keys: BTreeSet<ApiKeyId>,
    /// May use the tools of the installation.
    pub operator: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    #[default]
    Absent,
    Active,
    Deleted,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct EmailChange {
    address: Personal<EmailAddress>,
    token: Secret<String>,
    expires_at: DateTime<Utc>,
}

impl User {
    pub const ORGANIZATIONS_MAX: usize = 100;
    pub const API_KEYS_MAX: usize = 50;
    pub const EMAIL_CHANGE_VALID_FOR: TimeDelta = TimeDelta::hours(24);
    pub const VERIFICATION_VALID_FOR: TimeDelta = TimeDelta::days(7);
    pub const PASSWORD_RESET_VALID_FOR: TimeDelta = TimeDelta::hours(1);
    /// Between two links of one kind: nobody's mailbox is flooded through us.
    pub const LINKS_APART: TimeDelta = TimeDelta::minutes(1);
    /// Changes with the fields above: a snapshot of another shape is ignored.
    pub const SNAPSHOT_FINGERPRINT: &'static str = "user-3";

    pub fn is_active(&self) -> bool {
        self.status == UserStatus::Active
    }

    pub fn email(&self) -> Option<&EmailAddress> {
        self.email.as_ref()?.get()
    }

    pub fn profile(&self) -> Profile {
        self.profile.as_ref().and_then(Personal::get).cloned().unwrap_or_default()
    }

    pub fn settings(&self) -> UserSettings {
        self.settings.as_ref().and_then(Personal::get).cloned().unwrap_or_default()
    }

    /// argon2id in PHC form.
    pub fn password_hash(&self) -> Option<&str> {
        self.password.as_ref()?.get().map(String::as_str)
    }

    /// The epoch that a session opened now belongs to.
    pub fn session_epoch(&self) -> u32 {
        self.session_epoch
    }

    /// Whether a session opened in `epoch` still counts: no change of password ended it.
    pub fn honours_session(&self, session: SessionId, epoch: u32) -> bool {
        self.is_active() && (epoch == self.session_epoch || self.kept_session == Some(session))
    }

    /// The address that waits for its confirmation, and until when.
    pub fn pending_email(&self, now: DateTime<Utc>) -> Option<&EmailAddress> {
        self.email_change.as_ref().filter(|change| now < change.expires_at)?.address.get()
    }

    /// Where the user's secrets are sealed.
    pub fn secrets(id: UserId) -> Owner {
        Owner::of("user-secret", id)
    }

    fn active(&self) -> Result<(), UserError> {
        if self.is_active() { Ok(()) } else { Err(UserError::NotFound) }
    }

    /// What a command leads to, if anything.
    fn decide(&self, command: UserCommand) -> Result<Option<UserEvent>, UserError> {
        if let UserCommand::Register { user_id, email, profile, settings, password_hash } = command {
            if self.status != UserStatus::Absent {
                return Err(UserError::AlreadyRegistered);
            }
            return Ok(Some(UserEvent::Registered {
                user_id,
                email: Personal::new(user_id, email),
                profile: Personal::new(user_id, profile),
                settings: Personal::new(user_id, settings),
                password: password_hash.map(|hash| Secret::new(Self::secrets(user_id), hash)),
            }));
        }
        self.active()?;
        match command {
            UserCommand::Register { .. } => Err(UserError::AlreadyRegistered),
            UserCommand::ChangeProfile { profile } => {
                let changed = profile != self.profile();
                Ok(changed.then(|| UserEvent::ProfileChanged { profile: Personal::new(self.id, profile) }))
            }
            UserCommand::ChangeSettings { settings } => {
                let changed = settings != self.settings();
                Ok(changed.then(|| UserEvent::SettingsChanged { settings: Personal::new(self.id, settings) }))
            }
            UserCommand::ChangePassword { password_hash, keep_session } => {
                Ok(Some(UserEvent::PasswordChanged {
                    password: Secret::new(Self::secrets(self.id), password_hash),
                    session_epoch: self.session_epoch + 1,
                    kept_session: keep_session,
                }))
            }
            UserCommand::RevokeSessions { keep_session } => Ok(Some(UserEvent::SessionsRevoked {
                session_epoch: self.session_epoch + 1,
                kept_session: keep_session,
            })),
            UserCommand::RequestEmailChange { request_id, address, token_digest, now } => {
                if self.email() == Some(&address) {
                    return Err(UserError::SameAddress);
                }
                Ok(Some(UserEvent::EmailChangeRequested {
                    address: Personal::new(self.id, address),
                    token: Secret::new(Self::secrets(self.id), token_digest),
                    request_id,
                    expires_at: now + Self::EMAIL_CHANGE_VALID_FOR,
                }))
            }
            UserCommand::ConfirmEmailChange { token_digest, now } => {
                let change = self
                    .email_change
                    .as_ref()
                    .filter(|change| now < change.expires_at && change.token.get() == Some(&token_digest))
                    .ok_or(UserError::NoSuchEmailChange)?;
                let address = change.address.get().ok_or(UserError::NoSuchEmailChange)?;
                Ok(Some(UserEvent::EmailChanged { email: Personal::new(self.id, address.clone()) }))
            }
            UserCommand::RequestEmailVerification { request_id, occasion, token_digest, now } => {
                self.request_verification(request_id, occasion, token_digest, now).map(Some)
            }
            UserCommand::VerifyEmail { token_digest, now } => {
                let asked = self.email_verification.as_ref();
                let is_valid = asked.is_some_and(|asked| asked.is(&token_digest, now));
                is_valid.then_some(Some(UserEvent::EmailVerified)).ok_or(UserError::NoSuchVerification)
            }
            UserCommand::RequestPasswordReset { request_id, token_digest, now } => {
                Ok(self.request_password_reset(request_id, token_digest, now))
            }
            UserCommand::ResetPassword { token_digest, password_hash, now } => {
                if !self.awaits_reset(&token_digest, now) {
                    return Err(UserError::NoSuchPasswordReset);
                }
                Ok(Some(UserEvent::PasswordChanged {
                    password: Secret::new(Self::secrets(self.id), password_hash),
                    session_epoch: self.session_epoch + 1,
                    kept_session: None,
                }))
            }
            UserCommand::AcceptEmail => Ok((!self.email_verified).then_some(UserEvent::EmailVerified)),
            UserCommand::LinkExternalIdentity { external_identity_id, provider, issuer, account } => {
                self.link(external_identity_id, provider, issuer, account)
            }
            UserCommand::UnlinkExternalIdentity { external_identity_id } => {
                self.unlink(external_identity_id).map(Some)
            }
            UserCommand::JoinOrganization { organization_id } => self.join(organization_id),
            UserCommand::LeaveOrganization { organization_id } => Ok(self
                .organizations
                .contains(&organization_id)
                .then_some(UserEvent::OrganizationLeft { organization_id })),
            UserCommand::AddApiKey { api_key_id } => {
                if self.api_keys.len() >= Self::API_KEYS_MAX {
                    return Err(UserError::TooManyApiKeys { max: Self::API_KEYS_MAX });
                }
                Ok(Some(UserEvent::ApiKeyAdded { api_key_id }))
            }
            UserCommand::RemoveApiKey { api_key_id } => {
                Ok(self.api_keys.contains(&api_key_id).then_some(UserEvent::ApiKeyRemoved { api_key_id }))
            }
            UserCommand::GrantOperator => Ok((!self.operator).then_some(UserEvent::OperatorGranted)),
            UserCommand::RevokeOperator => Ok(self.operator.then_some(UserEvent::OperatorRevoked)),
            UserCommand::Delete if self.organizations.is_empty() => Ok(Some(UserEvent::Deleted)),
            UserCommand::Delete => Err(UserError::StillMember),
        }
    }

    fn join(&self, organization_id: OrganizationId) -> Result<Option<UserEvent>, UserError> {
        if self.organizations.contains(&organization_id) {
            return Ok(None);
        }
        if self.organizations.len() >= Self::ORGANIZATIONS_MAX {
            return Err(UserError::TooManyOrganizations { max: Self::ORGANIZATIONS_MAX });
        }
        Ok(Some(UserEvent::OrganizationJoined { organization_id }))
    }
}

impl Aggregate for User {
    const TYPE: &'static str = "identity.user";
    type Command = UserCommand;
    type Event = UserEvent;
    type Error = UserError;
    type Services = ();

    async fn handle(
        &mut self,
        command: UserCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), UserError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: UserEvent) {
        match event {
            UserEvent::Registered { user_id, email, profile, settings, password } => {
                self.id = user_id;
                self.status = UserStatus::Active;
                self.email = Some(email);
                self.profile = Some(profile);
                self.settings = Some(settings);
                self.password = password;
            }
            UserEvent::ProfileChanged { profile } => self.profile = Some(profile),
            UserEvent::SettingsChanged { settings } => self.settings = Some(settings),
            UserEvent::PasswordChanged { password, session_epoch, kept_session } => {
                self.password = Some(password);
                self.session_epoch = session_epoch;
                self.kept_session = kept_session;
                self.password_reset = None;
            }
            UserEvent::SessionsRevoked { session_epoch, kept_session } => {
                self.session_epoch = session_epoch;
                self.kept_session = kept_session;
            }
            UserEvent::EmailChangeRequested { address, token, request_id: _, expires_at } => {
                self.email_change = Some(EmailChange { address, token, expires_at });
            }
            UserEvent::EmailChanged { email } => {
                self.email = Some(email);
                self.email_verified = true;
                self.email_change = None;
                // What was mailed to the address of before proves nothing of this one.
                self.email_verification = None;
                self.password_reset = None;
            }
            UserEvent::EmailVerificationRequested { token, expires_at, .. } => {
                self.email_verification = Some(MailedToken::new(token, expires_at));
            }
            UserEvent::EmailVerified => {
                self.email_verified = true;
                self.email_verification = None;
            }
            UserEvent::PasswordResetRequested { token, expires_at, .. } => {
                self.password_reset = Some(MailedToken::new(token, expires_at));
            }
            UserEvent::ExternalIdentityLinked { external_identity_id, provider, issuer, account } => {
                let linked = ExternalIdentity { provider, issuer, account };
                self.external_identities.insert(external_identity_id, linked);
            }
            UserEvent::ExternalIdentityUnlinked { external_identity_id } => {
                self.external_identities.remove(&external_identity_id);
            }
            UserEvent::OrganizationJoined { organization_id } => {
                self.organizations.insert(organization_id);
            }
            UserEvent::OrganizationLeft { organization_id } => {
                self.organizations.remove(&organization_id);
            }
            UserEvent::ApiKeyAdded { api_key_id } => {
                self.api_keys.insert(api_key_id);
            }
            UserEvent::ApiKeyRemoved { api_key_id } => {
                self.api_keys.remove(&api_key_id);
            }
            UserEvent::OperatorGranted => self.operator = true,
            UserEvent::OperatorRevoked => self.operator = false,
            // Nothing of the person stays, so that no cache or snapshot keeps it.
            UserEvent::Deleted => {
                *self = Self { id: self.id, status: UserStatus::Deleted, ..Self::default() };
            }
        }
    }
}
