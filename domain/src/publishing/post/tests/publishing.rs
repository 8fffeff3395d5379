use super::*;

#[test]
fn an_attempt_is_recorded_when_it_is_due_and_not_before() {
    when(&[&scheduled(&[1])], begin(1, 1, 10)).then_expect_events(vec![attempted(1, 1, 1)]);
    when(&[&scheduled(&[1])], begin(1, 1, 9)).then_expect_error(PostError::NotDue(minutes(10)));
}

#[test]
fn one_attempt_at_a_time_per_channel() {
    let open = PostError::AttemptOpen { attempt_id: attempt(1), started_at: minutes(10) };
    when(&[&scheduled(&[1, 2]), &[attempted(1, 1, 1)]], begin(1, 2, 10)).then_expect_error(open);
    when(&[&scheduled(&[1, 2]), &[attempted(1, 1, 1)]], begin(2, 2, 10))
        .then_expect_events(vec![attempted(2, 2, 1)]);
}

#[test]
fn there_is_nothing_to_do_for_what_is_over() {
    for (more, word) in [
        (vec![attempted(1, 1, 1), published(1, 1)], "published"),
        (vec![attempted(1, 1, 1), failed(1, Some(1), FailureClass::BadContent)], "failed"),
        (vec![attempted(1, 1, 1), unknown(1, 1)], "unknown"),
        (vec![PostEvent::Cancelled { channels: vec![channel(1)], at: now() }], "cancelled"),
    ] {
        when(&[&scheduled(&[1]), &more], begin(1, 2, 20)).then_expect_error(PostError::NothingToDo(word));
    }
    when(&[&scheduled(&[1])], begin(9, 1, 20)).then_expect_error(PostError::NoSuchChannel(channel(9)));
    when(&[&[drafted(&[1])]], begin(1, 1, 20)).then_expect_error(PostError::NoSuchChannel(channel(1)));
    when(&[], begin(1, 1, 20)).then_expect_error(PostError::NotFound);
}

#[test]
fn an_outcome_is_recorded_once_and_only_of_an_attempt_that_began() {
    let given = [attempted(1, 1, 1)];
    when(&[&scheduled(&[1]), &given], record_published(1, 1)).then_expect_events(vec![published(1, 1)]);
    let done = [attempted(1, 1, 1), published(1, 1)];
    for command in [record_published(1, 1), record_failed(1, 1, FailureClass::NotActed), record_unknown(1, 1)]
    {
        when(&[&scheduled(&[1]), &done], command).then_expect_events(Vec::new());
    }
    when(&[&scheduled(&[1]), &given], record_published(1, 7)).then_expect_error(PostError::NoSuchAttempt);
}

#[test]
fn what_did_not_act_is_tried_three_times_and_then_failed() {
    let not_acted = || record_failed(1, 1, FailureClass::NotActed);
    when(&[&scheduled(&[1]), &[attempted(1, 1, 1)]], not_acted()).then_expect_events(vec![deferred(1, 1)]);
    when(&[&scheduled(&[1]), &[attempted(1, 1, 2)]], not_acted()).then_expect_events(vec![deferred(1, 1)]);
    when(&[&scheduled(&[1]), &[attempted(1, 1, 3)]], not_acted()).then_expect_events(vec![failed(
        1,
        Some(1),
        FailureClass::NotActed,
    )]);
    when(&[&scheduled(&[1]), &[attempted(1, 1, 1), deferred(1, 1)]], begin(1, 2, 11)).then_expect_events(
        vec![PostEvent::PublishAttempted {
            channel: channel(1),
            attempt_id: attempt(2),
            attempt: 2,
            occurrence: 0,
            part: None,
            at: minutes(11),
        }],
    );
}

#[test]
fn bad_content_is_failed_at_once() {
    when(&[&scheduled(&[1]), &[attempted(1, 1, 1)]], record_failed(1, 1, FailureClass::BadContent))
        .then_expect_events(vec![failed(1, Some(1), FailureClass::BadContent)]);
}

#[test]
fn a_channel_that_is_off_fails_without_an_attempt() {
    let give_up = || PostCommand::GiveUp {
        channel: channel(1),
        failure: failure(FailureClass::ChannelOff),
        at: minutes(11),
    };
    when(&[&scheduled(&[1])], give_up()).then_expect_events(vec![failed(1, None, FailureClass::ChannelOff)]);
    when(&[&scheduled(&[1]), &[attempted(1, 1, 1)]], give_up()).then_expect_events(Vec::new());
}

#[test]
fn a_late_answer_settles_an_unknown_outcome() {
    let given = [attempted(1, 1, 1), unknown(1, 1)];
    when(&[&scheduled(&[1]), &given], record_published(1, 1)).then_expect_events(vec![published(1, 1)]);
    when(&[&scheduled(&[1]), &given], record_failed(1, 1, FailureClass::NotActed))
        .then_expect_events(vec![deferred(1, 1)]);
    when(&[&scheduled(&[1]), &given], record_unknown(1, 1)).then_expect_events(Vec::new());
}

#[test]
fn whatever_the_order_of_facts_published_is_never_taken_back() {
    let facts = [unknown(1, 1), failed(1, Some(1), FailureClass::NotActed), published(1, 1)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let facts = order.map(|index: usize| facts[index].clone());
        let given: [&[PostEvent]; 3] = [&scheduled(&[1]), &[attempted(1, 1, 1)], &facts];
        assert_eq!(status(&given), PostStatus::Published, "{order:?}");
    }
}

#[test]
fn an_older_attempts_failure_does_not_touch_a_newer_attempt() {
    let given = [attempted(1, 1, 1), unknown(1, 1), retried(1, RetryBasis::SafeByHandle), attempted(1, 2, 2)];
    when(&[&scheduled(&[1]), &given], record_failed(1, 1, FailureClass::NotActed))
        .then_expect_events(Vec::new());
    when(&[&scheduled(&[1]), &given], record_published(1, 1)).then_expect_events(vec![published(1, 1)]);
}
