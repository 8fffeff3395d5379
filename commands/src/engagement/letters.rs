//! Which event calls for which mail, and to whom.

use annals_domain::{
    engagement::{Inbox, InboxId, NotificationEvent, NotificationKind},
    identity::{Organization, OrganizationEvent, User, UserEvent, VerificationOccasion},
    kernel::{EmailAddress, NotificationId, OrganizationId, Personal, PostId, UserId},
    publishing::{Integration, Post},
};
use annals_eventstore::{RecordedEvent, StoreError};
use chrono::{DateTime, Utc};
use url::Url;

use super::words::{Facts, Words, excerpt};
use crate::{
    bus::{CommandBus, CommandError},
    identity::{links, tokens},
    ports::mail::{FailedPost, Letter, Mail, Notice, Unsubscribe},
};

/// The events that call for a mail.
pub(super) const EVENT_TYPES: [&str; 5] = [
    "engagement.notification.raised",
    "identity.organization.member_invited",
    "identity.user.email_change_requested",
    "identity.user.email_verification_requested",
    "identity.user.password_reset_requested",
];

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
            "engagement.notification.raised" => self.notification(event).await,
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

    /// By the person's wish of when they were told, and of now.
    async fn notification(&self, event: &RecordedEvent) -> Result<Option<Mail>, LetterError> {
        let NotificationEvent::Raised { organization_id, recipient, kind, about, details, ways, .. } =
            event.decode()?;
        let inbox = InboxId { organization: organization_id, person: recipient };
        let wants = ways.email && self.bus.load::<Inbox>(inbox).await?.state.ways(kind).email;
        let person = self.bus.load::<User>(recipient).await?.state;
        let Some(own) = own_address(recipient, &person).filter(|_| wants) else { return Ok(None) };
        let id: NotificationId = event.stream.aggregate_id.parse()?;
        let token = tokens::unsubscribe_token(self.bus.store(), id, recipient);
        let unsubscribe = Unsubscribe {
            page: links::unsubscribe(&self.public_url, &token),
            one_click: links::one_click_unsubscribe(&self.public_url, &token),
        };
        let name = person.profile().name.as_str().to_string();
        let (channel, platform) = match about.channel {
            Some(id) => {
                let channel = self.bus.load::<Integration>(id).await?.state;
                let name = channel.account().map(|account| account.name.clone());
                (name, channel.platform().to_string())
            }
            None => (None, String::new()),
        };
        let content = self.content(about.post).await?;
        let link = match about.post {
            Some(post) => links::post(&self.public_url, post),
            None => links::console(&self.public_url, "notifications"),
        };
        let letter = if matches!(kind, NotificationKind::PostFailed | NotificationKind::ThreadFailed) {
            Letter::FailedPost(FailedPost {
                name,
                channel: channel.unwrap_or_else(|| "a channel that was removed".to_string()),
                platform,
                excerpt: excerpt(content.as_deref().unwrap_or_default()),
                reason: details.reason.unwrap_or_default(),
                what_to_do: details.what_to_do.unwrap_or_default(),
                link,
            })
        } else {
            let member = self.member(about.member).await?;
            let facts = Facts { channel, content, member, role: details.role, reason: details.reason };
            let Words { title, text } = Words::of(kind, &facts);
            let due = details.due_at.map(|at| moment(at, zone(&person)));
            Letter::Notice(Notice { kind, name, title, text, what_to_do: details.what_to_do, due, link })
        };
        let mail = mail(event, &own, letter);
        Ok(mail.map(|mail| Mail { unsubscribe: Some(unsubscribe), ..mail }))
    }

    /// What a post says, if there is one.
    async fn content(&self, post: Option<PostId>) -> Result<Option<String>, LetterError> {
        let Some(id) = post else { return Ok(None) };
        let post = self.bus.load::<Post>(id).await?.state;
        Ok(post.exists().then(|| post.composition().content().as_str().to_string()))
    }

    async fn member(&self, member: Option<UserId>) -> Result<Option<String>, LetterError> {
        let Some(id) = member else { return Ok(None) };
        let user = self.bus.load::<User>(id).await?.state;
        Ok(user.is_active().then(|| user.profile().name.as_str().to_string()))
    }
}

/// To an address, unless it was forgotten.
fn mail(event: &RecordedEvent, to: &Personal<EmailAddress>, letter: Letter) -> Option<Mail> {
    Some(Mail {
        message_id: event.event_id,
        person: to.subject().as_str().to_string(),
        to: to.get()?.clone(),
        letter,
        unsubscribe: None,
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
}
