//! Sets a timer for each event that calls for a mail.

use std::sync::Arc;

use annals_domain::{engagement::NotificationEvent, identity::OrganizationEvent, kernel::Subject};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{letters, mail_timer::KIND};
use crate::{
    ports::{clock::Clock, mail::Mailer},
    process::{ProcessManager, ReactError},
    timers::{self, NewTimer},
};

const NOTIFICATION: &str = "engagement.notification.raised";
const USER_DELETED: &str = "identity.user.deleted";
/// After which nothing of an invitation is kept.
const INVITATION_CLOSED: [&str; 3] = [
    "identity.organization.invitation_accepted",
    "identity.organization.invitation_revoked",
    "identity.organization.invitation_expired",
];

/// What a timer of [`super::MailTimer`] is for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Due {
    /// Of the event that calls for the mail.
    pub(super) position: u64,
    /// Of the command behind it, so that what becomes of the mail can be followed back to it.
    pub(super) correlation: Uuid,
}

/// The process manager behind mail. Keeps nothing but its timers.
pub struct MailRoom {
    mailer: Arc<dyn Mailer>,
    clock: Arc<dyn Clock>,
}

impl MailRoom {
    pub fn new(mailer: Arc<dyn Mailer>, clock: Arc<dyn Clock>) -> Self {
        Self { mailer, clock }
    }

    async fn forget(&self, person: &str) -> Result<(), ReactError> {
        self.mailer.forget(person).await.map_err(|error| ReactError::Other(Box::new(error)))
    }
}

#[async_trait]
impl ProcessManager for MailRoom {
    // It starts at the head, as all that act outside do: a new one, or one of a restored log, never
    // mails history.
    const NAME: &'static str = "engagement.mail";

    fn filter(&self) -> Filter {
        let closed = INVITATION_CLOSED.into_iter().chain([USER_DELETED]);
        let event_types = letters::EVENT_TYPES.into_iter().chain(closed);
        Filter { event_types: event_types.map(String::from).collect(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let event_type = event.event_type.as_str();
        if event_type == USER_DELETED {
            return self.forget(&format!("user:{}", event.stream.aggregate_id)).await;
        }
        if INVITATION_CLOSED.contains(&event_type) {
            return match event.decode::<OrganizationEvent>()? {
                OrganizationEvent::InvitationAccepted { invitation_id, .. }
                | OrganizationEvent::InvitationRevoked { invitation_id, .. }
                | OrganizationEvent::InvitationExpired { invitation_id } => {
                    self.forget(Subject::invitation(invitation_id).as_str()).await
                }
                _ => Ok(()),
            };
        }
        if event_type == NOTIFICATION {
            let NotificationEvent::Raised { ways, .. } = event.decode()?;
            if !ways.email {
                return Ok(());
            }
        }
        let due = Due { position: event.position, correlation: event.metadata.correlation_id };
        let timer = NewTimer {
            kind: KIND,
            key: event.event_id.to_string(),
            due_at: self.clock.now(),
            payload: serde_json::to_value(due)?,
            caused_by: event.event_id,
            organization_id: event.metadata.organization_id,
        };
        Ok(timers::schedule(tx, timer).await?)
    }
}
