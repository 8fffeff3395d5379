use cqrs_es::test::{AggregateResultValidator, TestFramework};
use uuid::Uuid;

use super::*;
use crate::kernel::TimeZone;

fn now() -> DateTime<Utc> {
    "2026-05-01T09:00:00Z".parse().unwrap()
}

fn minutes(n: i64) -> DateTime<Utc> {
    now() + chrono::TimeDelta::minutes(n)
}

fn channel(n: u128) -> IntegrationId {
    IntegrationId::new(Uuid::from_u128(n))
}

fn attempt(n: u128) -> AttemptId {
    AttemptId::new(Uuid::from_u128(n))
}

fn at(minute: i64) -> Schedule {
    Schedule { at: minutes(minute), zone: TimeZone::default() }
}

fn text(content: &str, channels: &[u128]) -> Composition {
    let targets = channels.iter().map(|n| (channel(*n), None)).collect();
    Composition::parse(&Draft { content, targets, ..Draft::default() }).unwrap()
}

fn drafted(channels: &[u128]) -> PostEvent {
    PostEvent::Drafted {
        organization_id: OrganizationId::default(),
        author_id: UserId::default(),
        composition: text("hello", channels),
    }
}

fn scheduled(channels: &[u128]) -> Vec<PostEvent> {
    let event =
        PostEvent::Scheduled { schedule: at(10), channels: channels.iter().map(|n| channel(*n)).collect() };
    vec![drafted(channels), event]
}

fn attempted(n: u128, id: u128, number: u32) -> PostEvent {
    PostEvent::PublishAttempted {
        channel: channel(n),
        attempt_id: attempt(id),
        attempt: number,
        occurrence: 0,
        at: minutes(10),
    }
}

fn published(n: u128, id: u128) -> PostEvent {
    PostEvent::Published {
        channel: channel(n),
        attempt_id: attempt(id),
        remote_id: "r1".to_string(),
        url: None,
        at: minutes(11),
    }
}

fn deferred(n: u128, id: u128) -> PostEvent {
    PostEvent::PublishDeferred {
        channel: channel(n),
        attempt_id: attempt(id),
        reason: "busy".to_string(),
        at: minutes(11),
    }
}

fn failure(class: FailureClass) -> Failure {
    Failure { class, reason: "busy".to_string(), what_to_do: "wait".to_string() }
}

fn failed(n: u128, id: Option<u128>, class: FailureClass) -> PostEvent {
    PostEvent::PublishFailed {
        channel: channel(n),
        attempt_id: id.map(attempt),
        failure: failure(class),
        at: minutes(11),
    }
}

fn unknown(n: u128, id: u128) -> PostEvent {
    PostEvent::OutcomeUnknown {
        channel: channel(n),
        attempt_id: attempt(id),
        reason: "no answer".to_string(),
        what_to_do: "look".to_string(),
        at: minutes(11),
    }
}

fn retried(n: u128, basis: RetryBasis) -> PostEvent {
    PostEvent::RetryRequested { channel: channel(n), basis, at: minutes(20) }
}

fn create(channels: &[u128], plan: Plan) -> PostCommand {
    PostCommand::Create {
        organization: OrganizationId::default(),
        author: UserId::default(),
        composition: text("hello", channels),
        plan,
        now: now(),
    }
}

fn revise(composition: Composition, plan: Plan) -> PostCommand {
    PostCommand::Revise { composition, plan, now: now() }
}

fn begin(n: u128, id: u128, minute: i64) -> PostCommand {
    PostCommand::BeginAttempt { channel: channel(n), attempt_id: attempt(id), now: minutes(minute) }
}

fn record_published(n: u128, id: u128) -> PostCommand {
    PostCommand::RecordPublished {
        channel: channel(n),
        attempt_id: attempt(id),
        remote_id: "r1".to_string(),
        url: None,
        at: minutes(11),
    }
}

fn record_failed(n: u128, id: u128, class: FailureClass) -> PostCommand {
    PostCommand::RecordFailed {
        channel: channel(n),
        attempt_id: attempt(id),
        failure: failure(class),
        at: minutes(11),
    }
}

