//! Mail of identity: invitations, and the confirmation of a new address.
//!
//! Tokens are derived again from the ids in the event, so that nothing secret lies anywhere. The
//! Message-ID derives from the event: mailing the same event again is the same mail.

use std::sync::Arc;

use annals_domain::{
    identity::{OrganizationEvent, UserEvent},
    kernel::{EmailAddress, OrganizationId, Personal, Subject, UserId},
};
use annals_eventstore::{EventStore, Filter, Opening, RecordedEvent};
use async_trait::async_trait;
use sqlx::{Postgres, Transaction};
use url::Url;

use super::tokens;
use crate::{
    ports::mail::{Mail, MailError, Mailer},
    process::{ProcessManager, ReactError},
};

/// Mails what identity's events call for, and takes back what is not to be kept.
pub struct IdentityMail {
    store: EventStore,
    mailer: Arc<dyn Mailer>,
    /// Where the frontend (or this server) is reached: links start with it.
    public_url: Url,
}

impl IdentityMail {
    pub fn new(store: EventStore, mailer: Arc<dyn Mailer>, public_url: Url) -> Self {
        Self { store, mailer, public_url }
    }

    async fn organization(&self, event: &RecordedEvent) -> Result<(), ReactError> {
        match event.decode::<OrganizationEvent>()? {
            OrganizationEvent::MemberInvited { invitation_id, email, role, expires_at, .. } => {
                let organization: OrganizationId = stream_id(event)?;
                let token = tokens::invitation_token(&self.store, organization, invitation_id);
                let link = invitation_link(&self.public_url, &token);
                let text = format!(
                    "You are invited to join an organization as {role}.\n\n\
                     Sign in or register with this mail address, then follow this link:\n{link}\n\n\
                     It can be used once, until {}.\n",
                    expires_at.format("%Y-%m-%d %H:%M UTC"),
                );
                self.send(event, &email, "You are invited to join an organization", text).await
            }
            OrganizationEvent::InvitationAccepted { invitation_id, .. }
            | OrganizationEvent::InvitationRevoked { invitation_id, .. }
            | OrganizationEvent::InvitationExpired { invitation_id } => {
                self.forget(Subject::invitation(invitation_id).as_str()).await
            }
            _ => Ok(()),
        }
    }

    async fn user(&self, event: &RecordedEvent) -> Result<(), ReactError> {
        match event.decode::<UserEvent>()? {
            UserEvent::EmailChangeRequested { address, request_id, expires_at, .. } => {
                let user: UserId = stream_id(event)?;
                let token = tokens::email_change_token(&self.store, user, request_id);
                let link = link(&self.public_url, "/confirm-email-change", &token);
                let text = format!(
                    "Confirm that this is your new mail address:\n{link}\n\n\
                     It can be used once, until {}. If you did not ask for it, do nothing.\n",
                    expires_at.format("%Y-%m-%d %H:%M UTC"),
                );
                self.send(event, &address, "Confirm your new mail address", text).await
            }
            UserEvent::Deleted => self.forget(&format!("user:{}", event.stream.aggregate_id)).await,
            _ => Ok(()),
        }
    }

    /// Mails to an address, unless it was forgotten meanwhile.
    async fn send(
        &self,
        event: &RecordedEvent,
        to: &Personal<EmailAddress>,
        subject: &str,
        text: String,
    ) -> Result<(), ReactError> {
        let Some(address) = to.get() else { return Ok(()) };
        let mail = Mail {
            message_id: event.event_id,
            person: to.subject().as_str().to_string(),
            to: address.clone(),
            subject: subject.to_string(),
            text,
            at: event.recorded_at,
        };
        self.mailer.send(&mail).await.map_err(failed)
    }

    async fn forget(&self, person: &str) -> Result<(), ReactError> {
        self.mailer.forget(person).await.map_err(failed)
    }
}

#[async_trait]
impl ProcessManager for IdentityMail {
    const NAME: &'static str = "identity.mail";

    fn filter(&self) -> Filter {
        let event_types = [
            "identity.organization.member_invited",
            "identity.organization.invitation_accepted",
            "identity.organization.invitation_revoked",
            "identity.organization.invitation_expired",
            "identity.user.email_change_requested",
            "identity.user.deleted",
        ];
        Filter { event_types: event_types.map(String::from).to_vec(), ..Filter::default() }
    }

    fn opening(&self) -> Opening {
        Opening::Personal
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        _tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        match event.event_type.starts_with("identity.organization.") {
            true => self.organization(event).await,
            false => self.user(event).await,
        }
    }
}

fn stream_id<T: std::str::FromStr<Err = uuid::Error>>(event: &RecordedEvent) -> Result<T, ReactError> {
    event.stream.aggregate_id.parse().map_err(|error| ReactError::Other(Box::new(error)))
}

/// Where an invitation is accepted in a browser.
pub fn invitation_link(public_url: &Url, token: &str) -> String {
    link(public_url, "/invitations/accept", token)
}

/// The token goes behind `#`: browsers keep that to themselves, so it is in no server's log.
fn link(public_url: &Url, path: &str, token: &str) -> String {
    format!("{}{path}#token={token}", public_url.as_str().trim_end_matches('/'))
}

fn failed(error: MailError) -> ReactError {
    ReactError::Other(Box::new(error))
}
