//! From events to rows: the posts of a batch are loaded, folded and written back at once.

use std::collections::{BTreeMap, BTreeSet};

use annals_domain::{
    kernel::{IntegrationId, OrganizationId},
    publishing::{
        Post, PostEvent,
        post::{Delivery, DeliveryState, PostText},
    },
};
use annals_eventstore::UnparsedEvent;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::likeness;
use crate::{
    ProjectionError,
    runtime::{CopyIn, CopyRow, decode, give_way, stream_id},
};

struct Folded {
    post: Post,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: u64,
}

#[derive(sqlx::FromRow)]
struct StoredRow {
    id: Uuid,
    state: Json<Post>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: i64,
}

/// The posts that these events are about, as they stand; none where the events begin it.
pub(super) async fn load(
    events: &[UnparsedEvent],
    tables: &mut PgConnection,
) -> Result<Posts, ProjectionError> {
    let mut posts = Posts::default();
    let mut begun = BTreeSet::new();
    for event in events {
        let id = stream_id(event)?;
        if event.sequence == 1 && event.part == 0 {
            begun.insert(id);
        } else if !begun.contains(&id) {
            posts.stored.insert(id);
        }
    }
    if posts.stored.is_empty() {
        return Ok(posts);
    }
    let rows: Vec<StoredRow> =
        sqlx::query_as("SELECT id, state, created_at, updated_at, version FROM posts WHERE id = ANY ($1)")
            .bind(posts.stored.iter().copied().collect::<Vec<_>>())
            .fetch_all(tables)
            .await?;
    posts.folded.extend(rows.into_iter().map(|row| {
        let StoredRow { id, state: Json(post), created_at, updated_at, version } = row;
        (id, Folded { post, created_at, updated_at, version: version.cast_unsigned() })
    }));
    Ok(posts)
}

/// The posts of a batch.
#[derive(Default)]
pub(super) struct Posts {
    folded: BTreeMap<Uuid, Folded>,
    /// Of which there may be rows.
    stored: BTreeSet<Uuid>,
}

pub(super) fn event(posts: &mut Posts, event: &UnparsedEvent) -> Result<(), ProjectionError> {
    let decoded: PostEvent = decode(event)?;
    let folded = posts.folded.entry(stream_id(event)?).or_insert_with(|| Folded {
        post: Post::default(),
        created_at: event.recorded_at,
        updated_at: event.recorded_at,
        version: 0,
    });
    folded.post.apply(decoded);
    folded.updated_at = event.recorded_at;
    folded.version = event.sequence;
    Ok(())
}

/// Writes the posts anew rather than comparing them: most have changed, and a post has a handful of
/// deliveries.
pub(super) async fn store(posts: Posts, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    if !posts.stored.is_empty() {
        let stored: Vec<Uuid> = posts.stored.into_iter().collect();
        sqlx::query("DELETE FROM deliveries WHERE post_id = ANY ($1)")
            .bind(&stored)
            .execute(&mut *tables)
            .await?;
        sqlx::query("DELETE FROM posts WHERE id = ANY ($1)").bind(&stored).execute(&mut *tables).await?;
    }
    let posts: Vec<_> = posts.folded.into_iter().filter(|(_, folded)| folded.post.exists()).collect();
    let mut copy = CopyIn::begin(tables, "posts", POST_COLUMNS).await?;
    for (nth, (id, folded)) in posts.iter().enumerate() {
        copy.row(|row| post_row(*id, folded, row)).await?;
        give_way(nth).await;
    }
    copy.finish().await?;
    let mut copy = CopyIn::begin(tables, "deliveries", DELIVERY_COLUMNS).await?;
    for (id, folded) in &posts {
        let organization = folded.post.organization();
        for (channel, delivery) in folded.post.deliveries() {
            let digest = likeness(&folded.post.composition().parts_for(*channel).unwrap_or_default());
            copy.row(|row| delivery_row(*id, organization, (*channel, delivery, digest), row)).await?;
        }
    }
    Ok(copy.finish().await?)
}

const POST_COLUMNS: &[&str] = &[
    "id",
    "organization_id",
    "author_id",
    "status",
    "archived",
    "scheduled_at",
    "channels",
    "tags",
    "series_id",
    "searchable",
    "state",
    "created_at",
    "updated_at",
    "version",
];

fn post_row(id: Uuid, folded: &Folded, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
    let post = &folded.post;
    let composition = post.composition();
    let texts: Vec<&str> = composition.texts().map(PostText::as_str).collect();
    let channels: Vec<Uuid> = composition.targets().iter().map(|target| target.channel.uuid()).collect();
    let tags: Vec<Uuid> = composition.tags().iter().map(|tag| tag.uuid()).collect();
    row.value(id)?;
    row.value(post.organization().uuid())?;
    row.value(post.author().uuid())?;
    row.value(post.status().as_str())?;
    row.value(post.is_archived())?;
    row.value(post.schedule().map(|schedule| schedule.at))?;
    row.value(channels)?;
    row.value(tags)?;
    row.value(post.occurrence().map(|occurrence| occurrence.series_id.uuid()))?;
    row.value(texts.join("\n"))?;
    row.json(post)?;
    row.value(folded.created_at)?;
    row.value(folded.updated_at)?;
    row.value(folded.version.cast_signed())
}

const DELIVERY_COLUMNS: &[&str] =
    &["post_id", "channel_id", "organization_id", "state", "at", "remote_id", "digest"];

fn delivery_row(
    id: Uuid,
    organization: OrganizationId,
    (channel, delivery, digest): (IntegrationId, &Delivery, i64),
    row: &mut CopyRow<'_>,
) -> Result<(), sqlx::Error> {
    // When it reached the state, or is due.
    let at = match &delivery.state {
        DeliveryState::Scheduled { .. } | DeliveryState::Cancelled => delivery.due_at,
        DeliveryState::Publishing { started_at, .. } => *started_at,
        DeliveryState::Published { at, .. } | DeliveryState::Failed { at, .. } => *at,
        DeliveryState::Unknown { since, .. } => *since,
    };
    let remote_id = delivery.standing.first().map(|part| part.remote_id.as_str());
    row.value(id)?;
    row.value(channel.uuid())?;
    row.value(organization.uuid())?;
    row.value(delivery.state.as_str())?;
    row.value(at)?;
    row.value(remote_id)?;
    row.value(digest)
}
