use chrono::TimeDelta;
use cqrs_es::test::TestFramework;
use uuid::Uuid;

use super::*;
use crate::kernel::OrganizationId;

fn id<T: From<Uuid>>(n: u128) -> T {
    Uuid::from_u128(n).into()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn likes(likes: u64) -> PostCounts {
    PostCounts { likes: Some(likes), ..PostCounts::default() }
}

fn followers(followers: u64) -> AccountCounts {
    AccountCounts { followers: Some(followers), ..AccountCounts::default() }
}

fn observe(counts: PostCounts, now: &str) -> PostFiguresCommand {
    PostFiguresCommand::Observe {
        organization: id(1),
        post: id(2),
        channel: id(3),
        published_at: at("2026-05-01T09:00:00Z"),
        counts,
        now: at(now),
    }
}

fn observed(counts: PostCounts, now: &str) -> PostFiguresEvent {
    PostFiguresEvent::Observed {
        organization_id: id(1),
        post_id: id(2),
        channel_id: id(3),
        published_at: at("2026-05-01T09:00:00Z"),
        counts,
        at: at(now),
    }
}

fn lose(now: &str) -> PostFiguresCommand {
    PostFiguresCommand::Lose { organization: id(1), post: id(2), channel: id(3), now: at(now) }
}

fn lost(now: &str) -> PostFiguresEvent {
    PostFiguresEvent::Lost { organization_id: id(1), post_id: id(2), channel_id: id(3), at: at(now) }
}

type PostTests = TestFramework<PostFigures>;

#[test]
fn what_is_counted_first_is_recorded_also_if_it_is_nothing() {
    PostTests::with(())
        .given_no_previous_events()
        .when(observe(likes(0), "2026-05-01T09:15:00Z"))
        .then_expect_events(vec![observed(likes(0), "2026-05-01T09:15:00Z")]);
}

#[test]
fn a_platform_that_says_nothing_of_a_post_leaves_nothing() {
    PostTests::with(())
        .given_no_previous_events()
        .when(observe(PostCounts::default(), "2026-05-01T09:15:00Z"))
        .then_expect_events(vec![]);
}

#[test]
fn the_same_figures_again_are_no_news() {
    PostTests::with(())
        .given(vec![observed(likes(2), "2026-05-01T09:15:00Z")])
        .when(observe(likes(2), "2026-05-01T10:00:00Z"))
        .then_expect_events(vec![]);
}

#[test]
fn figures_may_fall_and_a_figure_may_go() {
    PostTests::with(())
        .given(vec![observed(likes(2), "2026-05-01T09:15:00Z")])
        .when(observe(likes(1), "2026-05-01T10:00:00Z"))
        .then_expect_events(vec![observed(likes(1), "2026-05-01T10:00:00Z")]);
    PostTests::with(())
        .given(vec![observed(likes(2), "2026-05-01T09:15:00Z")])
        .when(observe(PostCounts::default(), "2026-05-01T10:00:00Z"))
        .then_expect_events(vec![observed(PostCounts::default(), "2026-05-01T10:00:00Z")]);
}

#[test]
fn a_post_is_lost_once_and_may_come_back() {
    PostTests::with(())
        .given(vec![observed(likes(2), "2026-05-01T09:15:00Z")])
        .when(lose("2026-05-01T10:00:00Z"))
        .then_expect_events(vec![lost("2026-05-01T10:00:00Z")]);
    let gone = vec![observed(likes(2), "2026-05-01T09:15:00Z"), lost("2026-05-01T10:00:00Z")];
    PostTests::with(()).given(gone.clone()).when(lose("2026-05-01T11:00:00Z")).then_expect_events(vec![]);
    PostTests::with(())
        .given(gone)
        .when(observe(likes(2), "2026-05-01T11:00:00Z"))
        .then_expect_events(vec![observed(likes(2), "2026-05-01T11:00:00Z")]);
}

#[test]
fn figures_of_another_post_are_refused() {
    let other = PostFiguresCommand::Lose {
        organization: id(1),
        post: id(9),
        channel: id(3),
        now: at("2026-05-01T10:00:00Z"),
    };
    PostTests::with(())
        .given(vec![observed(likes(2), "2026-05-01T09:15:00Z")])
        .when(other)
        .then_expect_error(FiguresError::OtherSubject);
}

fn look(account: Option<AccountCounts>, missing: Option<Missing>, now: &str) -> ChannelFiguresCommand {
    ChannelFiguresCommand::Look { organization: id(1), channel: id(3), account, missing, now: at(now) }
}

fn looked(account: Option<AccountCounts>, missing: Option<Missing>, now: &str) -> ChannelFiguresEvent {
    let organization_id: OrganizationId = id(1);
    ChannelFiguresEvent::Looked { organization_id, channel_id: id(3), account, missing, at: at(now) }
}

fn unavailable(reason: &str) -> Option<Missing> {
    Some(Missing { class: MissingClass::Unavailable, reason: reason.to_string() })
}

type ChannelTests = TestFramework<ChannelFigures>;

#[test]
fn a_look_that_finds_nothing_new_is_noted_once_a_day() {
    let morning = looked(Some(followers(10)), None, "2026-05-01T09:00:00Z");
    for again in [Some(followers(10)), None] {
        ChannelTests::with(())
            .given(vec![morning.clone()])
            .when(look(again, None, "2026-05-01T23:59:59Z"))
            .then_expect_events(vec![]);
        ChannelTests::with(())
            .given(vec![morning.clone()])
            .when(look(again, None, "2026-05-02T00:00:00Z"))
            .then_expect_events(vec![looked(again, None, "2026-05-02T00:00:00Z")]);
    }
}

#[test]
fn more_followers_are_news_at_once() {
    ChannelTests::with(())
        .given(vec![looked(Some(followers(10)), None, "2026-05-01T09:00:00Z")])
        .when(look(Some(followers(11)), None, "2026-05-01T10:00:00Z"))
        .then_expect_events(vec![looked(Some(followers(11)), None, "2026-05-01T10:00:00Z")]);
}

#[test]
fn what_is_missing_is_recorded_when_it_begins_and_when_it_ends() {
    let well = looked(Some(followers(10)), None, "2026-05-01T09:00:00Z");
    let ill = looked(None, unavailable("no answer"), "2026-05-01T10:00:00Z");
    ChannelTests::with(())
        .given(vec![well.clone()])
        .when(look(None, unavailable("no answer"), "2026-05-01T10:00:00Z"))
        .then_expect_events(vec![ill.clone()]);
    // Other words for the same are not news.
    ChannelTests::with(())
        .given(vec![well.clone(), ill.clone()])
        .when(look(None, unavailable("still none"), "2026-05-01T11:00:00Z"))
        .then_expect_events(vec![]);
    ChannelTests::with(())
        .given(vec![well, ill])
        .when(look(Some(followers(10)), None, "2026-05-01T12:00:00Z"))
        .then_expect_events(vec![looked(Some(followers(10)), None, "2026-05-01T12:00:00Z")]);
}

#[test]
fn figures_of_another_channel_are_refused() {
    let other = ChannelFiguresCommand::Look {
        organization: id(1),
        channel: id(9),
        account: None,
        missing: None,
        now: at("2026-05-01T10:00:00Z"),
    };
    ChannelTests::with(())
        .given(vec![looked(None, None, "2026-05-01T09:00:00Z")])
        .when(other)
        .then_expect_error(FiguresError::OtherSubject);
}

#[test]
fn a_stream_is_of_a_year() {
    let new_year = at("2027-01-01T00:00:00Z");
    let of = |now| ChannelFiguresId::at(id(3), now).to_string();
    assert!(of(new_year).ends_with(":2027"));
    assert!(of(new_year - TimeDelta::seconds(1)).ends_with(":2026"));
}
