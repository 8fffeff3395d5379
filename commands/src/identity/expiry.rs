//! Invitations whose time is over are closed, and their address forgotten.

use annals_domain::{
    identity::OrganizationEvent,
    kernel::{InvitationId, OrganizationId},
};
use annals_eventstore::{Actor, ActorKind, Filter, RecordedEvent, Source};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};

use super::Identity;
use crate::{
    bus::{CommandError, Context},
    process::{ProcessManager, ReactError, Start},
    timers::{self, Fired, NewTimer, Timer, TimerHandler},
};

const KIND: &str = "identity.invitation-expiry";

/// Sets a timer for every invitation, and takes it away when the invitation is closed before.
#[derive(Clone, Copy, Debug, Default)]
pub struct InvitationExpiry;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Due {
    organization_id: OrganizationId,
    invitation_id: InvitationId,
}

#[async_trait]
impl ProcessManager for InvitationExpiry {
    const NAME: &'static str = "identity.invitation-expiry";

    // Timers are rows that events can rebuild.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        let event_types = [
            "identity.organization.member_invited",
            "identity.organization.invitation_accepted",
            "identity.organization.invitation_revoked",
        ];
        Filter { event_types: event_types.map(String::from).to_vec(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        match event.decode::<OrganizationEvent>()? {
            OrganizationEvent::MemberInvited { invitation_id, expires_at, .. } => {
                let organization_id: OrganizationId =
                    event.stream.aggregate_id.parse().map_err(|error| ReactError::Other(Box::new(error)))?;
                let timer = NewTimer {
                    kind: KIND,
                    key: invitation_id.to_string(),
                    due_at: expires_at,
                    payload: serde_json::to_value(Due { organization_id, invitation_id })?,
                    caused_by: event.event_id,
                    organization_id: Some(organization_id.uuid()),
                };
                timers::schedule(tx, timer).await?;
            }
            OrganizationEvent::InvitationAccepted { invitation_id, .. }
            | OrganizationEvent::InvitationRevoked { invitation_id, .. } => {
                timers::cancel(tx, KIND, &invitation_id.to_string()).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Closes the invitation when its timer fires; the organization decides whether there is something to close.
#[derive(Clone)]
pub struct ExpireInvitations {
    identity: Identity,
}

impl ExpireInvitations {
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

#[async_trait]
impl TimerHandler for ExpireInvitations {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn fire(&self, timer: &Timer) -> Fired {
        let due: Due = match serde_json::from_value(timer.payload.clone()) {
            Ok(due) => due,
            Err(error) => return Fired::Park { reason: format!("the timer can't be read: {error}") },
        };
        let actor = Actor { kind: ActorKind::Process, id: Some(KIND.to_string()) };
        // No key: the organization itself sees to it that this has its effect once.
        let context = Context {
            correlation_id: timer.caused_by,
            causation_id: Some(timer.caused_by),
            ..Context::new(actor, timer.organization_id, Source::Worker)
        };
        match self.identity.expire_invitation(&context, due.organization_id, due.invitation_id).await {
            // Not there: the organization was closed meanwhile.
            Ok(()) | Err(CommandError::Refused(_)) => Fired::Done,
            Err(error) => Fired::NotActed { reason: error.to_string(), not_before: None },
        }
    }
}
