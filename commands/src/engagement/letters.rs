//! Which event calls for which mail, and to whom.

use annals_domain::{
    identity::{Organization, OrganizationEvent, User, UserEvent, VerificationOccasion},
    kernel::{EmailAddress, OrganizationId, Personal, PostId, UserId},
    publishing::{Integration, Post, PostEvent},
};
use annals_eventstore::{RecordedEvent, StoreError};
use chrono::{DateTime, Utc};
use url::Url;

use crate::{
    bus::{CommandBus, CommandError},
    identity::{links, tokens},
    ports::mail::{FailedPost, Letter, Mail},
};

/// The events that call for a mail.
pub(super) const EVENT_TYPES: [&str; 5] = [
    "identity.organization.member_invited",
    "identity.user.email_change_requested",
    "identity.user.email_verification_requested",
    "identity.user.password_reset_requested",
    "publishing.post.publish_failed",
];

/// How much of a post a mail about it shows.
const EXCERPT_CHARS: usize = 140;

/// Makes mail of events.
pub(super) struct Letters {
    bus: CommandBus,
    /// How people reach this installation: links start with it.
    public_url: Url,
}

/// Why no mail could be made of an event.
#[derive(Debug, thiserror::Error)]
pub(super) enum LetterError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the event can't be decoded")]
    Decode(#[from] serde_json::Error),
    #[error("its stream is named after no id")]
    Stream(#[from] uuid::Error),
}

impl Letters {
    pub(super) fn new(bus: CommandBus, public_url: Url) -> Self {
        Self { bus, public_url }
    }

    /// The mail that an event calls for; `None` if the person was forgotten meanwhile. The event's
    /// personal data must be open.
    pub(super) async fn of(&self, event: &RecordedEvent) -> Result<Option<Mail>, LetterError> {
        match event.event_type.as_str() {
            "identity.organization.member_invited" => self.invitation(event).await,
            "publishing.post.publish_failed" => self.failed_post(event).await,
            _ => self.to_user(event).await,
        }
    }

    async fn invitation(&self, event: &RecordedEvent) -> Result<Option<Mail>, LetterError> {
        let OrganizationEvent::MemberInvited { invitation_id, email, role, expires_at, .. } =
            event.decode()?
        else {
            return Ok(None);
        };
        let id: OrganizationId = event.stream.aggregate_id.parse()?;
        let organization = self.bus.load::<Organization>(id).await?.state;
        let token = tokens::invitation_token(self.bus.store(), id, invitation_id);
        let letter = Letter::Invitation {
            organization: organization.settings.name.as_str().to_string(),
            role: role.to_string(),
            link: links::invitation(&self.public_url, &token),
            until: moment(expires_at, chrono_tz::UTC),
        };
        Ok(mail(event, &email, letter))
    }

    async fn to_user(&self, event: &RecordedEvent) -> Result<Option<Mail>, LetterError> {
        let id: UserId = event.stream.aggregate_id.parse()?;
        let user = self.bus.load::<User>(id).await?.state;
        let Some(own) = own_address(id, &user) else { return Ok(None) };
        let (name, zone) = (user.profile().name.as_str().to_string(), zone(&user));
        let (store, url) = (self.bus.store(), &self.public_url);
        Ok(match event.decode()? {
            UserEvent::EmailChangeRequested { address, request_id, expires_at, .. } => {
                let link = links::email_change(url, &tokens::email_change_token(store, id, request_id));
                let letter = Letter::EmailChange { name, link, until: moment(expires_at, zone) };
                mail(event, &address, letter)
            }
            UserEvent::EmailVerificationRequested { request_id, occasion, expires_at, .. } => {
                let link = links::verification(url, &tokens::verification_token(store, id, request_id));
                let until = moment(expires_at, zone);
                let letter = match occasion {
                    VerificationOccasion::Registration => Letter::Welcome { name, link, until },
                    VerificationOccasion::Asked => Letter::Verification { name, link, until },
                };
                mail(event, &own, letter)
            }
            UserEvent::PasswordResetRequested { request_id, expires_at, .. } => {
                let link = links::password_reset(url, &tokens::password_reset_token(store, id, request_id));
                let letter = Letter::PasswordReset { name, link, until: moment(expires_at, zone) };
                mail(event, &own, letter)
            }
            _ => None,
        })
    }

    async fn failed_post(&self, event: &RecordedEvent) -> Result<Option<Mail>, LetterError> {
        let PostEvent::PublishFailed { channel, failure, .. } = event.decode()? else { return Ok(None) };
        let id: PostId = event.stream.aggregate_id.parse()?;
        let post = self.bus.load::<Post>(id).await?.state;
        let author = self.bus.load::<User>(post.author()).await?.state;
        let Some(own) = own_address(post.author(), &author) else { return Ok(None) };
        let integration = self.bus.load::<Integration>(channel).await?.state;
        let account = integration.account().map(|account| account.name.clone());
        let letter = Letter::FailedPost(FailedPost {
            name: author.profile().name.as_str().to_string(),
            channel: account.unwrap_or_else(|| "a channel that was removed".to_string()),
            platform: integration.platform().to_string(),
            excerpt: excerpt(post.composition().content().as_str()),
            reason: failure.reason,
            what_to_do: failure.what_to_do,
            link: links::post(&self.public_url, id),
        });
        Ok(mail(event, &own, letter))
    }
}

/// To an address, unless it was forgotten.
fn mail(event: &RecordedEvent, to: &Personal<EmailAddress>, letter: Letter) -> Option<Mail> {
    Some(Mail {
        message_id: event.event_id,
        person: to.subject().as_str().to_string(),
        to: to.get()?.clone(),
        letter,
        at: event.recorded_at,
    })
}

fn own_address(id: UserId, user: &User) -> Option<Personal<EmailAddress>> {
    user.email().filter(|_| user.is_active()).map(|address| Personal::new(id, address.clone()))
}

fn zone(user: &User) -> chrono_tz::Tz {
    user.settings().timezone.as_str().parse().unwrap_or(chrono_tz::UTC)
}

fn moment(at: DateTime<Utc>, zone: chrono_tz::Tz) -> String {
    format!("{} ({})", at.with_timezone(&zone).format("%A, %-d %B %Y at %H:%M"), zone.name())
}

fn excerpt(text: &str) -> String {
    let mut chars = text.chars();
    let beginning: String = chars.by_ref().take(EXCERPT_CHARS).collect();
    if chars.next().is_some() { format!("{}…", beginning.trim_end()) } else { beginning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_person() {
        let at = "2026-11-21T01:30:00Z".parse().expect("is a time");
        assert_eq!(
            moment(at, chrono_tz::America::New_York),
            "Friday, 20 November 2026 at 20:30 (America/New_York)"
        );
    }

    #[test]
    fn an_excerpt_ends_where_the_text_goes_on() {
        assert_eq!(excerpt("short"), "short");
        let long = excerpt(&"ä".repeat(EXCERPT_CHARS + 1));
        assert_eq!(long, format!("{}…", "ä".repeat(EXCERPT_CHARS)));
    }
}
