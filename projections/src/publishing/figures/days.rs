//! Figures by day, on the days of a zone.

use annals_domain::kernel::{IntegrationId, OrganizationId, PostId};
use chrono::NaiveDate;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::Counts;
use crate::publishing::overview::Period;

/// Whose figures: all of an organization, or some.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    pub organization: OrganizationId,
    pub channel: Option<IntegrationId>,
    pub post: Option<PostId>,
}

/// What changed, and how much of it where impressions are known: a rate is of both or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Changes {
    #[sqlx(flatten)]
    pub counts: Counts,
    /// Engagements of what has impressions.
    pub shown_engagements: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct ChangesOfDay {
    pub day: NaiveDate,
    #[sqlx(flatten)]
    pub changes: Changes,
}

/// What changed on each day; days without a change are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn changes(pool: &PgPool, scope: Scope, period: &Period) -> Result<Vec<ChangesOfDay>, sqlx::Error> {
    sqlx::query_as(
        "SELECT (at AT TIME ZONE $4)::date AS day,
                sum(impressions)::bigint AS impressions, sum(likes)::bigint AS likes,
                sum(comments)::bigint AS comments, sum(shares)::bigint AS shares,
                sum(clicks)::bigint AS clicks, sum(engagements)::bigint AS engagements,
                (sum(engagements) FILTER (WHERE impressions IS NOT NULL))::bigint AS shown_engagements
         FROM read.figures_post_changes_v1
         WHERE organization_id = $1 AND at >= $2 AND at < $3
           AND ($5::uuid IS NULL OR channel_id = $5) AND ($6::uuid IS NULL OR post_id = $6)
         GROUP BY 1 ORDER BY 1",
    )
    .bind(scope.organization.uuid())
    .bind(period.from)
    .bind(period.to)
    .bind(period.zone.as_str())
    .bind(scope.channel.map(IntegrationId::uuid))
    .bind(scope.post.map(PostId::uuid))
    .fetch_all(pool)
    .await
}

/// A day on which a channel's platform answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
pub struct Looked {
    pub day: NaiveDate,
    pub channel_id: Uuid,
}

/// On which days which channels' platforms were asked and answered all: on those, what did not change is
/// known to be the same.
///
/// # Errors
/// If the database does not answer.
pub async fn looked(pool: &PgPool, scope: Scope, period: &Period) -> Result<Vec<Looked>, sqlx::Error> {
    sqlx::query_as(
        "SELECT DISTINCT (at AT TIME ZONE $4)::date AS day, channel_id FROM read.figures_channel_looks_v1
         WHERE organization_id = $1 AND at >= $2 AND at < $3 AND is_whole
           AND ($5::uuid IS NULL OR channel_id = $5)
         ORDER BY 1, 2",
    )
    .bind(scope.organization.uuid())
    .bind(period.from)
    .bind(period.to)
    .bind(period.zone.as_str())
    .bind(scope.channel.map(IntegrationId::uuid))
    .fetch_all(pool)
    .await
}

/// An account at the end of a day on which it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct AccountDay {
    pub channel_id: Uuid,
    /// None: before the period.
    pub day: Option<NaiveDate>,
    pub followers: Option<i64>,
    /// Since it was counted before.
    pub followers_change: Option<i64>,
}

/// The last state of each account on each day, and the last one before the period.
///
/// # Errors
/// If the database does not answer.
pub async fn accounts(pool: &PgPool, scope: Scope, period: &Period) -> Result<Vec<AccountDay>, sqlx::Error> {
    sqlx::query_as(
        "(SELECT DISTINCT ON (channel_id) channel_id, NULL::date AS day, followers, NULL::bigint AS followers_change
          FROM read.figures_channel_looks_v1
          WHERE organization_id = $1 AND at < $2 AND ($5::uuid IS NULL OR channel_id = $5)
            AND followers IS NOT NULL
          ORDER BY channel_id, at DESC, position DESC)
         UNION ALL
         (SELECT channel_id, day, (array_agg(followers ORDER BY position DESC))[1] AS followers,
                 sum(followers_change)::bigint AS followers_change
          FROM (SELECT channel_id, (at AT TIME ZONE $4)::date AS day, followers, followers_change, position
                FROM read.figures_channel_looks_v1
                WHERE organization_id = $1 AND at >= $2 AND at < $3 AND ($5::uuid IS NULL OR channel_id = $5)
                  AND followers IS NOT NULL) AS counted
          GROUP BY channel_id, day)
         ORDER BY day NULLS FIRST, channel_id",
    )
    .bind(scope.organization.uuid())
    .bind(period.from)
    .bind(period.to)
    .bind(period.zone.as_str())
    .bind(scope.channel.map(IntegrationId::uuid))
    .fetch_all(pool)
    .await
}

/// Posts that were published, or failed, on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Delivered {
    pub day: NaiveDate,
    pub published: i64,
    pub failed: i64,
}

/// What became of posts on channels on each day, as we know it ourselves. Days with neither are left out.
///
/// # Errors
/// If the database does not answer.
pub async fn delivered(pool: &PgPool, scope: Scope, period: &Period) -> Result<Vec<Delivered>, sqlx::Error> {
    sqlx::query_as(
        "SELECT (at AT TIME ZONE $4)::date AS day, count(*) FILTER (WHERE state = 'published') AS published,
                count(*) FILTER (WHERE state = 'failed') AS failed
         FROM read.deliveries_v4
         WHERE organization_id = $1 AND at >= $2 AND at < $3 AND state IN ('published', 'failed')
           AND ($5::uuid IS NULL OR channel_id = $5)
         GROUP BY 1 ORDER BY 1",
    )
    .bind(scope.organization.uuid())
    .bind(period.from)
    .bind(period.to)
    .bind(period.zone.as_str())
    .bind(scope.channel.map(IntegrationId::uuid))
    .fetch_all(pool)
    .await
}
