//! What is due, or stands, near what somebody writes: for warnings. Nothing is decided on it.

use annals_domain::kernel::{IntegrationId, OrganizationId, PostId, SeriesId};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// Of each kind, for one placement: more of them say nothing more.
const NEIGHBOURS_MAX: i64 = 5;

/// A post on one channel, at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    pub channel: IntegrationId,
    /// [`super::likeness`] of what goes there.
    pub likeness: i64,
    pub at: DateTime<Utc>,
}

/// What does not count as another's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    pub post: Option<PostId>,
    /// Its occurrences say the same by intent.
    pub series: Option<SeriesId>,
}

/// Another post near a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Neighbour {
    /// Which of the placements that were asked about.
    #[sqlx(try_from = "i32")]
    nth: u32,
    pub post_id: Uuid,
    pub at: DateTime<Utc>,
}

impl Neighbour {
    /// Which of the placements that were asked about, from 0.
    pub fn placement(&self) -> usize {
        self.nth as usize
    }
}

/// Others that say the same on the same channel, at most `within` earlier or later.
///
/// # Errors
/// If the database does not answer.
pub async fn saying_the_same(
    pool: &PgPool,
    organization: OrganizationId,
    placements: &[Placement],
    own: Own,
    within: TimeDelta,
) -> Result<Vec<Neighbour>, sqlx::Error> {
    find(pool, organization, placements, own, within, Alike::Texts).await
}

/// Others on the same channel, less than `within` earlier or later.
///
/// # Errors
/// If the database does not answer.
pub async fn close_by(
    pool: &PgPool,
    organization: OrganizationId,
    placements: &[Placement],
    own: Own,
    within: TimeDelta,
) -> Result<Vec<Neighbour>, sqlx::Error> {
    find(pool, organization, placements, own, within, Alike::Nothing).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alike {
    Texts,
    Nothing,
}

async fn find(
    pool: &PgPool,
    organization: OrganizationId,
    placements: &[Placement],
    own: Own,
    within: TimeDelta,
    alike: Alike,
) -> Result<Vec<Neighbour>, sqlx::Error> {
    // Two texts, so that each is planned for the index that it needs.
    let alike = match alike {
        Alike::Texts => "d.digest = w.digest",
        Alike::Nothing => "d.organization_id = $1",
    };
    let sql = format!(
        "SELECT w.nth, n.post_id, n.at FROM unnest($2::int[], $3::uuid[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
             AS w (nth, channel_id, digest, after, before)
         CROSS JOIN LATERAL (
             SELECT d.post_id, d.at FROM read.deliveries_v4 d JOIN read.posts_v4 p ON p.id = d.post_id
             WHERE d.organization_id = $1 AND d.channel_id = w.channel_id AND {alike}
               AND d.at > w.after AND d.at < w.before
               AND d.state IN ('scheduled', 'publishing', 'published', 'unknown') AND NOT p.archived
               AND d.post_id IS DISTINCT FROM $7 AND ($8::uuid IS NULL OR p.series_id IS DISTINCT FROM $8)
             ORDER BY d.at, d.post_id LIMIT $9
         ) AS n ORDER BY w.nth, n.at, n.post_id"
    );
    let nths: Vec<i32> = (0..).take(placements.len()).collect();
    let channels: Vec<Uuid> = placements.iter().map(|placement| placement.channel.uuid()).collect();
    let digests: Vec<i64> = placements.iter().map(|placement| placement.likeness).collect();
    let after: Vec<DateTime<Utc>> = placements.iter().map(|placement| placement.at - within).collect();
    let before: Vec<DateTime<Utc>> = placements.iter().map(|placement| placement.at + within).collect();
    sqlx::query_as(&sql)
        .bind(organization.uuid())
        .bind(nths)
        .bind(channels)
        .bind(digests)
        .bind(after)
        .bind(before)
        .bind(own.post.map(PostId::uuid))
        .bind(own.series.map(SeriesId::uuid))
        .bind(NEIGHBOURS_MAX)
        .fetch_all(pool)
        .await
}
