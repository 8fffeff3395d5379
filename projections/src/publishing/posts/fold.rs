//! From events to rows: the posts of a batch are loaded, folded and written back at once.

use std::collections::BTreeMap;

use annals_domain::publishing::{Post, PostEvent, post::DeliveryState};
use annals_eventstore::RecordedEvent;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    ProjectionError,
    runtime::{decode, stream_id},
};

pub(super) struct Folded {
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

/// The posts that these events are about, as they stand.
pub(super) async fn load(
    events: &[RecordedEvent],
    tables: &mut PgConnection,
) -> Result<BTreeMap<Uuid, Folded>, ProjectionError> {
    let mut ids = events.iter().map(stream_id).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<StoredRow> =
        sqlx::query_as("SELECT id, state, created_at, updated_at, version FROM posts WHERE id = ANY ($1)")
            .bind(ids)
            .fetch_all(tables)
            .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let StoredRow { id, state: Json(post), created_at, updated_at, version } = row;
            (id, Folded { post, created_at, updated_at, version: version.cast_unsigned() })
        })
        .collect())
}

pub(super) fn event(
    posts: &mut BTreeMap<Uuid, Folded>,
    event: &RecordedEvent,
) -> Result<(), ProjectionError> {
    let decoded: PostEvent = decode(event)?;
    let folded = posts.entry(stream_id(event)?).or_insert_with(|| Folded {
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

/// Named as the columns of `posts`.
#[derive(Serialize)]
struct PostRow<'p> {
    id: Uuid,
    organization_id: Uuid,
    author_id: Uuid,
    status: &'static str,
    archived: bool,
    scheduled_at: Option<DateTime<Utc>>,
    channels: Vec<Uuid>,
    tags: Vec<Uuid>,
    searchable: String,
    state: &'p Post,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: u64,
}

/// Named as the columns of `deliveries`.
#[derive(Serialize)]
struct DeliveryRow {
    post_id: Uuid,
    channel_id: Uuid,
    organization_id: Uuid,
    state: &'static str,
    /// When it reached the state, or is due.
    at: DateTime<Utc>,
    remote_id: Option<String>,
}

pub(super) async fn store(
    posts: BTreeMap<Uuid, Folded>,
    tables: &mut PgConnection,
) -> Result<(), ProjectionError> {
    let (mut rows, mut deliveries) = (Vec::new(), Vec::new());
    for (id, folded) in &posts {
        if folded.post.exists() {
            rows.push(post_row(*id, folded));
            deliveries.extend(delivery_rows(*id, &folded.post));
        }
    }
    // Written anew rather than compared: a post has a handful of deliveries.
    let ids: Vec<Uuid> = posts.keys().copied().collect();
    sqlx::query("DELETE FROM deliveries WHERE post_id = ANY ($1)").bind(&ids).execute(&mut *tables).await?;
    sqlx::query("DELETE FROM posts WHERE id = ANY ($1)").bind(&ids).execute(&mut *tables).await?;
    sqlx::query("INSERT INTO posts SELECT * FROM jsonb_populate_recordset(NULL::posts, $1)")
        .bind(Json(rows))
        .execute(&mut *tables)
        .await?;
    sqlx::query("INSERT INTO deliveries SELECT * FROM jsonb_populate_recordset(NULL::deliveries, $1)")
        .bind(Json(deliveries))
        .execute(tables)
        .await?;
    Ok(())
}

fn post_row(id: Uuid, folded: &Folded) -> PostRow<'_> {
    let post = &folded.post;
    let composition = post.composition();
    let own_texts = composition.targets().iter().filter_map(|target| target.content.as_ref());
    let texts: Vec<&str> = std::iter::once(composition.content())
        .chain(composition.thread())
        .chain(own_texts)
        .map(|text| text.as_str())
        .collect();
    PostRow {
        id,
        organization_id: post.organization().uuid(),
        author_id: post.author().uuid(),
        status: post.status().as_str(),
        archived: post.is_archived(),
        scheduled_at: post.schedule().map(|schedule| schedule.at),
        channels: composition.channels().iter().map(|channel| channel.uuid()).collect(),
        tags: composition.tags().iter().map(|tag| tag.uuid()).collect(),
        searchable: texts.join("\n"),
        state: post,
        created_at: folded.created_at,
        updated_at: folded.updated_at,
        version: folded.version,
    }
}

fn delivery_rows(id: Uuid, post: &Post) -> impl Iterator<Item = DeliveryRow> {
    let organization_id = post.organization().uuid();
    post.deliveries().iter().map(move |(channel, delivery)| DeliveryRow {
        post_id: id,
        channel_id: channel.uuid(),
        organization_id,
        state: delivery.state.as_str(),
        at: match &delivery.state {
            DeliveryState::Scheduled { .. } | DeliveryState::Cancelled => delivery.due_at,
            DeliveryState::Publishing { started_at, .. } => *started_at,
            DeliveryState::Published { at, .. } | DeliveryState::Failed { at, .. } => *at,
            DeliveryState::Unknown { since, .. } => *since,
        },
        remote_id: match &delivery.state {
            DeliveryState::Published { remote_id, .. } => Some(remote_id.clone()),
            _ => None,
        },
    })
}
