//! What a person was told of and what they read of it.
//!
//! Rows hold ids and what the event says in our own words; names are joined when they are read. The newest
//! [`KEPT_MAX`] of a person in an organization are kept, and none of whoever left or was forgotten.

use std::collections::{BTreeMap, BTreeSet};

use annals_domain::{
    engagement::{Details, InboxEvent, InboxId, Mark, NotificationEvent},
    identity::OrganizationEvent,
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool, Postgres, QueryBuilder, types::Json};
use uuid::Uuid;

use crate::{
    Projection, ProjectionError,
    publishing::posts::Paging,
    runtime::{decode, stream_id},
};

/// So many notifications of one person in one organization are kept: the newest.
pub const KEPT_MAX: i64 = 1_000;

const NOTIFICATION: &str = "engagement.notification";
const INBOX: &str = "engagement.inbox";
const USER_DELETED: &str = "identity.user.deleted";
/// After which somebody is no member any more.
const LEFT: [&str; 3] = [
    "identity.organization.member_removed",
    "identity.organization.member_left",
    "identity.organization.closed",
];

#[derive(Clone, Copy, Debug, Default)]
pub struct Notifications;

#[async_trait]
impl Projection for Notifications {
    const NAME: &'static str = "notifications";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["notifications"];
    const CREATE: &'static str = "
        CREATE TABLE notifications (
            id uuid PRIMARY KEY,
            -- Of its being raised: what is read up to is said by it.
            position bigint NOT NULL,
            organization_id uuid NOT NULL,
            user_id uuid NOT NULL,
            kind text NOT NULL,
            post_id uuid,
            channel_id uuid,
            member_id uuid,
            media_id uuid,
            series_id uuid,
            details jsonb NOT NULL,
            caused_by uuid NOT NULL,
            is_read boolean NOT NULL DEFAULT false,
            happened_at timestamptz NOT NULL,
            at timestamptz NOT NULL
        );
        CREATE INDEX notifications_newest ON notifications (organization_id, user_id, position DESC)";
    const INDEXES: &'static str = "
        CREATE INDEX notifications_of_user ON notifications (user_id)";

