//! What platforms count, of posts and of accounts, and how it changed.
//!
//! Each figure that was read is a row with what it changed since the one before, at the moment it was read.
//! So a day is whatever the zone of who asks says it is: its changes are those within it, and its state is
//! the last one at or before its end.

mod days;
mod fold;
mod ranking;

use annals_domain::{
    kernel::{IntegrationId, OrganizationId, PostId},
    publishing::{ChannelFiguresEvent, PostFiguresEvent},
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{Projection, ProjectionError, runtime::give_way};

pub use days::{
    AccountDay, Changes, ChangesOfDay, Delivered, Looked, Scope, accounts, changes, delivered, looked,
};
pub use ranking::{Ranked, RankingQuery, SortBy, ranking};

pub struct Figures;

#[async_trait]
impl Projection for Figures {
    const NAME: &'static str = "figures";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] =
        &["figures_posts", "figures_post_changes", "figures_channels", "figures_channel_looks"];
    const CREATE: &'static str = "
        -- As they stand: a post on a channel.
        CREATE TABLE figures_posts (
            id uuid PRIMARY KEY,
            post_id uuid NOT NULL,
            channel_id uuid NOT NULL,
            organization_id uuid NOT NULL,
            published_at timestamptz,
            at timestamptz NOT NULL,
            impressions bigint,
            likes bigint,
            comments bigint,
            shares bigint,
            clicks bigint,
            engagements bigint,
            lost_at timestamptz
        );
        -- What changed, and when that was seen.
        CREATE TABLE figures_post_changes (
            position bigint NOT NULL,
            part integer NOT NULL,
            post_id uuid NOT NULL,
            channel_id uuid NOT NULL,
            organization_id uuid NOT NULL,
            at timestamptz NOT NULL,
            impressions bigint,
            likes bigint,
            comments bigint,
            shares bigint,
            clicks bigint,
            engagements bigint,
            PRIMARY KEY (position, part)
        );
        -- As they stand: a channel's account.
        CREATE TABLE figures_channels (
            id uuid PRIMARY KEY,
            organization_id uuid NOT NULL,
            looked_at timestamptz NOT NULL,
            counted_at timestamptz,
            followers bigint,
            following bigint,
            posts bigint,
            missing text,
            missing_reason text,
            missing_since timestamptz
        );
        CREATE TABLE figures_channel_looks (
            position bigint NOT NULL,
            part integer NOT NULL,
            channel_id uuid NOT NULL,
            organization_id uuid NOT NULL,
            at timestamptz NOT NULL,
            is_whole boolean NOT NULL,
            followers bigint,
            following bigint,
            posts bigint,
            followers_change bigint,
            PRIMARY KEY (position, part)
        )";
    const INDEXES: &'static str = "
        CREATE INDEX figures_posts_by_post ON figures_posts (post_id);
        CREATE INDEX figures_posts_newest ON figures_posts (organization_id, published_at);
        CREATE INDEX figures_changes_by_time ON figures_post_changes (organization_id, at);
        CREATE INDEX figures_changes_by_channel ON figures_post_changes (channel_id, at);
        CREATE INDEX figures_changes_by_post ON figures_post_changes (post_id, at);
        CREATE INDEX figures_looks_by_time ON figures_channel_looks (organization_id, at);
        CREATE INDEX figures_looks_by_channel ON figures_channel_looks (channel_id, at)";

    fn filter(&self) -> Filter {
        let aggregate_types = [POST, CHANNEL].map(str::to_string).into();
        Filter { aggregate_types, ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    fn decode_ahead(&self, event: &UnparsedEvent) {
        match event.stream.aggregate_type.as_ref() {
            POST => event.decode_ahead::<PostFiguresEvent>(),
            _ => event.decode_ahead::<ChannelFiguresEvent>(),
        }
    }

    /// What a channel's first figures of a year change depends on the year before.
    fn key(&self, event: &UnparsedEvent) -> String {
        match (event.stream.aggregate_type.as_ref(), event.stream.aggregate_id.split_once(':')) {
            (CHANNEL, Some((channel, _year))) => format!("{CHANNEL}:{channel}"),
            _ => event.stream.to_string(),
        }
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        let mut batch = fold::Batch::load(events, tables).await?;
        for (nth, event) in events.iter().enumerate() {
            batch.event(event)?;
            give_way(nth).await;
        }
        Ok(batch.store(tables).await?)
    }
}

const POST: &str = annals_domain::publishing::PostFigures::TYPE;
const CHANNEL: &str = annals_domain::publishing::ChannelFigures::TYPE;

/// Counts, each absent where the platform says nothing of it. Of changes, they may fall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Counts {
    pub impressions: Option<i64>,
    pub likes: Option<i64>,
    pub comments: Option<i64>,
    pub shares: Option<i64>,
    pub clicks: Option<i64>,
    /// Likes, comments, shares and clicks, as far as they are there.
    pub engagements: Option<i64>,
}

/// A post on a channel, as the platform counted last.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct PostOnChannel {
    pub channel_id: Uuid,
    pub published_at: Option<DateTime<Utc>>,
    /// When it was counted last, or found lost.
    pub at: DateTime<Utc>,
    #[sqlx(flatten)]
    pub counts: Counts,
    /// When the platform said that it no longer has it.
    pub lost_at: Option<DateTime<Utc>>,
}

/// A channel's account, as the platform counted last.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Account {
    #[sqlx(rename = "id")]
    pub channel_id: Uuid,
    /// When the platform was asked last, as far as that was noted.
    pub looked_at: DateTime<Utc>,
    /// When it said something of the account last.
    pub counted_at: Option<DateTime<Utc>>,
    pub followers: Option<i64>,
    pub following: Option<i64>,
    pub posts: Option<i64>,
    /// `unavailable`, `refused` or `unsupported`: why the last look brought nothing, or not all.
    pub missing: Option<String>,
    pub missing_reason: Option<String>,
    pub missing_since: Option<DateTime<Utc>>,
}

/// A post's figures on each channel that counts it.
///
/// # Errors
/// If the database does not answer.
pub async fn of_post(
    pool: &PgPool,
    organization: OrganizationId,
    post: PostId,
) -> Result<Vec<PostOnChannel>, sqlx::Error> {
    sqlx::query_as(
        "SELECT channel_id, published_at, at, impressions, likes, comments, shares, clicks, engagements, lost_at
         FROM read.figures_posts_v1 WHERE organization_id = $1 AND post_id = $2 ORDER BY channel_id",
    )
    .bind(organization.uuid())
    .bind(post.uuid())
    .fetch_all(pool)
    .await
}

/// Those of an organization's channels that were ever asked; of one channel if it is named.
///
/// # Errors
/// If the database does not answer.
pub async fn of_channels(
    pool: &PgPool,
    organization: OrganizationId,
    channel: Option<IntegrationId>,
) -> Result<Vec<Account>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, looked_at, counted_at, followers, following, posts, missing, missing_reason, missing_since
         FROM read.figures_channels_v1 WHERE organization_id = $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY id",
    )
    .bind(organization.uuid())
    .bind(channel.map(IntegrationId::uuid))
    .fetch_all(pool)
    .await
}
