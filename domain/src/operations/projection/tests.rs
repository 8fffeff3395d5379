use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::{ProjectionControlCommand as Command, ProjectionControlEvent as Event, *};
use crate::operations::Reason;

const BUILD: Build = Build { version: 3, generation: 2 };
const NEXT: Build = Build { version: 3, generation: 3 };

fn reason() -> Reason {
    Reason::parse("the disk is busy").expect("is a reason")
}

fn paused(build: Build) -> Event {
    Event::RebuildPaused { build, reason: reason() }
}

fn given(events: Vec<Event>) -> AggregateTestExecutor<ProjectionControl> {
    TestFramework::with(()).given(events)
}

#[test]
fn pausing_twice_is_one_decision() {
    let pause = Command::PauseRebuild { build: BUILD, reason: reason() };
    given(vec![]).when(pause.clone()).then_expect_events(vec![paused(BUILD)]);
    given(vec![paused(BUILD)]).when(pause).then_expect_events(vec![]);
}

#[test]
fn only_what_is_paused_is_resumed() {
    let resume = Command::ResumeRebuild { build: BUILD, reason: reason() };
    let resumed = Event::RebuildResumed { build: BUILD, reason: reason() };
    given(vec![]).when(resume.clone()).then_expect_events(vec![]);
    given(vec![paused(BUILD)]).when(resume.clone()).then_expect_events(vec![resumed.clone()]);
    given(vec![paused(BUILD), resumed]).when(resume).then_expect_events(vec![]);
}

#[test]
fn what_was_asked_of_one_build_does_not_hold_for_the_next() {
    let cancelled = Event::RebuildCancelled { build: BUILD, reason: reason() };
    given(vec![paused(BUILD), cancelled.clone()])
        .when(Command::PauseRebuild { build: NEXT, reason: reason() })
        .then_expect_events(vec![paused(NEXT)]);
    given(vec![paused(BUILD)])
        .when(Command::ResumeRebuild { build: NEXT, reason: reason() })
        .then_expect_events(vec![]);
}

#[test]
fn nothing_is_asked_of_a_cancelled_build() {
    let cancelled = Event::RebuildCancelled { build: BUILD, reason: reason() };
    for command in [
        Command::PauseRebuild { build: BUILD, reason: reason() },
        Command::ResumeRebuild { build: BUILD, reason: reason() },
        Command::CancelRebuild { build: BUILD, reason: reason() },
        Command::ThrottleRebuild { build: BUILD, events_per_second_max: None, reason: reason() },
        Command::AcceptParked { build: BUILD, reason: reason() },
    ] {
        given(vec![cancelled.clone()]).when(command).then_expect_error(ProjectionControlError::Cancelled);
    }
    let request = Command::RequestRebuild { events_per_second_max: None, reason: reason() };
    let requested = Event::RebuildRequested { events_per_second_max: None, reason: reason() };
    given(vec![cancelled]).when(request).then_expect_events(vec![requested]);
}

#[test]
fn every_replay_and_every_skip_is_told() {
    let key = Some("publishing.post/7".to_string());
    let replayed = Event::ParkedReplayRequested { key: key.clone(), reason: reason() };
    given(vec![replayed.clone()])
        .when(Command::ReplayParked { key, reason: reason() })
        .then_expect_events(vec![replayed]);
    let skipped = SkippedKey {
        build: BUILD,
        key: "publishing.post/7".to_string(),
        first_position: 41,
        last_position: 44,
        events: 2,
    };
    given(vec![])
        .when(Command::SkipParked { skipped: skipped.clone(), reason: reason() })
        .then_expect_events(vec![Event::ParkedSkipped { skipped, reason: reason() }]);
}

#[test]
fn a_pace_is_neither_nothing_nor_without_bound() {
    assert!(EventsPerSecond::new(0).is_err());
    assert_eq!(EventsPerSecond::new(500).map(EventsPerSecond::get), Ok(500));
    assert!(EventsPerSecond::new(EventsPerSecond::MAX + 1).is_err());
}
