//! What `retry` does in each state that a post may be in.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use annals_commands::{
    bus::CommandError,
    ports::social::{FailureClass, IdempotencyKind},
    publishing::retry::{Doubling, RetryRequest},
};
use annals_domain::{
    kernel::{AttemptId, IntegrationId, PostId},
    publishing::{Integration, IntegrationCommand, Post, PostCommand, post::DeliveryState},
};
use platform::{Desk, Next};
use support::context;
use uuid::Uuid;

async fn retry(desk: &Desk, post: PostId, channel: Option<IntegrationId>) -> Result<(), CommandError> {
    let request = RetryRequest { channel, doubling: Doubling::Never };
    desk.posts.retry(&context(), desk.member, post, request).await.map(|_| ())
}

/// Refused with this code and something of these words, whether or not the channel is named; and nothing
/// was recorded.
async fn refused(desk: &Desk, post: PostId, channel: IntegrationId, code: &str, words: &str) {
    let before = desk.events(post).await;
    for channel in [None, Some(channel)] {
        let CommandError::Refused(refusal) = retry(desk, post, channel).await.unwrap_err() else {
            panic!("not refused")
        };
        assert_eq!(refusal.code(), code, "{refusal}");
        assert!(refusal.to_string().contains(words), "{refusal}");
    }
    assert_eq!(desk.events(post).await, before);
}

#[tokio::test]
async fn a_scheduled_post_waits_for_its_time() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let channel = desk.connect().await;
    let post = desk.schedule(&[channel]).await;
    refused(&desk, post, channel, "NOTHING_TO_RETRY", "scheduled").await;
}

#[tokio::test]
async fn a_held_post_waits_for_its_channel_and_the_answer_says_so() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    let lose = IntegrationCommand::LoseAccess { reason: "gone".to_string(), now: desk.bus.now() };
    desk.bus.execute::<Integration>(&context(), "LoseAccess", channel, lose).await.unwrap();
    refused(&desk, post, channel, "CHANNEL_NOT_USABLE", "connect the channel again").await;
    desk.connect().await;
    desk.fire(post, channel, 1).await;
    assert_eq!(desk.platform.count(), 1, "and then it needs no retry");
}

#[tokio::test]
async fn a_post_in_an_attempt_waits_for_its_outcome() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    let attempt_id = AttemptId::new(Uuid::now_v7());
    let begin = PostCommand::BeginAttempt { channel, attempt_id, now: desk.bus.now() };
    desk.bus.execute::<Post>(&context(), "PublishPost", post, begin).await.unwrap();
    refused(&desk, post, channel, "NOTHING_TO_RETRY", "publishing").await;
}

/// From unknown, the platform is asked first; if it can't tell, the person has to accept that it may double.
#[tokio::test]
async fn an_unknown_outcome_is_asked_about_first() {
    for (kind, there) in [
        (IdempotencyKind::Searchable, Next::PublishAndHang),
        (IdempotencyKind::Searchable, Next::Hang),
        (IdempotencyKind::None, Next::Hang),
    ] {
        let desk = Desk::new(kind).await;
        let (post, channel) = desk.due().await;
        desk.platform.next([there]);
        desk.fire(post, channel, 1).await;
        assert!(matches!(desk.state(post, channel).await, DeliveryState::Unknown { .. }));
        match (kind, there) {
            (IdempotencyKind::None, _) => {
                refused(&desk, post, channel, "OUTCOME_UNKNOWN", "confirmMayDouble").await;
            }
            (_, Next::Hang) => {
                retry(&desk, post, None).await.unwrap();
                assert!(matches!(desk.state(post, channel).await, DeliveryState::Scheduled { .. }));
                desk.fire(post, channel, 1).await;
                assert_eq!(desk.platform.count(), 1);
            }
            _ => {
                retry(&desk, post, None).await.unwrap();
                assert!(matches!(desk.state(post, channel).await, DeliveryState::Published { .. }));
                assert_eq!(*desk.platform.calls.lock(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_failed_post_is_tried_again_at_once_unless_its_channel_is_off() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    desk.platform.next([Next::Fail(FailureClass::BadContent)]);
    desk.fire(post, channel, 1).await;
    let lose = IntegrationCommand::LoseAccess { reason: "gone".to_string(), now: desk.bus.now() };
    desk.bus.execute::<Integration>(&context(), "LoseAccess", channel, lose).await.unwrap();
    refused(&desk, post, channel, "CHANNEL_NOT_USABLE", "connect the channel again").await;
    desk.connect().await;
    retry(&desk, post, Some(channel)).await.unwrap();
    desk.fire(post, channel, 1).await;
    assert!(matches!(desk.state(post, channel).await, DeliveryState::Published { .. }));
}

#[tokio::test]
async fn what_is_published_or_cancelled_is_over() {
    let desk = Desk::new(IdempotencyKind::ByHandle).await;
    let (post, channel) = desk.due().await;
    desk.fire(post, channel, 1).await;
    refused(&desk, post, channel, "NOTHING_TO_RETRY", "published").await;
    let other = desk.schedule(&[channel]).await;
    desk.posts.delete(&context(), desk.member, other).await.unwrap();
    refused(&desk, other, channel, "NOTHING_TO_RETRY", "cancelled").await;
}
