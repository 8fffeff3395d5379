//! Whom to ask about, and when: the table `process.figures`.

use annals_domain::kernel::{IntegrationId, PostId};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// A channel's account or a post on it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Watched {
    subject_id: Uuid,
    /// None for the account.
    remote_id: Option<String>,
    pub(super) since: DateTime<Utc>,
}

impl Watched {
    /// The post, and what the platform calls it.
    pub(super) fn post(&self) -> Option<(PostId, &str)> {
        Some((PostId::new(self.subject_id), self.remote_id.as_deref()?))
    }
}

/// How a channel's platform fared lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub(super) struct Hold {
    pub(super) held_until: Option<DateTime<Utc>>,
    /// Looks in a row that failed.
    #[sqlx(try_from = "i32")]
    pub(super) misses: u32,
}

/// Watches an account, due at once by whatever clock; one that was left alone is so no longer.
pub(super) async fn add_account(
    connection: &mut PgConnection,
    channel: IntegrationId,
    since: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO process.figures (channel_id, subject_id, since, due_at) VALUES ($1, $1, $2, $2)
         ON CONFLICT (channel_id, subject_id) DO UPDATE SET
             due_at = LEAST(excluded.due_at, process.figures.since), held_until = NULL, misses = 0",
    )
    .bind(channel.uuid())
    .bind(since)
    .execute(connection)
    .await?;
    Ok(())
}

/// Watches a post.
pub(super) async fn add_post(
    connection: &mut PgConnection,
    channel: IntegrationId,
    (post, remote_id): (PostId, &str),
    since: DateTime<Utc>,
    due_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO process.figures (channel_id, subject_id, remote_id, since, due_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (channel_id, subject_id) DO UPDATE SET
             remote_id = excluded.remote_id, since = excluded.since, due_at = excluded.due_at",
    )
    .bind(channel.uuid())
    .bind(post.uuid())
    .bind(remote_id)
    .bind(since)
    .bind(due_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// A post is looked at no more, on any channel.
pub(super) async fn drop_post(connection: &mut PgConnection, post: PostId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM process.figures WHERE subject_id = $1")
        .bind(post.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// A channel and its posts are looked at no more.
pub(super) async fn drop_channel(
    connection: &mut PgConnection,
    channel: IntegrationId,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM process.figures WHERE channel_id = $1")
        .bind(channel.uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// What of a channel is due by a time, the longest waiting first.
pub(super) async fn due(
    pool: &PgPool,
    channel: IntegrationId,
    by: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Watched>, sqlx::Error> {
    sqlx::query_as(
        "SELECT subject_id, remote_id, since FROM process.figures
         WHERE channel_id = $1 AND due_at <= $2 ORDER BY due_at, subject_id LIMIT $3",
    )
    .bind(channel.uuid())
    .bind(by)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await
}

/// When something of a channel is due next.
pub(super) async fn next(
    connection: &mut PgConnection,
    channel: IntegrationId,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar("SELECT min(due_at) FROM process.figures WHERE channel_id = $1")
        .bind(channel.uuid())
        .fetch_one(connection)
        .await
}

pub(super) async fn hold(pool: &PgPool, channel: IntegrationId) -> Result<Hold, sqlx::Error> {
    let hold = sqlx::query_as(
        "SELECT held_until, misses FROM process.figures WHERE channel_id = $1 AND subject_id = $1",
    )
    .bind(channel.uuid())
    .fetch_optional(pool)
    .await?;
    Ok(hold.unwrap_or_default())
}

/// Leaves a channel's platform alone for a while, or no longer.
pub(super) async fn set_hold(
    connection: &mut PgConnection,
    channel: IntegrationId,
    hold: Hold,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE process.figures SET held_until = $2, misses = $3 WHERE channel_id = $1 AND subject_id = $1",
    )
    .bind(channel.uuid())
    .bind(hold.held_until)
    .bind(hold.misses.cast_signed())
    .execute(connection)
    .await?;
    Ok(())
}

/// Sets the next time of what was looked at; `None`: never again. What somebody set anew meanwhile (another
/// `since`) stays as it is.
pub(super) async fn looked(
    connection: &mut PgConnection,
    channel: IntegrationId,
    looked: &[(Watched, Option<DateTime<Utc>>)],
) -> Result<(), sqlx::Error> {
    let subjects: Vec<Uuid> = looked.iter().map(|(watched, _)| watched.subject_id).collect();
    let since: Vec<DateTime<Utc>> = looked.iter().map(|(watched, _)| watched.since).collect();
    let next: Vec<Option<DateTime<Utc>>> = looked.iter().map(|(_, next)| *next).collect();
    let from = "unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS l (subject, since, next)";
    let same = "f.channel_id = $1 AND f.subject_id = l.subject AND f.since = l.since";
    for statement in [
        format!("DELETE FROM process.figures f USING {from} WHERE {same} AND l.next IS NULL"),
        format!(
            "UPDATE process.figures f SET due_at = l.next FROM {from} WHERE {same} AND l.next IS NOT NULL"
        ),
    ] {
        sqlx::query(&statement)
            .bind(channel.uuid())
            .bind(&subjects)
            .bind(&since)
            .bind(&next)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
