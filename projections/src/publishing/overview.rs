//! How many posts stand where: counts by status, by day and by channel.

use annals_domain::kernel::{OrganizationId, TimeZone};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// The days that are counted, and whose midnight parts them.
#[derive(Clone, Debug)]
pub struct Period {
    pub from: DateTime<Utc>,
    /// Not included.
    pub to: DateTime<Utc>,
    pub zone: TimeZone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// All posts that are not archived, whenever.
    pub statuses: Vec<StatusCount>,
    /// Deliveries in the period; days with none are left out.
    pub days: Vec<DayCount>,
    /// Deliveries in the period.
    pub channels: Vec<ChannelCount>,
}

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct StatusCount {
    pub status: String,
    #[sqlx(try_from = "i64")]
    pub posts: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct DayCount {
    pub day: NaiveDate,
    pub state: String,
    #[sqlx(try_from = "i64")]
    pub deliveries: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ChannelCount {
    pub channel_id: Uuid,
    pub state: String,
    #[sqlx(try_from = "i64")]
    pub deliveries: u64,
}

/// All posts that are not archived, by status.
///
/// # Errors
/// If the database does not answer.
pub async fn statuses(pool: &PgPool, organization: OrganizationId) -> Result<Vec<StatusCount>, sqlx::Error> {
    sqlx::query_as(
        "SELECT status, count(*) AS posts FROM read.posts_v4
         WHERE organization_id = $1 AND NOT archived GROUP BY status ORDER BY status",
    )
    .bind(organization.uuid())
    .fetch_all(pool)
    .await
}

/// # Errors
/// If the database does not answer.
pub async fn get(
    pool: &PgPool,
    organization: OrganizationId,
    period: &Period,
) -> Result<Overview, sqlx::Error> {
    let statuses = statuses(pool, organization);
    let organization = organization.uuid();
    let days = sqlx::query_as(
        "SELECT (at AT TIME ZONE $4)::date AS day, state, count(*) AS deliveries FROM read.deliveries_v4
         WHERE organization_id = $1 AND at >= $2 AND at < $3 GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .bind(organization)
    .bind(period.from)
    .bind(period.to)
    .bind(period.zone.as_str())
    .fetch_all(pool);
    let channels = sqlx::query_as(
        "SELECT channel_id, state, count(*) AS deliveries FROM read.deliveries_v4
         WHERE organization_id = $1 AND at >= $2 AND at < $3 GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .bind(organization)
    .bind(period.from)
    .bind(period.to)
    .fetch_all(pool);
    let (statuses, days, channels) = futures::try_join!(statuses, days, channels)?;
    Ok(Overview { statuses, days, channels })
}
