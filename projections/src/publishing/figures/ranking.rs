//! Published posts by how they were received.

use annals_domain::kernel::{IntegrationId, OrganizationId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::Changes;
use crate::publishing::{overview::Period, posts::Paging};

/// By which figure; what has none stands last, whichever way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    Impressions,
    Likes,
    Comments,
    Shares,
    Clicks,
    #[default]
    Engagements,
    EngagementRate,
    PublishedAt,
}

impl SortBy {
    pub const ALL: [Self; 8] = [
        Self::Impressions,
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Clicks,
        Self::Engagements,
        Self::EngagementRate,
        Self::PublishedAt,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Impressions => "impressions",
            Self::Likes => "likes",
            Self::Comments => "comments",
            Self::Shares => "shares",
            Self::Clicks => "clicks",
            Self::Engagements => "engagements",
            Self::EngagementRate => "engagementRate",
            Self::PublishedAt => "publishedAt",
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::EngagementRate => "shown_engagements::float8 / nullif(impressions, 0)",
            Self::PublishedAt => "published_at",
            other => other.as_str(),
        }
    }
}

/// Which posts, and in which order.
#[derive(Clone, Debug)]
pub struct RankingQuery {
    pub channel: Option<IntegrationId>,
    /// Published within.
    pub period: Period,
    pub sort: SortBy,
    /// The least first.
    pub is_ascending: bool,
    pub paging: Paging,
}

/// A post with its figures on all of the channels asked for, since it was published.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Ranked {
    pub post_id: Uuid,
    pub channels: Vec<Uuid>,
    pub content: String,
    pub published_at: DateTime<Utc>,
    #[sqlx(flatten)]
    pub totals: Changes,
}

/// Posts of which a platform counts something; archived ones are left out.
const COUNTED: &str = "
    FROM read.figures_posts_v1 f JOIN read.posts_v4 p ON p.id = f.post_id
    WHERE f.organization_id = $1 AND p.organization_id = $1 AND NOT p.archived
      AND f.published_at >= $2 AND f.published_at < $3 AND ($4::uuid IS NULL OR f.channel_id = $4)";

/// One page of a ranking, and how many posts it has in all.
///
/// # Errors
/// If the database does not answer.
pub async fn ranking(
    pool: &PgPool,
    organization: OrganizationId,
    query: &RankingQuery,
) -> Result<(Vec<Ranked>, u64), sqlx::Error> {
    let (from, to) = (query.period.from, query.period.to);
    let channel = query.channel.map(IntegrationId::uuid);
    let total: i64 = sqlx::query_scalar(&format!("SELECT count(DISTINCT f.post_id) {COUNTED}"))
        .bind(organization.uuid())
        .bind(from)
        .bind(to)
        .bind(channel)
        .fetch_one(pool)
        .await?;
    let direction = if query.is_ascending { "ASC" } else { "DESC" };
    let offset = query.paging.page.saturating_sub(1).saturating_mul(query.paging.per_page);
    let ranked = sqlx::query_as(&format!(
        "SELECT * FROM (
             SELECT f.post_id, array_agg(f.channel_id ORDER BY f.channel_id) AS channels,
                    min(p.searchable) AS content, min(f.published_at) AS published_at,
                    sum(impressions)::bigint AS impressions, sum(likes)::bigint AS likes,
                    sum(comments)::bigint AS comments, sum(shares)::bigint AS shares,
                    sum(clicks)::bigint AS clicks, sum(engagements)::bigint AS engagements,
                    (sum(engagements) FILTER (WHERE impressions IS NOT NULL))::bigint AS shown_engagements
             {COUNTED} GROUP BY f.post_id
         ) AS ranked
         ORDER BY {} {direction} NULLS LAST, published_at DESC, post_id LIMIT $5 OFFSET $6",
        query.sort.column()
    ))
    .bind(organization.uuid())
    .bind(from)
    .bind(to)
    .bind(channel)
    .bind(i64::try_from(query.paging.per_page).unwrap_or(i64::MAX))
    .bind(i64::try_from(offset).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok((ranked, total.cast_unsigned()))
}
