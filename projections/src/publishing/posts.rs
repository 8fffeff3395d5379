//! Posts with their deliveries: the calendar, the lists, and what feeds serve.
//!
//! The projector folds events with the aggregate's own `apply`, so that a post's status is
//! derived in one place. The folded post is kept as JSON beside the columns that queries need (`json`:
//! nothing looks into it there, and `jsonb` costs more to write). A change of its shape is a new
//! `VERSION`.

mod fold;
mod likeness;
mod neighbours;

use std::collections::BTreeSet;

use annals_domain::{
    kernel::{IntegrationId, OrganizationId, PostId, SeriesId, TagId, UserId},
    publishing::{Post, PostEvent, PostStatus},
};
use annals_eventstore::{Filter, MetadataNeeds, Source, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool, Postgres, QueryBuilder, types::Json};
use uuid::Uuid;

pub use likeness::likeness;
pub use neighbours::{Neighbour, Own, Placement, close_by, saying_the_same};

use crate::{Projection, ProjectionError, runtime::give_way};

pub struct Posts;

#[async_trait]
impl Projection for Posts {
    const NAME: &'static str = "posts";
    const VERSION: u32 = 4;
    const TABLES: &'static [&'static str] = &["posts", "deliveries"];
    const CREATE: &'static str = "
        CREATE TABLE posts (
            id uuid PRIMARY KEY,
            organization_id uuid NOT NULL,
            author_id uuid NOT NULL,
            status text NOT NULL,
            archived boolean NOT NULL,
            scheduled_at timestamptz,
            channels uuid[] NOT NULL,
            tags uuid[] NOT NULL,
            series_id uuid,
            searchable text NOT NULL,
            state json NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            version bigint NOT NULL
        );
        -- Nobody compares them: nothing to learn for the planner, and ANALYZE would read them all.
        ALTER TABLE posts ALTER searchable SET STATISTICS 0, ALTER state SET STATISTICS 0;
        CREATE TABLE deliveries (
            post_id uuid NOT NULL,
            channel_id uuid NOT NULL,
            organization_id uuid NOT NULL,
            state text NOT NULL,
            at timestamptz NOT NULL,
            remote_id text,
            -- Of what goes there, see `likeness`.
            digest bigint NOT NULL,
            PRIMARY KEY (post_id, channel_id)
        )";
    const INDEXES: &'static str = "
        CREATE INDEX posts_calendar ON posts (organization_id, scheduled_at);
        CREATE INDEX posts_newest ON posts (organization_id, created_at);
        CREATE INDEX posts_by_tag ON posts USING gin (tags);
        CREATE INDEX posts_of_series ON posts (series_id, scheduled_at) WHERE series_id IS NOT NULL;
        CREATE INDEX deliveries_by_text ON deliveries (channel_id, digest);
        CREATE INDEX deliveries_by_channel ON deliveries (channel_id, at) WHERE remote_id IS NOT NULL;
        CREATE INDEX deliveries_by_remote_id ON deliveries (channel_id, remote_id);
        CREATE INDEX deliveries_by_day ON deliveries (organization_id, at)";

    fn filter(&self) -> Filter {
        Filter { aggregate_types: vec!["publishing.post".to_string()], ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    fn decode_ahead(&self, event: &UnparsedEvent) {
        event.decode_ahead::<PostEvent>();
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        let mut posts = fold::load(events, tables).await?;
        for (nth, event) in events.iter().enumerate() {
            fold::event(&mut posts, event)?;
            give_way(nth).await;
        }
        fold::store(posts, tables).await
    }
}

/// A post as its organization sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PostView {
    pub id: PostId,
    pub post: Post,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: u64,
    /// Through which door it came, as the log says it.
    pub source: Option<String>,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    state: Json<Post>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: i64,
    source: Option<String>,
}

impl From<Row> for PostView {
    fn from(row: Row) -> Self {
        Self {
            id: PostId::new(row.id),
            post: row.state.0,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version.cast_unsigned(),
            source: row.source,
        }
    }
}

/// What [`Row`] is read from.
const SELECT: &str = "SELECT p.id, p.state, p.created_at, p.updated_at, p.version, o.source
    FROM read.posts_v4 p LEFT JOIN read.post_origins_v1 o ON o.post_id = p.id";

/// Which posts; everything that is not archived by default.
#[derive(Clone, Debug, Default)]
pub struct PostFilter {
    /// Due (or meant for) at or after.
    pub from: Option<DateTime<Utc>>,
    /// Due before.
    pub to: Option<DateTime<Utc>>,
    /// Any of them; empty: all.
    pub statuses: Vec<PostStatus>,
    pub channel: Option<IntegrationId>,
    pub tag: Option<TagId>,
    pub author: Option<UserId>,
    /// Its occurrences.
    pub series: Option<SeriesId>,
    /// Through which door they came.
    pub source: Option<Source>,
    /// Anywhere in the texts, without regard to case.
    pub text: Option<String>,
}

/// One page; `page` counts from 1.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    pub page: u64,
    pub per_page: u64,
}

impl Paging {
    /// As SQL takes it.
    pub(super) fn limit_offset(self) -> (i64, i64) {
        let offset = self.page.saturating_sub(1).saturating_mul(self.per_page);
        (i64::try_from(self.per_page).unwrap_or(i64::MAX), i64::try_from(offset).unwrap_or(i64::MAX))
    }
}

