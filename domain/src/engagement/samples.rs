//! Every version of every event that was ever shipped has a committed sample in
//! `domain/samples/engagement`, so that an event's JSON can't change by accident.
//!
//! A new event needs a line here; `UPDATE_SAMPLES=1 cargo test -p annals-domain engagement::samples`
//! writes its file. A file that is there is never overwritten: a changed event is a new version.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cqrs_es::DomainEvent;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::*;
use crate::kernel::Role;

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + number).into()
}

fn mailings() -> Vec<MailingEvent> {
    let attempt_id = id(1);
    let at = "2026-05-01T09:00:00Z".parse().expect("is a time");
    let addressee = crate::kernel::UserId::default().into();
    let reason = "the server answered 451".to_string();
    vec![
        MailingEvent::Attempted { kind: MailKind::Welcome, addressee, attempt_id, attempt: 1, at },
        MailingEvent::NotificationAttempted {
            kind: NotificationKind::PostOverdue,
            addressee: crate::kernel::UserId::default().into(),
            attempt_id,
            attempt: 1,
            at,
        },
        MailingEvent::Sent { attempt_id, at },
        MailingEvent::NotSent { attempt_id, not_sent: NotSent::ForNow, reason: reason.clone(), at },
        MailingEvent::OutcomeUnknown { attempt_id, reason, at },
    ]
}

fn notifications() -> Vec<NotificationEvent> {
    let at = "2026-05-01T09:00:00Z".parse().expect("is a time");
    vec![NotificationEvent::Raised {
        organization_id: id(1),
        recipient: id(2),
        kind: NotificationKind::PostOverdue,
        about: About {
            post: Some(id(3)),
            channel: Some(id(4)),
            member: Some(id(5)),
            media: Some(id(6)),
            series: Some(id(7)),
        },
        details: Details {
            reason: Some("no worker took it up".to_string()),
            what_to_do: Some("reschedule the post".to_string()),
            url: Some("https://bsky.example/profile/ada.test/post/3k".to_string()),
            due_at: Some(at),
            role: Some(Role::Admin),
        },
        ways: Ways { in_app: true, email: false },
        caused_by: id(8),
        happened_at: at,
    }]
}

fn inboxes() -> Vec<InboxEvent> {
    let (organization_id, user_id) = (id(1), id(2));
    vec![
        InboxEvent::Marked { organization_id, user_id, notification: id(3), mark: Mark::Unread },
        InboxEvent::AllRead { organization_id, user_id, up_to: Some(4_711) },
        InboxEvent::PreferencesChanged {
            organization_id,
            user_id,
            ways: BTreeMap::from([(NotificationKind::PostPublished, Ways { in_app: true, email: false })]),
        },
    ]
}

/// The names of the files that these events have.
fn stand<E>(events: &[E], folder: &Path) -> BTreeSet<String>
where
    E: DomainEvent + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let mut names = BTreeSet::new();
    for event in events {
        let name = format!("{}.v{}.json", event.event_type(), event.event_version());
        let path = folder.join(&name);
        let written = format!("{}\n", serde_json::to_string_pretty(event).expect("serializes"));
        if std::env::var_os("UPDATE_SAMPLES").is_some() && !path.exists() {
            std::fs::write(&path, &written).expect("is written");
        }
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{name} is missing: run with UPDATE_SAMPLES=1 and commit it"));
        assert_eq!(text, written, "{name} changed: make a new version");
        assert_eq!(serde_json::from_str::<E>(&text).expect("decodes"), *event, "{name}");
        names.insert(name);
    }
    names
}

#[test]
fn events_stand_as_committed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/engagement");
    let mut names = stand(&mailings(), &folder);
    names.extend(stand(&notifications(), &folder));
    names.extend(stand(&inboxes(), &folder));
    let types = MailingEvent::TYPES.len() + NotificationEvent::TYPES.len() + InboxEvent::TYPES.len();
    assert_eq!(names.len(), types, "every event has one sample");
    for entry in std::fs::read_dir(folder).expect("is there") {
        let name = entry.expect("is read").file_name().to_string_lossy().into_owned();
        assert!(names.contains(&name), "{name} belongs to no event");
    }
}