fn record_unknown(n: u128, id: u128) -> PostCommand {
    PostCommand::RecordUnknown {
        channel: channel(n),
        attempt_id: attempt(id),
        reason: "no answer".to_string(),
        what_to_do: "look".to_string(),
        at: minutes(11),
    }
}

fn retry(n: u128, basis: RetryBasis) -> PostCommand {
    PostCommand::Retry { channel: channel(n), basis, now: minutes(20) }
}

fn publish_at(minute: i64) -> Plan {
    Plan::Publish(Due::At(at(minute)))
}

/// Given these, when that.
fn when(given: &[&[PostEvent]], command: PostCommand) -> AggregateResultValidator<Post> {
    TestFramework::<Post>::with(()).given(given.concat()).when(command)
}

fn status(given: &[&[PostEvent]]) -> PostStatus {
    post(given).status()
}

fn post(given: &[&[PostEvent]]) -> Post {
    let mut post = Post::default();
    given.concat().into_iter().for_each(|event| post.apply(event));
    post
}

mod writing {
    use super::*;

    #[test]
    fn a_draft_needs_no_channel_and_no_time() {
        when(&[], create(&[], Plan::Draft(None))).then_expect_events(vec![drafted(&[])]);
    }

    #[test]
    fn a_scheduled_post_says_when_and_where() {
        when(&[], create(&[1, 2], publish_at(10))).then_expect_events(scheduled(&[1, 2]));
    }

    #[test]
    fn publishing_now_is_due_at_once() {
        let plan = Plan::Publish(Due::Now(TimeZone::default()));
        let due = PostEvent::Scheduled { schedule: at(0), channels: vec![channel(1)] };
        when(&[], create(&[1], plan)).then_expect_events(vec![drafted(&[1]), due]);
    }

    #[test]
    fn a_post_without_channels_cant_be_scheduled() {
        when(&[], create(&[], publish_at(10))).then_expect_error(PostError::NoChannels);
    }

    #[test]
    fn the_time_lies_between_a_minute_ago_and_five_years_ahead() {
        when(&[], create(&[1], publish_at(-2))).then_expect_error(PostError::ScheduledInThePast);
        assert!(when(&[], create(&[1], publish_at(-1))).inspect_result().is_ok());
        let six_years = publish_at(6 * 366 * 24 * 60);
        when(&[], create(&[1], six_years)).then_expect_error(PostError::ScheduledTooFarAhead);
    }

    #[test]
    fn an_id_is_used_once() {
        when(&[&[drafted(&[])]], create(&[], Plan::Draft(None))).then_expect_error(PostError::AlreadyExists);
    }

    #[test]
    fn a_draft_becomes_scheduled_and_a_draft_again() {
        let schedule = PostEvent::Scheduled { schedule: at(10), channels: vec![channel(1)] };
        when(&[&[drafted(&[1])]], revise(text("hello", &[1]), publish_at(10)))
            .then_expect_events(vec![schedule]);
        let back = PostEvent::Unscheduled { channels: vec![channel(1)] };
        when(&[&scheduled(&[1])], revise(text("hello", &[1]), Plan::Draft(Some(at(10)))))
            .then_expect_events(vec![back.clone()]);
        assert_eq!(status(&[&scheduled(&[1]), &[back]]), PostStatus::Draft);
    }

    #[test]
    fn a_changed_text_keeps_the_time_even_if_that_is_past_by_now() {
        let command =
            PostCommand::Revise { composition: text("better", &[1]), plan: publish_at(10), now: minutes(20) };
        when(&[&scheduled(&[1])], command)
            .then_expect_events(vec![PostEvent::Edited { composition: text("better", &[1]) }]);
    }

    #[test]
    fn a_changed_time_or_set_of_channels_is_a_new_schedule() {
        when(&[&scheduled(&[1])], revise(text("hello", &[1]), publish_at(30))).then_expect_events(vec![
            PostEvent::Rescheduled { schedule: at(30), channels: vec![channel(1)], dropped: Vec::new() },
        ]);
        when(&[&scheduled(&[1])], revise(text("hello", &[2]), publish_at(10))).then_expect_events(vec![
            PostEvent::Edited { composition: text("hello", &[2]) },
            PostEvent::Rescheduled {
                schedule: at(10),
                channels: vec![channel(2)],
                dropped: vec![channel(1)],
            },
        ]);
    }

