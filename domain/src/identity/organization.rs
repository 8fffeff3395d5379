//! An organization: the tenant, its members with their roles, its invitations.

mod commands;
mod errors;
mod events;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub use commands::OrganizationCommand;
pub use errors::OrganizationError;
pub use events::OrganizationEvent;

use super::OrganizationSettings;
use crate::kernel::{
    EmailAddress, InvitationId, OrganizationId, Owner, Personal, Role, Secret, TierName, UserId,
};

/// An organization, as its events left it. While it is open it has exactly one owner.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Organization {
    pub id: OrganizationId,
    pub status: OrganizationStatus,
    pub settings: OrganizationSettings,
    pub members: BTreeMap<UserId, Role>,
    /// Neither accepted nor revoked; one may have expired.
    pub invitations: BTreeMap<InvitationId, Invitation>,
    /// None: the installation's default. The policy may have lost it since.
    pub tier: Option<TierName>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationStatus {
    #[default]
    Absent,
    Open,
    Closed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invitation {
    pub email: Personal<EmailAddress>,
    pub role: Role,
    token: Secret<String>,
    pub invited_by: UserId,
    pub expires_at: DateTime<Utc>,
}

impl Organization {
    pub const MEMBERS_MAX: usize = 10_000;
    pub const INVITATIONS_MAX: usize = 100;
    pub const INVITATION_VALID_FOR: TimeDelta = TimeDelta::days(7);
    /// Changes with the fields above: a snapshot of another shape is ignored.
    pub const SNAPSHOT_FINGERPRINT: &'static str = "organization-2";

    pub fn is_open(&self) -> bool {
        self.status == OrganizationStatus::Open
    }

    /// A member's role, while the organization is open.
    pub fn role_of(&self, user: UserId) -> Option<Role> {
        self.members.get(&user).copied().filter(|_| self.is_open())
    }

    /// Where the digest of an invitation's token is sealed.
    pub fn invitation_secrets(id: InvitationId) -> Owner {
        Owner::of("organization-invitation", id)
    }
}

impl Aggregate for Organization {
    const TYPE: &'static str = "identity.organization";
    type Command = OrganizationCommand;
    type Event = OrganizationEvent;
    type Error = OrganizationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: OrganizationCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), OrganizationError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: OrganizationEvent) {
        match event {
            OrganizationEvent::Created { organization_id, settings, owner } => {
                self.id = organization_id;
                self.status = OrganizationStatus::Open;
                self.settings = settings;
                self.members.insert(owner, Role::Owner);
            }
            OrganizationEvent::SettingsChanged { settings } => self.settings = settings,
            OrganizationEvent::MemberInvited {
                invitation_id,
                email,
                role,
                token,
                invited_by,
                expires_at,
            } => {
                let invitation = Invitation { email, role, token, invited_by, expires_at };
                self.invitations.insert(invitation_id, invitation);
            }
            OrganizationEvent::InvitationAccepted { invitation_id, user_id, role } => {
                self.invitations.remove(&invitation_id);
                self.members.insert(user_id, role);
            }
            OrganizationEvent::InvitationRevoked { invitation_id, .. }
            | OrganizationEvent::InvitationExpired { invitation_id } => {
                self.invitations.remove(&invitation_id);
            }
            OrganizationEvent::MemberRoleChanged { user_id, role, .. } => {
                self.members.insert(user_id, role);
            }
            OrganizationEvent::MemberRemoved { user_id, .. } | OrganizationEvent::MemberLeft { user_id } => {
                self.members.remove(&user_id);
            }
            OrganizationEvent::OwnershipTransferred { from, to } => {
                self.members.insert(from, Role::Admin);
                self.members.insert(to, Role::Owner);
            }
            OrganizationEvent::TierSet { tier, .. } => self.tier = Some(tier),
            OrganizationEvent::Closed => {
                self.status = OrganizationStatus::Closed;
                self.members.clear();
                self.invitations.clear();
            }
        }
    }
}
