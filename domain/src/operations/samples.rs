//! Every version of every event that was ever shipped has a committed sample in
//! `domain/samples/operations`, so that an event's JSON can't change by accident.
//!
//! A new event needs a line here; `UPDATE_SAMPLES=1 cargo test -p annals-domain operations::samples`
//! writes its file. A file that is there is never overwritten: a changed event is a new version.

use std::{collections::BTreeSet, path::PathBuf};

use cqrs_es::DomainEvent;

use super::*;

const BUILD: Build = Build { version: 3, generation: 2 };

fn reason() -> Reason {
    Reason::parse("the fix is out").expect("is a reason")
}

fn projections() -> Vec<ProjectionControlEvent> {
    use ProjectionControlEvent as Event;
    let key = "publishing.post/01980000-0000-7000-8000-000000000001".to_string();
    let pace = EventsPerSecond::new(500).ok();
    let skipped =
        SkippedKey { build: BUILD, key: key.clone(), first_position: 41, last_position: 44, events: 2 };
    vec![
        Event::RebuildRequested { events_per_second_max: pace, reason: reason() },
        Event::RebuildPaused { build: BUILD, reason: reason() },
        Event::RebuildResumed { build: BUILD, reason: reason() },
        Event::RebuildThrottled { build: BUILD, events_per_second_max: pace, reason: reason() },
        Event::RebuildCancelled { build: BUILD, reason: reason() },
        Event::ParkedAccepted { build: BUILD, reason: reason() },
        Event::ParkedReplayRequested { key: Some(key), reason: reason() },
        Event::ParkedSkipped { skipped, reason: reason() },
    ]
}

fn timers() -> Vec<TimerControlEvent> {
    let (kind, key) = ("publishing.publish".to_string(), "01980000-0000-7000-8000-000000000002".to_string());
    let due_at = "2026-05-01T09:00:00Z".parse().expect("is a time");
    vec![
        TimerControlEvent::Retriggered { kind: kind.clone(), key: key.clone(), reason: reason() },
        TimerControlEvent::Cancelled { kind, key, due_at, reason: reason() },
    ]
}

fn operators() -> Vec<OperatorshipEvent> {
    vec![
        OperatorshipEvent::Granted { by: GrantedBy::CommandLine, reason: reason() },
        OperatorshipEvent::Revoked { reason: reason() },
    ]
}

fn disclosures() -> Vec<DisclosureEvent> {
    let subjects = vec![crate::kernel::UserId::default().into()];
    vec![DisclosureEvent::Opened { position: 41, subjects, reason: reason() }]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/operations")
}

/// The committed samples are what the type writes, and what it reads back.
fn check<E: DomainEvent + PartialEq + std::fmt::Debug>(events: &[E], types: &[&str]) {
    let sampled: BTreeSet<String> = events.iter().map(DomainEvent::event_type).collect();
    assert_eq!(sampled, types.iter().map(ToString::to_string).collect(), "every event has one sample");
    for event in events {
        let json = serde_json::to_value(event).expect("serializes");
        let tag = json["type"].as_str().expect("is tagged");
        assert!(event.event_type().ends_with(&format!(".{tag}")), "tag and type name agree");
        let name = format!("{}.v{}.json", event.event_type(), event.event_version());
        let path = folder().join(&name);
        let written = format!("{}\n", serde_json::to_string_pretty(event).expect("serializes"));
        if std::env::var_os("UPDATE_SAMPLES").is_some() && !path.exists() {
            std::fs::write(&path, &written).expect("is written");
        }
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{name} is missing: run with UPDATE_SAMPLES=1 and commit it"));
        assert_eq!(text, written, "{name} changed: make a new version");
        assert_eq!(&serde_json::from_str::<E>(&text).expect("decodes"), event, "{name}");
    }
}

#[test]
fn events_stand_as_committed() {
    check(&projections(), ProjectionControlEvent::TYPES);
    check(&timers(), TimerControlEvent::TYPES);
    check(&operators(), OperatorshipEvent::TYPES);
    check(&disclosures(), DisclosureEvent::TYPES);
}

#[test]
fn every_committed_sample_is_of_an_event_that_there_is() {
    let types: BTreeSet<&str> = [
        ProjectionControlEvent::TYPES,
        TimerControlEvent::TYPES,
        OperatorshipEvent::TYPES,
        DisclosureEvent::TYPES,
    ]
    .concat()
    .into_iter()
    .collect();
    for entry in std::fs::read_dir(folder()).expect("is there") {
        let name = entry.expect("is read").file_name().to_string_lossy().into_owned();
        let of = name.rsplit_once(".v").map(|(event_type, _)| event_type);
        assert!(of.is_some_and(|of| types.contains(of)), "{name} belongs to no event");
    }
}