    #[test]
    fn the_same_again_changes_nothing() {
        when(&[&scheduled(&[1])], revise(text("hello", &[1]), publish_at(10))).then_expect_events(Vec::new());
    }

    #[test]
    fn what_was_attempted_cant_be_edited() {
        for (more, status) in [
            (vec![attempted(1, 1, 1)], PostStatus::Publishing),
            (vec![attempted(1, 1, 1), deferred(1, 1)], PostStatus::Publishing),
            (vec![attempted(1, 1, 1), published(1, 1)], PostStatus::Published),
            (vec![attempted(1, 1, 1), unknown(1, 1)], PostStatus::Failed),
            (vec![PostEvent::Cancelled { channels: vec![channel(1)], at: now() }], PostStatus::Cancelled),
        ] {
            when(&[&scheduled(&[1]), &more], revise(text("late", &[1]), publish_at(30)))
                .then_expect_error(PostError::NotEditable(status));
        }
    }
}

mod deleting {
    use super::*;

    fn delete() -> PostCommand {
        PostCommand::Delete { now: minutes(30) }
    }

    #[test]
    fn a_draft_is_gone() {
        let gone = PostEvent::Deleted { at: minutes(30) };
        when(&[&[drafted(&[1])]], delete()).then_expect_events(vec![gone.clone()]);
        when(&[&[drafted(&[1]), gone]], delete()).then_expect_error(PostError::NotFound);
    }

    #[test]
    fn a_scheduled_post_is_cancelled_and_then_leaves_the_lists() {
        let cancelled = PostEvent::Cancelled { channels: vec![channel(1), channel(2)], at: minutes(30) };
        when(&[&scheduled(&[1, 2])], delete()).then_expect_events(vec![cancelled.clone()]);
        assert_eq!(status(&[&scheduled(&[1, 2]), std::slice::from_ref(&cancelled)]), PostStatus::Cancelled);
        when(&[&scheduled(&[1, 2]), &[cancelled]], delete())
            .then_expect_events(vec![PostEvent::Archived { at: minutes(30) }]);
    }

    #[test]
    fn what_stands_on_a_platform_leaves_only_the_lists_and_the_rest_is_cancelled() {
        let given = [attempted(1, 1, 1), published(1, 1)];
        when(&[&scheduled(&[1, 2]), &given], delete()).then_expect_events(vec![
            PostEvent::Cancelled { channels: vec![channel(2)], at: minutes(30) },
            PostEvent::Archived { at: minutes(30) },
        ]);
        let archived = PostEvent::Archived { at: minutes(30) };
        when(&[&scheduled(&[1]), &given, &[archived]], delete()).then_expect_events(Vec::new());
    }

    #[test]
    fn not_while_it_is_being_published() {
        when(&[&scheduled(&[1]), &[attempted(1, 1, 1)]], delete())
            .then_expect_error(PostError::BeingPublished);
    }
}

mod publishing {
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
        for command in
            [record_published(1, 1), record_failed(1, 1, FailureClass::NotActed), record_unknown(1, 1)]
        {
            when(&[&scheduled(&[1]), &done], command).then_expect_events(Vec::new());
        }
        when(&[&scheduled(&[1]), &given], record_published(1, 7)).then_expect_error(PostError::NoSuchAttempt);
    }

    #[test]
    fn what_did_not_act_is_tried_three_times_and_then_failed() {
        let not_acted = || record_failed(1, 1, FailureClass::NotActed);
        when(&[&scheduled(&[1]), &[attempted(1, 1, 1)]], not_acted())
            .then_expect_events(vec![deferred(1, 1)]);
        when(&[&scheduled(&[1]), &[attempted(1, 1, 2)]], not_acted())
            .then_expect_events(vec![deferred(1, 1)]);
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
        when(&[&scheduled(&[1])], give_up()).then_expect_events(vec![failed(
            1,
            None,
            FailureClass::ChannelOff,
        )]);
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
        let given =
            [attempted(1, 1, 1), unknown(1, 1), retried(1, RetryBasis::SafeByHandle), attempted(1, 2, 2)];
        when(&[&scheduled(&[1]), &given], record_failed(1, 1, FailureClass::NotActed))
            .then_expect_events(Vec::new());
        when(&[&scheduled(&[1]), &given], record_published(1, 1)).then_expect_events(vec![published(1, 1)]);
    }
}

