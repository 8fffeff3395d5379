use cqrs_es::test::{AggregateResultValidator, TestFramework};
use uuid::Uuid;

use super::*;
use crate::kernel::TimeZone;

mod overdue;
mod publishing;
mod thread;
mod writing;

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
    let targets = channels.iter().map(|n| channel(*n).into()).collect();
    Composition::parse(&Draft { content: content.to_string(), targets, ..Draft::default() }).unwrap()
}

fn drafted(channels: &[u128]) -> PostEvent {
    PostEvent::Drafted {
        organization_id: OrganizationId::default(),
        author_id: UserId::default(),
        composition: text("hello", channels),
        occurrence: None,
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
        part: None,
        at: minutes(10),
    }
}

fn published(n: u128, id: u128) -> PostEvent {
    PostEvent::Published {
        channel: channel(n),
        attempt_id: attempt(id),
        remote_id: "r1".to_string(),
        url: None,
        part: None,
        next_at: None,
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
        occurrence: None,
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
