//! A thread goes out part by part.

use super::*;

/// Three parts; the second follows at once, the third five minutes after it.
fn thread() -> Vec<PostEvent> {
    let late = PartDraft { delay_seconds: 300, ..PartDraft::from("third") };
    let composition = Composition::parse(&Draft {
        content: "first".to_string(),
        thread: vec!["second".into(), late],
        targets: vec![channel(1).into()],
        ..Draft::default()
    })
    .unwrap();
    let (organization_id, author_id) = (OrganizationId::default(), UserId::default());
    vec![
        PostEvent::Drafted { organization_id, author_id, composition, occurrence: None },
        PostEvent::Scheduled { schedule: at(10), channels: vec![channel(1)] },
    ]
}

fn attempted_part(part: u32, id: u128) -> PostEvent {
    PostEvent::PublishAttempted {
        channel: channel(1),
        attempt_id: attempt(id),
        attempt: 1,
        occurrence: 0,
        part: Some(part),
        at: minutes(11),
    }
}

fn published_part(part: u32, id: u128, next_minute: Option<i64>) -> PostEvent {
    PostEvent::Published {
        channel: channel(1),
        attempt_id: attempt(id),
        remote_id: "r1".to_string(),
        url: None,
        part: Some(part),
        next_at: next_minute.map(minutes),
        at: minutes(11),
    }
}

#[test]
fn each_part_has_its_attempt_and_the_next_is_due_after_its_delay() {
    let one = [attempted_part(0, 1), published_part(0, 1, Some(11))];
    when(&[&thread()], begin(1, 1, 11)).then_expect_events(vec![one[0].clone()]);
    when(&[&thread(), &one[..1]], record_published(1, 1)).then_expect_events(vec![one[1].clone()]);
    let two = [attempted_part(1, 2), published_part(1, 2, Some(16))];
    when(&[&thread(), &one], begin(1, 2, 11)).then_expect_events(vec![two[0].clone()]);
    when(&[&thread(), &one, &two[..1]], record_published(1, 2)).then_expect_events(vec![two[1].clone()]);
    when(&[&thread(), &one, &two], begin(1, 3, 15)).then_expect_error(PostError::NotDue(minutes(16)));
    assert_eq!(status(&[&thread(), &one, &two]), PostStatus::Publishing);
    let three = [attempted_part(2, 3), published_part(2, 3, None)];
    assert_eq!(status(&[&thread(), &one, &two, &three]), PostStatus::Published);
    let post = post(&[&thread(), &one, &two, &three]);
    assert_eq!(post.deliveries()[&channel(1)].standing.len(), 3);
}

#[test]
fn a_part_that_fails_leaves_the_earlier_and_a_retry_goes_on_from_there() {
    let given = [attempted_part(0, 1), published_part(0, 1, Some(11)), attempted_part(1, 2)];
    let broken = failed(1, Some(2), FailureClass::BadContent);
    when(&[&thread(), &given], record_failed(1, 2, FailureClass::BadContent))
        .then_expect_events(vec![broken.clone()]);
    assert_eq!(status(&[&thread(), &given, std::slice::from_ref(&broken)]), PostStatus::PartlyPublished);
    let again = [broken, retried(1, RetryBasis::Asked)];
    when(&[&thread(), &given, &again], begin(1, 3, 20)).then_expect_events(vec![
        PostEvent::PublishAttempted {
            channel: channel(1),
            attempt_id: attempt(3),
            attempt: 1,
            occurrence: 0,
            part: Some(1),
            at: minutes(20),
        },
    ]);
}

#[test]
fn a_late_answer_to_an_earlier_part_is_not_taken_for_a_later_one() {
    let given = [attempted_part(0, 1), published_part(0, 1, Some(11)), attempted_part(1, 2)];
    when(&[&thread(), &given], record_published(1, 1)).then_expect_events(Vec::new());
    let twice = [&given[..], &[published_part(0, 1, Some(11))]].concat();
    assert_eq!(post(&[&thread(), &twice]).deliveries()[&channel(1)].standing.len(), 1);
}

#[test]
fn a_thread_that_was_published_as_a_whole_stays_published() {
    let before = [attempted(1, 1, 1), published(1, 1)];
    assert_eq!(status(&[&thread(), &before]), PostStatus::Published);
    when(&[&thread(), &[attempted(1, 1, 1), unknown(1, 1)]], record_published(1, 1))
        .then_expect_events(vec![published_part(0, 1, Some(11))]);
}

#[test]
fn what_is_left_of_a_thread_can_be_cancelled_and_what_stands_is_shown() {
    let one = [attempted_part(0, 1), published_part(0, 1, Some(11))];
    let ends = vec![
        PostEvent::Cancelled { channels: vec![channel(1)], at: minutes(30) },
        PostEvent::Archived { at: minutes(30) },
    ];
    when(&[&thread(), &one], PostCommand::Delete { now: minutes(30) }).then_expect_events(ends.clone());
    assert_eq!(status(&[&thread(), &one, &ends]), PostStatus::PartlyPublished);
}

#[test]
fn a_reply_joins_the_thread_until_the_post_is_on_its_way() {
    let reply = PartDraft { delay_seconds: 60, ..PartDraft::from("fourth") }.parse().unwrap();
    let command = || PostCommand::Reply { reply: reply.clone() };
    let composition = post(&[&thread()]).composition().with_reply(&reply).unwrap();
    assert_eq!(composition.thread().len(), 3);
    when(&[&thread()], command()).then_expect_events(vec![PostEvent::Edited { composition }]);
    when(&[&thread(), &[attempted_part(0, 1)]], command())
        .then_expect_error(PostError::NotEditable(PostStatus::Publishing));
    let full = Composition::parse(&Draft {
        content: "first".to_string(),
        thread: vec!["more".into(); THREAD_PARTS_MAX],
        ..Draft::default()
    });
    let edited = PostEvent::Edited { composition: full.unwrap() };
    when(&[&[drafted(&[])], &[edited]], command()).then_expect_error(PostError::ThreadTooLong);
}
