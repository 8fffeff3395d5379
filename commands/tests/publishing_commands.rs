//! Channels and posts by command, on a real Postgres.

mod platform;
mod support;

use annals_commands::{
    bus::CommandError,
    ports::social::IdempotencyKind,
    publishing::posts::{Member, TagRef, Whose},
};
use annals_domain::{
    Refusal, RefusalKind,
    kernel::{MediaId, OrganizationId, TagId, UserId},
    publishing::{
        Integration, Post, PostStatus, TagBook,
        post::{MediaDraft, PartDraft, Plan},
        tags::TagName,
    },
};
use annals_eventstore::StreamId;
use platform::{Desk, Platform, admin, if_match};
use serde_json::json;
use support::{context, keyed};
use uuid::Uuid;

async fn desk() -> Desk {
    Desk::new(IdempotencyKind::ByHandle).await
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, CommandError>) -> Box<dyn Refusal> {
    match answer {
        Err(CommandError::Refused(refusal)) => refusal,
        other => panic!("expected a refusal: {other:?}"),
    }
}

fn fields<T: std::fmt::Debug>(answer: Result<T, CommandError>) -> Vec<String> {
    refusal(answer).fields().into_iter().map(|(field, _)| field).collect()
}

#[tokio::test]
async fn one_account_is_connected_once_in_an_organization() {
    let desk = desk().await;
    desk.connect().await;
    let again = desk.channels.connect(&context(), desk.new_channel()).await;
    assert_eq!(refusal(again).code(), "CHANNEL_ALREADY_CONNECTED");
    let mut elsewhere = desk.new_channel();
    elsewhere.organization = OrganizationId::new(Uuid::now_v7());
    desk.channels.connect(&context(), elsewhere).await.unwrap();
}

#[tokio::test]
async fn a_platform_that_refuses_the_sign_in_names_the_credentials() {
    let desk = desk().await;
    let mut channel = desk.new_channel();
    channel.credentials = json!({"password": "wrong"});
    assert_eq!(fields(desk.channels.connect(&context(), channel.clone()).await), ["credentials"]);
    channel.platform = "nowhere".to_string();
    assert_eq!(fields(desk.channels.connect(&context(), channel).await), ["platform"]);
}

#[tokio::test]
async fn disconnecting_destroys_the_credentials_for_every_node_and_frees_the_account() {
    let desk = desk().await;
    let channel = desk.connect().await;
    let stream = StreamId::of::<Integration>(channel);
    let token = |payloads: &[serde_json::Value]| payloads[0]["credentials"]["$secret"]["value"].clone();
    assert_eq!(token(&desk.opened(stream.clone()).await), json!({"token": 1}));

    let organization = desk.member.organization;
    desk.channels.disconnect(&context(), organization, channel).await.unwrap();
    assert_eq!(token(&desk.opened(stream).await), json!(null));
    let other = platform::node(&desk.database, &desk.clock).await;
    assert_eq!(other.load::<Integration>(channel).await.unwrap().state.credentials(), None);
    assert_eq!(
        refusal(desk.channels.disconnect(&context(), organization, channel).await).kind(),
        RefusalKind::NotFound
    );
    assert_ne!(desk.connect().await, channel, "a new connection is a new channel");
}

#[tokio::test]
async fn another_organizations_channel_is_not_found() {
    let desk = desk().await;
    let channel = desk.connect().await;
    let elsewhere = OrganizationId::new(Uuid::now_v7());
    let answer = desk.channels.disconnect(&context(), elsewhere, channel).await;
    assert_eq!(refusal(answer).kind(), RefusalKind::NotFound);
    let stranger = Member { organization: elsewhere, ..desk.member };
    let request = desk.request("hello", &[channel], 10);
    assert_eq!(fields(desk.posts.create(&context(), stranger, request).await), ["integrations[0].id"]);
}

#[tokio::test]
async fn limits_are_checked_when_a_post_is_scheduled_and_not_for_a_draft() {
    let desk = desk().await;
    let channel = desk.connect().await;
    let mut request = desk.request("this text is too long for Stage", &[channel], 10);
    request.draft.thread = vec!["this one is too long for it too".into()];
    let answer = desk.posts.create(&context(), desk.member, request.clone()).await;
    assert_eq!(fields(answer), ["content", "thread[0]"]);
    let mut own = request.clone();
    own.draft.targets[0].content = Some("this is too long for Stage as well".to_string());
    own.draft.targets[0].thread = Some(vec!["and its own thread is too long".into()]);
    let answer = desk.posts.create(&context(), desk.member, own).await;
    assert_eq!(fields(answer), ["integrations[0].content", "integrations[0].thread[0]"]);
    request.plan = Plan::Draft(None);
    desk.posts.create(&context(), desk.member, request).await.unwrap();
}

