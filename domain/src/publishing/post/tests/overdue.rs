use super::*;

fn overdue() -> Overdue {
    Overdue {
        cause: OverdueCause::NotTakenUp,
        reason: "no worker took it up".to_string(),
        what_to_do: "wait".to_string(),
    }
}

/// What the watchdog says of channel 1, with everything late that is ten minutes late.
fn find(minute: i64) -> PostCommand {
    let late_by = chrono::TimeDelta::minutes(10);
    PostCommand::FindOverdue { channel: channel(1), late_by, overdue: overdue(), at: minutes(minute) }
}

fn found(due: i64, since: i64, minute: i64) -> PostEvent {
    let Overdue { cause, reason, what_to_do } = overdue();
    PostEvent::FoundOverdue {
        channel: channel(1),
        due_at: minutes(due),
        since: minutes(since),
        cause,
        reason,
        what_to_do,
        at: minutes(minute),
    }
}

#[test]
fn what_waits_past_its_time_is_found_once_and_not_before_it_is_late() {
    when(&[&scheduled(&[1])], find(19)).then_expect_events(Vec::new());
    when(&[&scheduled(&[1])], find(20)).then_expect_events(vec![found(10, 10, 20)]);
    when(&[&scheduled(&[1]), &[found(10, 10, 20)]], find(90)).then_expect_events(Vec::new());
}

#[test]
fn an_attempt_without_an_outcome_and_an_unknown_one_are_late_from_then_on() {
    when(&[&scheduled(&[1]), &[attempted(1, 1, 1)]], find(19)).then_expect_events(Vec::new());
    when(&[&scheduled(&[1]), &[attempted(1, 1, 1)]], find(25)).then_expect_events(vec![found(10, 10, 25)]);
    let in_doubt = [attempted(1, 1, 1), unknown(1, 1)];
    when(&[&scheduled(&[1]), &in_doubt], find(20)).then_expect_events(Vec::new());
    when(&[&scheduled(&[1]), &in_doubt], find(21)).then_expect_events(vec![found(10, 11, 21)]);
}

#[test]
fn what_is_over_is_not_overdue() {
    for over in [
        vec![attempted(1, 1, 1), published(1, 1)],
        vec![attempted(1, 1, 1), failed(1, Some(1), FailureClass::BadContent)],
        vec![PostEvent::Cancelled { channels: vec![channel(1)], at: now() }],
        vec![attempted(1, 1, 1), unknown(1, 1), PostEvent::Archived { at: now() }],
    ] {
        when(&[&scheduled(&[1]), &over], find(500)).then_expect_events(Vec::new());
    }
    when(&[&[drafted(&[1])]], find(500)).then_expect_error(PostError::NoSuchChannel(channel(1)));
    when(&[], find(500)).then_expect_error(PostError::NotFound);
}

#[test]
fn another_time_is_found_anew() {
    let again = [attempted(1, 1, 1), unknown(1, 1), found(10, 11, 21), retried(1, RetryBasis::NotOnPlatform)];
    when(&[&scheduled(&[1]), &again], find(29)).then_expect_events(Vec::new());
    when(&[&scheduled(&[1]), &again], find(30)).then_expect_events(vec![found(20, 20, 30)]);
    let moved = PostEvent::Rescheduled { schedule: at(40), channels: vec![channel(1)], dropped: Vec::new() };
    let moved = [found(10, 10, 20), moved];
    when(&[&scheduled(&[1]), &moved], find(49)).then_expect_events(Vec::new());
    when(&[&scheduled(&[1]), &moved], find(50)).then_expect_events(vec![found(40, 40, 50)]);
}

/// Finding it changes nothing of what can be done.
#[test]
fn an_overdue_post_can_be_published_moved_and_deleted() {
    let given = [found(10, 10, 20)];
    when(&[&scheduled(&[1]), &given], begin(1, 1, 21)).then_expect_events(vec![
        PostEvent::PublishAttempted {
            channel: channel(1),
            attempt_id: attempt(1),
            attempt: 1,
            occurrence: 0,
            part: None,
            at: minutes(21),
        },
    ]);
    assert_eq!(status(&[&scheduled(&[1]), &given]), PostStatus::Scheduled);
    let cancelled = PostEvent::Cancelled { channels: vec![channel(1)], at: minutes(22) };
    when(&[&scheduled(&[1]), &given], PostCommand::Delete { now: minutes(22) })
        .then_expect_events(vec![cancelled]);
}
