//! One notification to one person: that they were told of something, by which ways. Recorded once.
//!
//! It holds ids and what the event that it is about says in our own words. Names and texts are joined
//! when it is read, so that what is forgotten or renamed is so here too.

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NotificationKind, Ways};
use crate::{
    Refusal, RefusalKind,
    kernel::{
        IntegrationId, MediaId, NotificationId, OrganizationId, PostId, Role, SeriesId, UserId, named_events,
    },
};

/// Characters of a reason that are kept.
const WORDS_CHARS_MAX: usize = 1_000;

/// What a notification is about: each that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post: Option<PostId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<IntegrationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesId>,
}

/// What the event that it is about says, beside ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
    /// Where a post stands on the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When a post was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<DateTime<Utc>>,
    /// Of a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl Details {
    /// Bounded: what others' words are part of may be long.
    fn bounded(mut self) -> Self {
        for text in [&mut self.reason, &mut self.what_to_do, &mut self.url].into_iter().flatten() {
            if let Some((end, _)) = text.char_indices().nth(WORDS_CHARS_MAX) {
                text.truncate(end);
            }
        }
        self
    }
}

/// A notification that is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotification {
    pub organization: OrganizationId,
    pub recipient: UserId,
    pub kind: NotificationKind,
    pub about: About,
    pub details: Details,
    pub ways: Ways,
    /// The event that it is about.
    pub caused_by: Uuid,
    /// When that happened.
    pub happened_at: DateTime<Utc>,
}

/// A notification: whose it is and of what kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    raised: Option<Raised>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Raised {
    organization: OrganizationId,
    recipient: UserId,
    kind: NotificationKind,
}

impl Notification {
    /// Whether it is this person's, in this organization.
    pub fn is_of(&self, organization: OrganizationId, person: UserId) -> bool {
        self.raised.is_some_and(|raised| raised.organization == organization && raised.recipient == person)
    }

    /// Whose, where, and of what kind, if it was raised.
    pub fn addressed(&self) -> Option<(OrganizationId, UserId, NotificationKind)> {
        self.raised.map(|raised| (raised.organization, raised.recipient, raised.kind))
    }
}

/// What may be asked of a notification.
#[derive(Clone, Debug)]
pub enum NotificationCommand {
    /// Does nothing if it was raised already.
    Raise(Box<NewNotification>),
}

/// What happened to a notification, each `engagement.notification.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NotificationEvent {
    /// A person was told.
    Raised {
        organization_id: OrganizationId,
        recipient: UserId,
        kind: NotificationKind,
        about: About,
        details: Details,
        ways: Ways,
        /// The event that it is about.
        caused_by: Uuid,
        /// When that happened.
        happened_at: DateTime<Utc>,
    },
}

named_events! {
    NotificationEvent, version "1",
    Raised => "engagement.notification.raised",
}

/// A notification refuses nothing but what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    #[error("there is no such notification")]
    NotFound,
}

impl Refusal for NotificationError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::NotFound
    }

    fn code(&self) -> &'static str {
        "NOT_FOUND"
    }
}

impl Notification {
    /// The id of what one person is told of one thing: the same however often it is found out.
    pub fn id_of(recipient: UserId, kind: NotificationKind, thing: &str) -> NotificationId {
        // A namespace of our own; it never changes.
        const NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_0c5e_8f0b_4c57_9a36_2b1d_7e4c_a001);
        NotificationId::new(Uuid::new_v5(&NAMESPACE, format!("{recipient}\n{kind}\n{thing}").as_bytes()))
    }
}

impl Aggregate for Notification {
    const TYPE: &'static str = "engagement.notification";
    type Command = NotificationCommand;
    type Event = NotificationEvent;
    type Error = NotificationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: NotificationCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), NotificationError> {
        let NotificationCommand::Raise(new) = command;
        if self.raised.is_some() {
            return Ok(());
        }
        let NewNotification { organization, recipient, kind, about, details, ways, caused_by, happened_at } =
            *new;
        let event = NotificationEvent::Raised {
            organization_id: organization,
            recipient,
            kind,
            about,
            details: details.bounded(),
            ways,
            caused_by,
            happened_at,
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: NotificationEvent) {
        let NotificationEvent::Raised { organization_id: organization, recipient, kind, .. } = event;
        self.raised = Some(Raised { organization, recipient, kind });
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn new() -> NewNotification {
        NewNotification {
            organization: Uuid::from_u128(1).into(),
            recipient: Uuid::from_u128(2).into(),
            kind: NotificationKind::PostFailed,
            about: About { post: Some(Uuid::from_u128(3).into()), ..About::default() },
            details: Details { reason: Some("it is too long".to_string()), ..Details::default() },
            ways: NotificationKind::PostFailed.default_ways(),
            caused_by: Uuid::from_u128(4),
            happened_at: DateTime::UNIX_EPOCH,
        }
    }

    fn raised(new: NewNotification) -> NotificationEvent {
        let NewNotification { organization, recipient, kind, about, details, ways, caused_by, happened_at } =
            new;
        NotificationEvent::Raised {
            organization_id: organization,
            recipient,
            kind,
            about,
            details,
            ways,
            caused_by,
            happened_at,
        }
    }

    #[test]
    fn a_person_is_told_once() {
        let raise = || NotificationCommand::Raise(Box::new(new()));
        TestFramework::<Notification>::with(())
            .given_no_previous_events()
            .when(raise())
            .then_expect_events(vec![raised(new())]);
        TestFramework::<Notification>::with(())
            .given(vec![raised(new())])
            .when(raise())
            .then_expect_events(Vec::new());
    }

    #[test]
    fn long_words_are_cut() {
        let mut long = new();
        long.details.reason = Some("ä".repeat(WORDS_CHARS_MAX + 5));
        let mut cut = new();
        cut.details.reason = Some("ä".repeat(WORDS_CHARS_MAX));
        TestFramework::<Notification>::with(())
            .given_no_previous_events()
            .when(NotificationCommand::Raise(Box::new(long)))
            .then_expect_events(vec![raised(cut)]);
    }

    #[test]
    fn it_is_its_recipients_in_their_organization() {
        let mut notification = Notification::default();
        let (organization, recipient): (OrganizationId, UserId) =
            (Uuid::from_u128(1).into(), Uuid::from_u128(2).into());
        assert!(!notification.is_of(OrganizationId::default(), UserId::default()), "it was never raised");
        notification.apply(raised(new()));
        assert!(notification.is_of(organization, recipient));
        assert!(!notification.is_of(organization, UserId::default()));
        assert!(!notification.is_of(OrganizationId::default(), recipient));
    }

    #[test]
    fn its_id_follows_from_whom_it_tells_of_what() {
        let (ada, bo): (UserId, UserId) = (Uuid::from_u128(1).into(), Uuid::from_u128(2).into());
        let id = Notification::id_of(ada, NotificationKind::PostFailed, "event");
        assert_eq!(id, Notification::id_of(ada, NotificationKind::PostFailed, "event"));
        assert_ne!(id, Notification::id_of(bo, NotificationKind::PostFailed, "event"));
        assert_ne!(id, Notification::id_of(ada, NotificationKind::PostHeld, "event"));
    }
}
