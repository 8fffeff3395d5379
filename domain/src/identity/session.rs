//! One sign-in on one device, through all its refreshes.

mod commands;
mod errors;
mod events;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub use commands::SessionCommand;
pub use errors::SessionError;
pub use events::{RevokedBecause, SessionEvent};

use crate::kernel::{OrganizationId, Owner, Secret, SessionId, UserId};

/// A session, as its events left it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    /// The organization that its next access token is for.
    pub organization_id: OrganizationId,
    /// Compared with the user's: see [`super::User::honours_session`].
    pub epoch: u32,
    /// How often the refresh token was exchanged.
    pub generation: u32,
    token: Option<Secret<String>>,
    expires_at: Option<DateTime<Utc>>,
    revoked: bool,
}

impl Session {
    /// After its last refresh.
    pub const VALID_FOR: TimeDelta = TimeDelta::days(30);
    /// Changes with the fields above: a snapshot of another shape is ignored.
    pub const SNAPSHOT_FINGERPRINT: &'static str = "session-1";

    /// Opened, not revoked, not expired. Whether its user honours it is asked of the user.
    pub fn is_alive(&self, now: DateTime<Utc>) -> bool {
        !self.revoked && self.expires_at.is_some_and(|end| now < end)
    }

    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }

    /// Where the digest of a session's refresh token is sealed.
    pub fn secrets(id: SessionId) -> Owner {
        Owner::of("session", id)
    }

    /// Whether this is the digest of the refresh token that counts now.
    pub fn expects(&self, digest: &str) -> bool {
        self.token.as_ref().and_then(Secret::get).is_some_and(|current| current == digest)
    }

    fn rotated(
        &self,
        organization_id: OrganizationId,
        digest: String,
        now: DateTime<Utc>,
    ) -> Result<Vec<SessionEvent>, SessionError> {
        if !self.is_alive(now) {
            return Err(SessionError::Ended);
        }
        let refreshed = SessionEvent::Refreshed {
            generation: self.generation + 1,
            token: Secret::new(Self::secrets(self.id), digest),
            expires_at: now + Self::VALID_FOR,
        };
        let switched = SessionEvent::OrganizationSwitched { organization_id };
        Ok(if organization_id == self.organization_id { vec![refreshed] } else { vec![switched, refreshed] })
    }

    fn decide(&self, command: SessionCommand) -> Result<Vec<SessionEvent>, SessionError> {
        match command {
            SessionCommand::Open { session_id, user_id, organization_id, epoch, token_digest, now } => {
                if self.expires_at.is_some() {
                    return Err(SessionError::AlreadyOpen);
                }
                Ok(vec![SessionEvent::Opened {
                    session_id,
                    user_id,
                    organization_id,
                    epoch,
                    token: Secret::new(Self::secrets(session_id), token_digest),
                    expires_at: now + Self::VALID_FOR,
                }])
            }
            SessionCommand::Refresh { presented_digest, new_digest, organization_id, now } => {
                if self.is_alive(now) && !self.expects(&presented_digest) {
                    return Ok(vec![SessionEvent::Revoked { reason: RevokedBecause::TokenReused }]);
                }
                self.rotated(organization_id, new_digest, now)
            }
            SessionCommand::SwitchOrganization { organization_id, new_digest, now } => {
                self.rotated(organization_id, new_digest, now)
            }
            SessionCommand::Revoke { reason } => {
                let open = self.expires_at.is_some() && !self.revoked;
                Ok(if open { vec![SessionEvent::Revoked { reason }] } else { Vec::new() })
            }
        }
    }
}

impl Aggregate for Session {
    const TYPE: &'static str = "identity.session";
    type Command = SessionCommand;
    type Event = SessionEvent;
    type Error = SessionError;
    type Services = ();

    async fn handle(
        &mut self,
        command: SessionCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), SessionError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Opened { session_id, user_id, organization_id, epoch, token, expires_at } => {
                self.id = session_id;
                self.user_id = user_id;
                self.organization_id = organization_id;
                self.epoch = epoch;
                self.token = Some(token);
                self.expires_at = Some(expires_at);
            }
            SessionEvent::Refreshed { generation, token, expires_at } => {
                self.generation = generation;
                self.token = Some(token);
                self.expires_at = Some(expires_at);
            }
            SessionEvent::OrganizationSwitched { organization_id } => {
                self.organization_id = organization_id;
            }
            SessionEvent::Revoked { .. } => {
                self.revoked = true;
                self.token = None;
            }
        }
    }
}