    fn filter(&self) -> Filter {
        let types =
            NotificationEvent::TYPES.iter().chain(InboxEvent::TYPES).chain(&LEFT).chain([&USER_DELETED]);
        Filter { event_types: types.map(ToString::to_string).collect(), ..Filter::default() }
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    /// What a person reads is of other streams than what they are told: it waits with it.
    fn key(&self, event: &UnparsedEvent) -> String {
        whose(event).unwrap_or_else(|| event.stream.to_string())
    }

    fn purges(&self, event: &UnparsedEvent) -> bool {
        event.event_type == USER_DELETED
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        let mut told = BTreeSet::new();
        for event in events {
            apply_one(event, &mut told, tables).await?;
        }
        for (organization, person) in told {
            forget_the_oldest(organization, person, tables).await?;
        }
        Ok(())
    }
}

/// The inbox that an event is about.
fn whose(event: &UnparsedEvent) -> Option<String> {
    match event.stream.aggregate_type.as_ref() {
        NOTIFICATION => {
            let NotificationEvent::Raised { organization_id, recipient, .. } = event.decode().ok()?;
            Some(InboxId { organization: organization_id, person: recipient }.to_string())
        }
        INBOX => Some(event.stream.aggregate_id.clone()),
        _ => None,
    }
}

// Notifications are few: one statement per event is enough.
async fn apply_one(
    event: &UnparsedEvent,
    told: &mut BTreeSet<(Uuid, Uuid)>,
    tables: &mut PgConnection,
) -> Result<(), ProjectionError> {
    match event.stream.aggregate_type.as_ref() {
        NOTIFICATION => {
            told.extend(raise(event, tables).await?);
        }
        INBOX => act(event, tables).await?,
        _ if event.event_type == USER_DELETED => {
            sqlx::query("DELETE FROM notifications WHERE user_id = $1")
                .bind(stream_id(event)?)
                .execute(tables)
                .await?;
        }
        _ => leave(event, tables).await?,
    }
    Ok(())
}

/// Whose it is, if it is one to show in the app.
async fn raise(
    event: &UnparsedEvent,
    tables: &mut PgConnection,
) -> Result<Option<(Uuid, Uuid)>, ProjectionError> {
    let NotificationEvent::Raised {
        organization_id,
        recipient,
        kind,
        about,
        details,
        ways,
        caused_by,
        happened_at,
    } = decode(event)?;
    if !ways.in_app {
        return Ok(None);
    }
    sqlx::query(
        "INSERT INTO notifications (id, position, organization_id, user_id, kind, post_id, channel_id, member_id,
             media_id, series_id, details, caused_by, happened_at, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(stream_id(event)?)
    .bind(event.position.cast_signed())
    .bind(organization_id.uuid())
    .bind(recipient.uuid())
    .bind(kind.as_str())
    .bind(about.post.map(|id| id.uuid()))
    .bind(about.channel.map(|id| id.uuid()))
    .bind(about.member.map(|id| id.uuid()))
    .bind(about.media.map(|id| id.uuid()))
    .bind(about.series.map(|id| id.uuid()))
    .bind(Json(details))
    .bind(caused_by)
    .bind(happened_at)
    .bind(event.recorded_at)
    .execute(tables)
    .await?;
    Ok(Some((organization_id.uuid(), recipient.uuid())))
}

async fn act(event: &UnparsedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    match decode::<InboxEvent>(event)? {
        InboxEvent::Marked { organization_id, user_id, notification, mark } => {
            sqlx::query(
                "UPDATE notifications SET is_read = $4
                 WHERE id = $1 AND organization_id = $2 AND user_id = $3",
            )
            .bind(notification.uuid())
            .bind(organization_id.uuid())
            .bind(user_id.uuid())
            .bind(mark == Mark::Read)
            .execute(tables)
            .await?;
        }
        InboxEvent::AllRead { organization_id, user_id, up_to } => {
            let up_to = up_to.unwrap_or(event.position).min(event.position);
            sqlx::query(
                "UPDATE notifications SET is_read = true
                 WHERE organization_id = $1 AND user_id = $2 AND position <= $3 AND NOT is_read",
            )
            .bind(organization_id.uuid())
            .bind(user_id.uuid())
            .bind(up_to.cast_signed())
            .execute(tables)
            .await?;
        }
        // By which ways somebody is told is decided when they are.
        InboxEvent::PreferencesChanged { .. } => {}
    }
    Ok(())
}

/// Nothing of an organization is theirs to see any more.
async fn leave(event: &UnparsedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let organization = stream_id(event)?;
    let person = match decode::<OrganizationEvent>(event)? {
        OrganizationEvent::MemberRemoved { user_id, .. } | OrganizationEvent::MemberLeft { user_id } => {
            Some(user_id.uuid())
        }
        _ => None,
    };
    sqlx::query(
        "DELETE FROM notifications WHERE organization_id = $1 AND ($2::uuid IS NULL OR user_id = $2)",
    )
    .bind(organization)
    .bind(person)
    .execute(tables)
    .await?;
    Ok(())
}

/// However the log is cut into batches, the newest are left.
async fn forget_the_oldest(
    organization: Uuid,
    person: Uuid,
    tables: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM notifications WHERE organization_id = $1 AND user_id = $2 AND position <= (
             SELECT position FROM notifications WHERE organization_id = $1 AND user_id = $2
             ORDER BY position DESC OFFSET $3 LIMIT 1)",
    )
    .bind(organization)
    .bind(person)
    .bind(KEPT_MAX)
    .execute(tables)
    .await?;
    Ok(())
}

/// A notification as its recipient sees it, without names.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct NotificationRow {
    pub id: Uuid,
    #[sqlx(try_from = "i64")]
    pub position: u64,
    pub kind: String,
    pub post_id: Option<Uuid>,
    pub channel_id: Option<Uuid>,
    pub member_id: Option<Uuid>,
    pub media_id: Option<Uuid>,
    pub series_id: Option<Uuid>,
    #[sqlx(json)]
    pub details: Details,
    pub caused_by: Uuid,
    pub is_read: bool,
    /// When what it tells of happened.
    pub happened_at: DateTime<Utc>,
    pub at: DateTime<Utc>,
}

