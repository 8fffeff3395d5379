//! A key for programs: it can do what its creator can do now, cut to its scopes.

mod commands;
mod errors;
mod events;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub use commands::ApiKeyCommand;
pub use errors::ApiKeyError;
pub use events::ApiKeyEvent;

use super::Scope;
use crate::kernel::{ApiKeyId, OrganizationId, Owner, Personal, Secret, UserId};

/// An API key, as its events left it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub scopes: Vec<Scope>,
    digest: Option<Secret<String>>,
    last_used_at: Option<DateTime<Utc>>,
    state: KeyState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyState {
    #[default]
    Absent,
    Active,
    Revoked,
}

impl ApiKey {
    /// Uses closer together than this are noted once.
    pub const USE_NOTED_EVERY: TimeDelta = TimeDelta::hours(1);
    /// Changes with the fields above: a snapshot of another shape is ignored.
    pub const SNAPSHOT_FINGERPRINT: &'static str = "api-key-1";

    pub fn is_active(&self) -> bool {
        self.state == KeyState::Active
    }

    /// SHA-256 of the key, in hex, while it is active.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_ref()?.get().map(String::as_str)
    }

    /// Whether a use at `now` is worth an event.
    pub fn use_is_news(&self, now: DateTime<Utc>) -> bool {
        self.is_active() && self.last_used_at.is_none_or(|last| now - last >= Self::USE_NOTED_EVERY)
    }

    /// Where the key's digest is sealed.
    pub fn secrets(id: ApiKeyId) -> Owner {
        Owner::of("api_key", id)
    }

    fn decide(&self, command: ApiKeyCommand) -> Result<Option<ApiKeyEvent>, ApiKeyError> {
        match command {
            ApiKeyCommand::Create { api_key_id, user_id, organization_id, name, mut scopes, digest } => {
                if self.state != KeyState::Absent {
                    return Err(ApiKeyError::AlreadyCreated);
                }
                scopes.sort();
                scopes.dedup();
                if scopes.len() > Scope::PER_KEY_MAX {
                    return Err(ApiKeyError::TooManyScopes);
                }
                Ok(Some(ApiKeyEvent::Created {
                    api_key_id,
                    user_id,
                    organization_id,
                    name: Personal::new(user_id, name),
                    scopes,
                    digest: Secret::new(Self::secrets(api_key_id), digest),
                }))
            }
            ApiKeyCommand::NoteUse { now } => {
                Ok(self.use_is_news(now).then_some(ApiKeyEvent::Used { at: now }))
            }
            ApiKeyCommand::Revoke { by } => match self.state {
                _ if by != self.user_id => Err(ApiKeyError::NotFound),
                KeyState::Absent => Err(ApiKeyError::NotFound),
                KeyState::Active => Ok(Some(ApiKeyEvent::Revoked)),
                KeyState::Revoked => Ok(None),
            },
        }
    }
}

impl Aggregate for ApiKey {
    const TYPE: &'static str = "identity.api_key";
    type Command = ApiKeyCommand;
    type Event = ApiKeyEvent;
    type Error = ApiKeyError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ApiKeyCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ApiKeyError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ApiKeyEvent) {
        match event {
            ApiKeyEvent::Created { api_key_id, user_id, organization_id, name: _, scopes, digest } => {
                self.id = api_key_id;
                self.user_id = user_id;
                self.organization_id = organization_id;
                self.scopes = scopes;
                self.digest = Some(digest);
                self.state = KeyState::Active;
            }
            ApiKeyEvent::Used { at } => self.last_used_at = Some(at),
            ApiKeyEvent::Revoked => {
                self.state = KeyState::Revoked;
                self.digest = None;
            }
        }
    }
}