mod retrying {
    use super::*;

    #[test]
    fn a_failure_may_be_retried_and_counts_anew() {
        let given = [attempted(1, 1, 3), failed(1, Some(1), FailureClass::NotActed)];
        let again = retried(1, RetryBasis::Asked);
        when(&[&scheduled(&[1]), &given], retry(1, RetryBasis::Asked))
            .then_expect_events(vec![again.clone()]);
        let post = post(&[&scheduled(&[1]), &given, &[again]]);
        assert_eq!(post.deliveries()[&channel(1)].attempts, 0);
        assert_eq!(post.deliveries()[&channel(1)].due_at, minutes(20));
        assert_eq!(post.status(), PostStatus::Publishing);
    }

    #[test]
    fn an_unknown_outcome_is_never_retried_blindly() {
        let given = [attempted(1, 1, 1), unknown(1, 1)];
        when(&[&scheduled(&[1]), &given], retry(1, RetryBasis::Asked))
            .then_expect_error(PostError::MayDouble);
        for basis in [RetryBasis::NotOnPlatform, RetryBasis::ConfirmedMayDouble, RetryBasis::SafeByHandle] {
            when(&[&scheduled(&[1]), &given], retry(1, basis)).then_expect_events(vec![retried(1, basis)]);
        }
    }

    #[test]
    fn by_itself_it_is_tried_only_so_often() {
        let given = [attempted(1, 1, ATTEMPTS_MAX), unknown(1, 1)];
        when(&[&scheduled(&[1]), &given], retry(1, RetryBasis::SafeByHandle))
            .then_expect_error(PostError::TriedTooOften);
        when(&[&scheduled(&[1]), &given], retry(1, RetryBasis::NotOnPlatform))
            .then_expect_events(vec![retried(1, RetryBasis::NotOnPlatform)]);
    }

    #[test]
    fn what_waits_or_stands_is_not_retried() {
        when(&[&scheduled(&[1])], retry(1, RetryBasis::Asked))
            .then_expect_error(PostError::NothingToRetry("scheduled"));
        when(
            &[&scheduled(&[1]), &[attempted(1, 1, 1), published(1, 1)]],
            retry(1, RetryBasis::ConfirmedMayDouble),
        )
        .then_expect_error(PostError::NothingToRetry("published"));
        let archived = PostEvent::Archived { at: now() };
        let given = [attempted(1, 1, 1), unknown(1, 1), archived];
        when(&[&scheduled(&[1]), &given], retry(1, RetryBasis::ConfirmedMayDouble))
            .then_expect_error(PostError::Archived);
    }
}

#[test]
fn the_whole_is_derived_from_its_channels() {
    let two = scheduled(&[1, 2]);
    let on_one = [attempted(1, 1, 1), published(1, 1)];
    let bad = failed(2, Some(2), FailureClass::BadContent);
    let table: [(&[PostEvent], PostStatus); 7] = [
        (&[], PostStatus::Scheduled),
        (&[attempted(1, 1, 1)], PostStatus::Publishing),
        (&on_one, PostStatus::Publishing),
        (&[&on_one[..], &[attempted(2, 2, 1), published(2, 2)]].concat(), PostStatus::Published),
        (&[&on_one[..], &[attempted(2, 2, 1), bad.clone()]].concat(), PostStatus::PartlyPublished),
        (&[&on_one[..], &[attempted(2, 2, 1), unknown(2, 2)]].concat(), PostStatus::PartlyPublished),
        (&[attempted(1, 1, 1), unknown(1, 1), attempted(2, 2, 1), bad], PostStatus::Failed),
    ];
    for (more, expected) in table {
        assert_eq!(status(&[&two, more]), expected, "{more:?}");
    }
}