/// A page of posts and how many there are in all. By time if a time is asked for, else the newest first.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    pool: &PgPool,
    organization: OrganizationId,
    filter: &PostFilter,
    paging: Paging,
) -> Result<(Vec<PostView>, u64), sqlx::Error> {
    let mut count = QueryBuilder::new("SELECT count(*) FROM read.posts_v4 p");
    push_filter(&mut count, organization, filter);
    let total: i64 = count.build_query_scalar().fetch_one(pool).await?;

    let mut select = QueryBuilder::new(SELECT);
    push_filter(&mut select, organization, filter);
    let is_calendar = filter.from.is_some() || filter.to.is_some() || filter.series.is_some();
    select.push(if is_calendar {
        " ORDER BY scheduled_at, id"
    } else {
        " ORDER BY created_at DESC, id DESC"
    });
    let (limit, offset) = paging.limit_offset();
    select.push(" LIMIT ").push_bind(limit).push(" OFFSET ").push_bind(offset);
    let rows: Vec<Row> = select.build_query_as().fetch_all(pool).await?;
    Ok((rows.into_iter().map(PostView::from).collect(), total.cast_unsigned()))
}

/// A post, as a place in the order in which they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub created_at: DateTime<Utc>,
    pub id: PostId,
}

/// The next posts after one, the oldest first: for reading all of them, however many they are.
///
/// # Errors
/// If the database does not answer.
pub async fn after(
    pool: &PgPool,
    organization: OrganizationId,
    filter: &PostFilter,
    seen: Option<Seen>,
    limit: i64,
) -> Result<Vec<PostView>, sqlx::Error> {
    let mut select = QueryBuilder::new(SELECT);
    push_filter(&mut select, organization, filter);
    if let Some(seen) = seen {
        select.push(" AND (created_at, id) > (").push_bind(seen.created_at);
        select.push(", ").push_bind(seen.id.uuid()).push(")");
    }
    select.push(" ORDER BY created_at, id LIMIT ").push_bind(limit);
    let rows: Vec<Row> = select.build_query_as().fetch_all(pool).await?;
    Ok(rows.into_iter().map(PostView::from).collect())
}

fn push_filter(query: &mut QueryBuilder<'_, Postgres>, organization: OrganizationId, filter: &PostFilter) {
    query.push(" WHERE NOT archived AND organization_id = ").push_bind(organization.uuid());
    if let Some(from) = filter.from {
        query.push(" AND scheduled_at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" AND scheduled_at < ").push_bind(to);
    }
    if !filter.statuses.is_empty() {
        let statuses: Vec<_> = filter.statuses.iter().map(|status| status.as_str().to_string()).collect();
        query.push(" AND status = ANY (").push_bind(statuses).push(")");
    }
    if let Some(channel) = filter.channel {
        query.push(" AND channels @> ").push_bind(vec![channel.uuid()]);
    }
    if let Some(tag) = filter.tag {
        query.push(" AND tags @> ").push_bind(vec![tag.uuid()]);
    }
    if let Some(author) = filter.author {
        query.push(" AND author_id = ").push_bind(author.uuid());
    }
    if let Some(series) = filter.series {
        query.push(" AND series_id = ").push_bind(series.uuid());
    }
    if let Some(source) = filter.source {
        query.push(
            " AND EXISTS (SELECT FROM read.post_origins_v1 origin WHERE origin.post_id = p.id AND origin.source = ",
        );
        query.push_bind(source.as_str()).push(")");
    }
    if let Some(text) = &filter.text {
        query.push(" AND searchable ILIKE ").push_bind(format!("%{}%", like_literal(text)));
    }
}

/// A text that `LIKE` takes as it is.
pub(crate) fn like_literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// # Errors
/// If the database does not answer.
pub async fn get(
    pool: &PgPool,
    organization: OrganizationId,
    id: PostId,
) -> Result<Option<PostView>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(&format!("{SELECT} WHERE p.organization_id = $1 AND p.id = $2"))
        .bind(organization.uuid())
        .bind(id.uuid())
        .fetch_optional(pool)
        .await?;
    Ok(row.map(PostView::from))
}

/// The minutes from `from` on and before `to` in which something is due: on a channel, or on any.
///
/// # Errors
/// If the database does not answer.
pub async fn due_minutes(
    pool: &PgPool,
    organization: OrganizationId,
    channel: Option<IntegrationId>,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<BTreeSet<DateTime<Utc>>, sqlx::Error> {
    let minutes: Vec<DateTime<Utc>> = sqlx::query_scalar(
        "SELECT DISTINCT date_trunc('minute', at) FROM read.deliveries_v4
         WHERE organization_id = $1 AND at >= $2 AND at < $3 AND state = 'scheduled'
           AND ($4::uuid IS NULL OR channel_id = $4)",
    )
    .bind(organization.uuid())
    .bind(from)
    .bind(to)
    .bind(channel.map(IntegrationId::uuid))
    .fetch_all(pool)
    .await?;
    Ok(minutes.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_text_means_itself() {
        assert_eq!(like_literal(r"100% _off_ \o/"), r"100\% \_off\_ \\o/");
    }
}