/// Not to be found out from what stands there without its picture.
#[tokio::test]
async fn media_that_would_not_reach_a_platform_are_refused_when_a_post_is_scheduled() {
    let desk = Desk::at(Platform::showing(IdempotencyKind::ByHandle, None)).await;
    let channel = desk.connect().await;
    let media = || vec![MediaDraft { asset_id: MediaId::new(Uuid::now_v7()), alt: None }];
    let mut request = desk.request("hello", &[channel], 10);
    request.draft.media = media();
    let answer = desk.posts.create(&context(), desk.member, request.clone()).await;
    assert_eq!(fields(answer), ["media"]);
    request.draft.media = Vec::new();
    request.draft.thread = vec![PartDraft { media: media(), ..PartDraft::from("more") }];
    let answer = desk.posts.create(&context(), desk.member, request.clone()).await;
    assert_eq!(fields(answer), ["thread[0].media"]);
    request.draft.targets[0].media = Some(media());
    let answer = desk.posts.create(&context(), desk.member, request).await;
    assert_eq!(fields(answer), ["integrations[0].media", "thread[0].media"], "all that is wrong at once");
}

#[tokio::test]
async fn the_past_is_refused_by_name_and_changes_nothing() {
    let desk = desk().await;
    let channel = desk.connect().await;
    let mut request = desk.request("hello", &[channel], -2);
    request.tags = vec![TagRef::Name(TagName::parse("Launch").unwrap())];
    assert_eq!(fields(desk.posts.create(&context(), desk.member, request).await), ["scheduledAt"]);
    let book = desk.bus.load::<TagBook>(desk.member.organization).await.unwrap();
    assert_eq!(book.version, 0, "not even its tag is made");
}

#[tokio::test]
async fn a_named_tag_is_made_with_the_post_and_found_the_next_time() {
    let desk = desk().await;
    let named = |name: &str| TagRef::Name(TagName::parse(name).unwrap());
    let mut request = desk.request("hello", &[], 10);
    request.plan = Plan::Draft(None);
    request.tags = vec![named("Launch"), named("launch")];
    let first = desk.posts.create(&context(), desk.member, request.clone()).await.unwrap().value.unwrap();
    let second = desk.posts.create(&context(), desk.member, request.clone()).await.unwrap().value.unwrap();
    let desk = &desk;
    let tags =
        |id| async move { desk.bus.load::<Post>(id).await.unwrap().state.composition().tags().to_vec() };
    let made = tags(first).await;
    assert_eq!(made.len(), 1);
    assert_eq!(tags(second).await, made);
    request.tags = vec![TagRef::Id(TagId::new(Uuid::now_v7()))];
    assert_eq!(fields(desk.posts.create(&context(), desk.member, request).await), ["tags[0]"]);
}

#[tokio::test]
async fn a_retried_call_writes_one_post() {
    let desk = desk().await;
    let channel = desk.connect().await;
    let once = keyed("key-1", "POST /posts {}");
    let first = desk.posts.create(&once, desk.member, desk.request("hello", &[channel], 10)).await.unwrap();
    let again = desk.posts.create(&once, desk.member, desk.request("hello", &[channel], 10)).await.unwrap();
    assert_eq!(first.value, again.value);
    assert_eq!(first.receipt.position, again.receipt.position);
    let connected = keyed("key-2", "POST /integrations/connect {}");
    *desk.platform.account.lock() = "bob".to_string();
    let first = desk.channels.connect(&connected, desk.new_channel()).await.unwrap();
    let again = desk.channels.connect(&connected, desk.new_channel()).await.unwrap();
    assert_eq!(first.value, again.value);
}

#[tokio::test]
async fn only_its_author_and_admins_change_a_post() {
    let desk = desk().await;
    let channel = desk.connect().await;
    let post = desk.schedule(&[channel]).await;
    let colleague = Member { user: UserId::new(Uuid::now_v7()), posts: Whose::Own, ..desk.member };
    assert_eq!(refusal(desk.posts.delete(&context(), colleague, post).await).kind(), RefusalKind::Forbidden);
    let stranger = Member { organization: OrganizationId::new(Uuid::now_v7()), ..admin(desk.member) };
    assert_eq!(refusal(desk.posts.delete(&context(), stranger, post).await).kind(), RefusalKind::NotFound);
    desk.posts.delete(&context(), admin(desk.member), post).await.unwrap();
    let state = desk.bus.load::<Post>(post).await.unwrap().state;
    assert_eq!(state.status(), PostStatus::Cancelled);
}

#[tokio::test]
async fn a_stale_version_is_refused_also_when_tags_are_made_with_the_change() {
    let desk = desk().await;
    let channel = desk.connect().await;
    let post = desk.schedule(&[channel]).await;
    let mut request = desk.request("better", &[channel], 20);
    request.tags = vec![TagRef::Name(TagName::parse("Launch").unwrap())];
    let stale = desk.posts.revise(&if_match(1), desk.member, post, request.clone()).await;
    assert!(matches!(stale, Err(CommandError::VersionConflict { expected: 1, actual: 2 })), "{stale:?}");
    let outcome = desk.posts.revise(&if_match(2), desk.member, post, request).await.unwrap();
    assert_eq!(outcome.version, 4, "edited and rescheduled");
}