/// Which notifications; all by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    pub only_unread: bool,
}

const COLUMNS: &str =
    "id, position, kind, post_id, channel_id, member_id, media_id, series_id, details, caused_by,
     is_read, happened_at, at";

/// A page, the newest first, and how many there are.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    pool: &PgPool,
    inbox: InboxId,
    filter: NotificationFilter,
    paging: Paging,
) -> Result<(Vec<NotificationRow>, u64), sqlx::Error> {
    let mut count = QueryBuilder::new("SELECT count(*) FROM read.notifications_v1");
    push_filter(&mut count, inbox, filter);
    let total: i64 = count.build_query_scalar().fetch_one(pool).await?;
    let mut select = QueryBuilder::new(format!("SELECT {COLUMNS} FROM read.notifications_v1"));
    push_filter(&mut select, inbox, filter);
    let offset = paging.page.saturating_sub(1).saturating_mul(paging.per_page);
    select.push(" ORDER BY position DESC LIMIT ");
    select.push_bind(i64::try_from(paging.per_page).unwrap_or(i64::MAX));
    select.push(" OFFSET ").push_bind(i64::try_from(offset).unwrap_or(i64::MAX));
    Ok((select.build_query_as().fetch_all(pool).await?, total.cast_unsigned()))
}

fn push_filter(query: &mut QueryBuilder<'_, Postgres>, inbox: InboxId, filter: NotificationFilter) {
    query.push(" WHERE organization_id = ").push_bind(inbox.organization.uuid());
    query.push(" AND user_id = ").push_bind(inbox.person.uuid());
    if filter.only_unread {
        query.push(" AND NOT is_read");
    }
}

/// # Errors
/// If the database does not answer.
pub async fn get(pool: &PgPool, inbox: InboxId, id: Uuid) -> Result<Option<NotificationRow>, sqlx::Error> {
    let mut select = QueryBuilder::new(format!("SELECT {COLUMNS} FROM read.notifications_v1"));
    push_filter(&mut select, inbox, NotificationFilter::default());
    select.push(" AND id = ").push_bind(id);
    select.build_query_as().fetch_optional(pool).await
}

/// How many are not read yet.
///
/// # Errors
/// If the database does not answer.
pub async fn unread(pool: &PgPool, inbox: InboxId) -> Result<u64, sqlx::Error> {
    let mut count = QueryBuilder::new("SELECT count(*) FROM read.notifications_v1");
    push_filter(&mut count, inbox, NotificationFilter { only_unread: true });
    let unread: i64 = count.build_query_scalar().fetch_one(pool).await?;
    Ok(unread.cast_unsigned())
}

/// What the posts among these say, by id; of those that can still be read.
///
/// # Errors
/// If the database does not answer.
pub async fn contents(pool: &PgPool, posts: &[Uuid]) -> Result<BTreeMap<Uuid, String>, sqlx::Error> {
    let sql = format!(
        "SELECT id, state FROM read.posts_v{} WHERE id = ANY ($1)",
        crate::publishing::Posts::VERSION
    );
    let rows: Vec<(Uuid, Json<annals_domain::publishing::Post>)> =
        sqlx::query_as(&sql).bind(posts).fetch_all(pool).await?;
    let text = |post: &annals_domain::publishing::Post| post.composition().content().as_str().to_string();
    Ok(rows.iter().map(|(id, post)| (*id, text(&post.0))).collect())
}

/// The names of these channels, those that were disconnected too.
///
/// # Errors
/// If the database does not answer.
pub async fn channel_names(pool: &PgPool, channels: &[Uuid]) -> Result<BTreeMap<Uuid, String>, sqlx::Error> {
    let sql = format!(
        "SELECT id, name FROM read.channels_v{} WHERE id = ANY ($1)",
        crate::publishing::Channels::VERSION
    );
    let rows: Vec<(Uuid, String)> = sqlx::query_as(&sql).bind(channels).fetch_all(pool).await?;
    Ok(rows.into_iter().collect())
}
