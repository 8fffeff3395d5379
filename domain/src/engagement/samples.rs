//! Every version of every event that was ever shipped has a committed sample in
//! `domain/samples/engagement`, so that an event's JSON can't change by accident.
//!
//! A new event needs a line here; `UPDATE_SAMPLES=1 cargo test -p annals-domain engagement::samples`
//! writes its file. A file that is there is never overwritten: a changed event is a new version.

use std::{collections::BTreeSet, path::PathBuf};

use cqrs_es::DomainEvent;
use uuid::Uuid;

use super::*;

fn mailings() -> Vec<MailingEvent> {
    let attempt_id = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
    let at = "2026-05-01T09:00:00Z".parse().expect("is a time");
    let addressee = crate::kernel::UserId::default().into();
    let reason = "the server answered 451".to_string();
    vec![
        MailingEvent::Attempted { kind: MailKind::Welcome, addressee, attempt_id, attempt: 1, at },
        MailingEvent::Sent { attempt_id, at },
        MailingEvent::NotSent { attempt_id, not_sent: NotSent::ForNow, reason: reason.clone(), at },
        MailingEvent::OutcomeUnknown { attempt_id, reason, at },
    ]
}

#[test]
fn events_stand_as_committed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/engagement");
    let mut names = BTreeSet::new();
    for event in mailings() {
        let name = format!("{}.v{}.json", event.event_type(), event.event_version());
        let path = folder.join(&name);
        let written = format!("{}\n", serde_json::to_string_pretty(&event).expect("serializes"));
        if std::env::var_os("UPDATE_SAMPLES").is_some() && !path.exists() {
            std::fs::write(&path, &written).expect("is written");
        }
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{name} is missing: run with UPDATE_SAMPLES=1 and commit it"));
        assert_eq!(text, written, "{name} changed: make a new version");
        assert_eq!(serde_json::from_str::<MailingEvent>(&text).expect("decodes"), event, "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), MailingEvent::TYPES.len(), "every event has one sample");
    for entry in std::fs::read_dir(folder).expect("is there") {
        let name = entry.expect("is read").file_name().to_string_lossy().into_owned();
        assert!(names.contains(&name), "{name} belongs to no event");
    }
}
