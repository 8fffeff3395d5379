//! Figures by the days of a zone, with gaps, absences and what is taken back; built again, they are the same.

use annals_domain::{
    kernel::{IntegrationId, OrganizationId, PostId, TimeZone},
    publishing::{
        ChannelFigures, ChannelFiguresEvent, PostFigures, PostFiguresEvent,
        figures::{AccountCounts, ChannelFiguresId, Missing, MissingClass, PostCounts, PostFiguresId},
    },
};
use annals_eventstore::{Append, Expected, NewEvent, StreamAppend, StreamId};
use annals_projections::{
    Projector, Reader,
    publishing::{
        Figures,
        figures::{self, Scope},
        overview::Period,
    },
    runtime::request_rebuild,
};
use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::{Aggregate, DomainEvent};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Log, PATIENCE, append, quick, until};

/// An organization with one channel, whose figures are written as a test says.
struct Counted {
    log: Log,
    organization: OrganizationId,
    channel: IntegrationId,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Counted {
    async fn new() -> Self {
        let log = Log::new().await;
        let stop = CancellationToken::new();
        let run = Projector::new(log.store.clone()).with(Figures).options(quick()).run(stop.clone());
        let running = tokio::spawn(async move { run.await.unwrap() });
        let (organization, channel) =
            (OrganizationId::new(Uuid::now_v7()), IntegrationId::new(Uuid::now_v7()));
        Self { log, organization, channel, stop, running }
    }

    async fn write<A: Aggregate>(&self, id: String, event: &A::Event)
    where
        A::Event: DomainEvent + Serialize,
    {
        let mut written: Append = append("added", "x", serde_json::json!({}));
        written.streams = vec![StreamAppend {
            stream: StreamId::new(A::TYPE, id),
            expected: Expected::Any,
            events: vec![NewEvent::of(Uuid::now_v7(), event).unwrap()],
        }];
        self.log.store.append(written).await.unwrap();
    }

    /// The platform counts so of a post that was published at `published`.
    async fn observed(&self, post: PostId, published: &str, counts: PostCounts, at: &str) {
        let event = PostFiguresEvent::Observed {
            organization_id: self.organization,
            post_id: post,
            channel_id: self.channel,
            published_at: time(published),
            counts,
            at: time(at),
        };
        self.write::<PostFigures>(PostFiguresId { post, channel: self.channel }.to_string(), &event).await;
    }

    async fn looked(&self, followers: Option<u64>, missing: Option<Missing>, at: &str) {
        let account =
            followers.map(|count| AccountCounts { followers: Some(count), ..AccountCounts::default() });
        let event = ChannelFiguresEvent::Looked {
            organization_id: self.organization,
            channel_id: self.channel,
            account,
            missing,
            at: time(at),
        };
        let id = ChannelFiguresId::at(self.channel, time(at));
        self.write::<ChannelFigures>(id.to_string(), &event).await;
    }

    async fn caught_up(&self) {
        let head = self.log.store.head().await.unwrap();
        Reader::new(self.log.pool().clone()).wait::<Figures>(head, PATIENCE).await.unwrap();
    }

    fn scope(&self) -> Scope {
        Scope { organization: self.organization, channel: None, post: None }
    }

    /// Day and likes that were added.
    async fn likes(&self, zone: &str) -> Vec<(String, Option<i64>)> {
        self.caught_up().await;
        let days = figures::changes(self.log.pool(), self.scope(), &period(zone)).await.unwrap();
        days.into_iter().map(|day| (day.day.to_string(), day.changes.counts.likes)).collect()
    }

    async fn followers(&self, zone: &str) -> Vec<(Option<NaiveDate>, Option<i64>, Option<i64>)> {
        self.caught_up().await;
        let days = figures::accounts(self.log.pool(), self.scope(), &period(zone)).await.unwrap();
        days.into_iter().map(|day| (day.day, day.followers, day.followers_change)).collect()
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn period(zone: &str) -> Period {
    let (from, to) = (time("2026-01-01T12:00:00Z"), time("2026-12-31T12:00:00Z"));
    Period { from, to, zone: TimeZone::parse(zone).unwrap() }
}

fn likes(likes: u64) -> PostCounts {
    PostCounts { likes: Some(likes), ..PostCounts::default() }
}

fn day(text: &str, likes: i64) -> (String, Option<i64>) {
    (text.to_string(), Some(likes))
}

fn post() -> PostId {
    PostId::new(Uuid::now_v7())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_before_midnight_in_utc_is_the_next_day_of_a_zone_ahead() {
    let counted = Counted::new().await;
    let (post, published) = (post(), "2026-05-01T09:00:00Z");
    counted.observed(post, published, likes(2), "2026-05-01T09:15:00Z").await;
    counted.observed(post, published, likes(5), "2026-05-01T23:30:00Z").await;
    assert_eq!(counted.likes("UTC").await, [day("2026-05-01", 5)]);
    assert_eq!(counted.likes("Europe/Berlin").await, [day("2026-05-01", 2), day("2026-05-02", 3)]);
    assert_eq!(counted.likes("Pacific/Auckland").await, [day("2026-05-01", 2), day("2026-05-02", 3)]);
    assert_eq!(counted.likes("America/Los_Angeles").await, [day("2026-05-01", 5)]);
    counted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_on_which_clocks_change_are_as_long_as_they_are() {
    let counted = Counted::new().await;
    let (post, published) = (post(), "2026-03-28T09:00:00Z");
    // In Berlin the 29th of March begins at 23:00 UTC and ends at 22:00.
    for (count, at) in [
        (1, "2026-03-28T22:59:00Z"),
        (2, "2026-03-28T23:01:00Z"),
        (3, "2026-03-29T21:59:00Z"),
        (4, "2026-03-29T22:01:00Z"),
        // And the 25th of October from 22:00 to 23:00 on the next.
        (5, "2026-10-24T22:01:00Z"),
        (6, "2026-10-25T22:59:00Z"),
        (7, "2026-10-25T23:01:00Z"),
    ] {
        counted.observed(post, published, likes(count), at).await;
    }
    let expected = [
        day("2026-03-28", 1),
        day("2026-03-29", 2),
        day("2026-03-30", 1),
        day("2026-10-25", 2),
        day("2026-10-26", 1),
    ];
    assert_eq!(counted.likes("Europe/Berlin").await, expected);
    counted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_anybody_looked_is_no_change_and_what_is_absent_stays_so() {
    let counted = Counted::new().await;
    let old = post();
    counted.observed(old, "2026-04-01T09:00:00Z", likes(90), "2026-05-01T09:00:00Z").await;
    counted.observed(old, "2026-04-01T09:00:00Z", likes(88), "2026-05-02T09:00:00Z").await;
    let shown = PostCounts { impressions: Some(200), likes: Some(10), ..PostCounts::default() };
    counted.observed(post(), "2026-05-02T09:00:00Z", shown, "2026-05-02T09:15:00Z").await;
    counted.caught_up().await;
    let days = figures::changes(counted.log.pool(), counted.scope(), &period("UTC")).await.unwrap();
    assert_eq!(
        days[0].changes.counts,
        figures::Counts::default(),
        "the first 90 came on nobody knows which day"
    );
    let second = days[1].changes;
    assert_eq!((second.counts.likes, second.counts.impressions), (Some(8), Some(200)));
    assert_eq!((second.counts.comments, second.counts.clicks), (None, None));
    assert_eq!(
        (second.counts.engagements, second.shown_engagements),
        (Some(8), Some(10)),
        "a rate is of what has impressions"
    );
    counted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_grows_across_years_and_a_day_without_an_answer_is_none() {
    let counted = Counted::new().await;
    counted.looked(Some(100), None, "2025-12-31T20:00:00Z").await;
    counted.looked(Some(103), None, "2026-01-01T20:00:00Z").await;
    counted.looked(Some(104), None, "2026-01-02T10:00:00Z").await;
    counted.looked(Some(102), None, "2026-01-02T20:00:00Z").await;
    let missing = Missing { class: MissingClass::Unavailable, reason: "no answer".to_string() };
    counted.looked(None, Some(missing), "2026-01-03T20:00:00Z").await;
    let at = |text: &str| Some(text.parse::<NaiveDate>().unwrap());
    let expected = [
        (None, Some(100), None),
        (at("2026-01-01"), Some(103), Some(3)),
        (at("2026-01-02"), Some(102), Some(-1)),
    ];
    assert_eq!(counted.followers("UTC").await, expected);
    let looked = figures::looked(counted.log.pool(), counted.scope(), &period("UTC")).await.unwrap();
    let days: Vec<_> = looked.iter().map(|look| Some(look.day)).collect();
    assert_eq!(days, [at("2026-01-01"), at("2026-01-02")], "who did not answer was not looked at");
    let account =
        figures::of_channels(counted.log.pool(), counted.organization, None).await.unwrap().remove(0);
    assert_eq!((account.followers, account.missing.as_deref()), (Some(102), Some("unavailable")));
    assert_eq!(account.missing_since, Some(time("2026-01-03T20:00:00Z")));
    counted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn built_again_in_large_batches_it_is_what_it_was_in_small_ones() {
    let counted = Counted::new().await;
    let posts = [post(), post(), post()];
    for turn in 0..30_u64 {
        let at = format!("2026-05-{:02}T09:00:00Z", turn + 1);
        for (nth, post) in posts.iter().enumerate() {
            counted.observed(*post, "2026-05-01T08:00:00Z", likes(turn * (nth as u64 + 1)), &at).await;
        }
        counted.looked(Some(100 + turn % 7), None, &at).await;
        if turn == 15 {
            let lost = PostFiguresEvent::Lost {
                organization_id: counted.organization,
                post_id: posts[2],
                channel_id: counted.channel,
                at: time(&at),
            };
            let id = PostFiguresId { post: posts[2], channel: counted.channel };
            counted.write::<PostFigures>(id.to_string(), &lost).await;
        }
        counted.caught_up().await;
    }
    let contents = async || {
        let mut all = Vec::new();
        for table in ["figures_posts", "figures_post_changes", "figures_channels", "figures_channel_looks"] {
            let sql = format!("SELECT row_to_json(t)::text FROM read.{table}_v1 t ORDER BY 1");
            all.push(sqlx::query_scalar::<_, String>(&sql).fetch_all(counted.log.pool()).await.unwrap());
        }
        all
    };
    let before = contents().await;
    assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [3, 90, 1, 30]);
    let generation = request_rebuild(counted.log.pool(), "figures").await.unwrap();
    until(
        "rebuilt",
        counted.log.pool(),
        &format!("name = 'figures' AND generation = {generation} AND state = 'live'"),
    )
    .await;
    assert_eq!(contents().await, before);
    counted.end().await;
}
