use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;

const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("is a time")
}

fn addressee() -> Subject {
    crate::kernel::UserId::default().into()
}

fn given(events: Vec<MailingEvent>) -> AggregateTestExecutor<Mailing> {
    TestFramework::<Mailing>::with(()).given(events)
}

fn begin(attempt_id: Uuid) -> MailingCommand {
    MailingCommand::Begin {
        topic: MailTopic::Own(MailKind::Welcome),
        addressee: addressee(),
        attempt_id,
        now: now(),
    }
}

fn attempted(attempt_id: Uuid, attempt: u32) -> MailingEvent {
    let kind = MailKind::Welcome;
    MailingEvent::Attempted { kind, addressee: addressee(), attempt_id, attempt, at: now() }
}

fn sent(attempt_id: Uuid) -> MailingEvent {
    MailingEvent::Sent { attempt_id, at: now() }
}

fn unknown(attempt_id: Uuid) -> MailingEvent {
    MailingEvent::OutcomeUnknown { attempt_id, reason: "it hung up".to_string(), at: now() }
}

fn not_sent(attempt_id: Uuid, not_sent: NotSent) -> MailingEvent {
    MailingEvent::NotSent { attempt_id, not_sent, reason: "busy".to_string(), at: now() }
}

#[test]
fn an_attempt_is_recorded_and_only_one_is_under_way() {
    given(vec![]).when(begin(FIRST)).then_expect_events(vec![attempted(FIRST, 1)]);
    given(vec![attempted(FIRST, 1)]).when(begin(SECOND)).then_expect_error(MailingError::UnderWay);
}

#[test]
fn what_was_certainly_not_sent_is_tried_again_and_what_was_refused_is_not() {
    given(vec![attempted(FIRST, 1), not_sent(FIRST, NotSent::ForNow)])
        .when(begin(SECOND))
        .then_expect_events(vec![attempted(SECOND, 2)]);
    given(vec![attempted(FIRST, 1), not_sent(FIRST, NotSent::ForGood)])
        .when(begin(SECOND))
        .then_expect_error(MailingError::Settled);
}

#[test]
fn what_is_sent_or_in_doubt_is_never_tried_again() {
    for settled in [sent(FIRST), unknown(FIRST)] {
        given(vec![attempted(FIRST, 1), settled])
            .when(begin(SECOND))
            .then_expect_error(MailingError::Settled);
    }
}

#[test]
fn a_late_answer_settles_a_doubt_and_another_attempts_answer_counts_for_nothing() {
    let record = |attempt_id| MailingCommand::RecordSent { attempt_id, now: now() };
    given(vec![attempted(FIRST, 1), unknown(FIRST)])
        .when(record(FIRST))
        .then_expect_events(vec![sent(FIRST)]);
    given(vec![attempted(FIRST, 1)]).when(record(SECOND)).then_expect_error(MailingError::OtherAttempt);
    given(vec![attempted(FIRST, 1), sent(FIRST)])
        .when(record(FIRST))
        .then_expect_error(MailingError::OtherAttempt);
    let doubt =
        MailingCommand::RecordUnknown { attempt_id: FIRST, reason: "it hung up".to_string(), now: now() };
    given(vec![attempted(FIRST, 1), sent(FIRST)]).when(doubt).then_expect_error(MailingError::OtherAttempt);
}

#[test]
fn a_notification_says_of_what_kind_and_is_settled_like_any_mail() {
    let kind = crate::engagement::NotificationKind::PostOverdue;
    let topic = MailTopic::Notification(kind);
    let begin = MailingCommand::Begin { topic, addressee: addressee(), attempt_id: FIRST, now: now() };
    let attempted = MailingEvent::NotificationAttempted {
        kind,
        addressee: addressee(),
        attempt_id: FIRST,
        attempt: 1,
        at: now(),
    };
    given(vec![]).when(begin.clone()).then_expect_events(vec![attempted.clone()]);
    given(vec![attempted.clone()]).when(begin).then_expect_error(MailingError::UnderWay);
    let record = MailingCommand::RecordSent { attempt_id: FIRST, now: now() };
    given(vec![attempted]).when(record).then_expect_events(vec![sent(FIRST)]);
}
