//! What a feed channel serves to anyone: its published posts, the newest first.

use std::collections::BTreeMap;

use annals_domain::{
    kernel::{IntegrationId, MediaId, OrganizationId, TagId},
    publishing::{
        Post,
        media::StoredFile,
        post::{Delivery, DeliveryState, Part, Standing},
    },
};
use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{
    media,
    tags::{self, Tag},
};

/// Readers poll: what is older than this many items they have seen.
const ITEMS_MAX: i64 = 50;

/// The platform whose channels are served here.
pub const PLATFORM: &str = "feed";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    pub id: IntegrationId,
    pub title: String,
    pub url: Option<String>,
    pub connected_at: DateTime<Utc>,
    /// The newest first.
    pub items: Vec<FeedItem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedItem {
    /// What the platform called it when it was published: stable for ever.
    pub remote_id: String,
    pub url: Option<String>,
    /// The post's text and, for a thread, what follows.
    pub parts: Vec<String>,
    pub tags: Vec<String>,
    /// What its parts show, in order; what was deleted since is left out.
    pub media: Vec<FeedMedia>,
    pub published_at: DateTime<Utc>,
}

/// A file that an item shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedMedia {
    pub id: MediaId,
    pub alt: Option<String>,
    pub file: StoredFile,
}

/// Which items of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Items {
    Newest,
    /// By [`FeedItem::remote_id`].
    One(String),
}

/// A feed, unless it is not one or was disconnected. Asked for one item, it has that or none.
///
/// # Errors
/// If the database does not answer.
pub async fn get(pool: &PgPool, id: IntegrationId, items: Items) -> Result<Option<Feed>, sqlx::Error> {
    let channel: Option<(Uuid, String, Option<String>, DateTime<Utc>)> = sqlx::query_as(
        "SELECT organization_id, name, url, connected_at FROM read.channels_v1
         WHERE id = $1 AND platform = $2 AND status <> 'disconnected'",
    )
    .bind(id.uuid())
    .bind(PLATFORM)
    .fetch_optional(pool)
    .await?;
    let Some((organization, title, url, connected_at)) = channel else { return Ok(None) };
    let only = match items {
        Items::Newest => None,
        Items::One(remote_id) => Some(remote_id),
    };
    let rows: Vec<(Json<Post>,)> = sqlx::query_as(
        "SELECT p.state FROM read.deliveries_v4 d JOIN read.posts_v4 p ON p.id = d.post_id
         WHERE d.channel_id = $1 AND d.remote_id IS NOT NULL AND ($2::text IS NULL OR d.remote_id = $2)
         ORDER BY d.at DESC, d.post_id LIMIT $3",
    )
    .bind(id.uuid())
    .bind(only)
    .bind(ITEMS_MAX)
    .fetch_all(pool)
    .await?;
    let tags = tags::named(pool, OrganizationId::new(organization)).await?;
    let shown: Vec<_> = rows.iter().flat_map(|(post,)| post.composition().assets()).collect();
    let files = media::files(pool, OrganizationId::new(organization), &shown).await?;
    let items = rows.iter().filter_map(|(post,)| item(id, post, &tags, &files)).collect();
    Ok(Some(Feed { id, title, url, connected_at, items }))
}

fn item(
    channel: IntegrationId,
    post: &Post,
    tags: &BTreeMap<TagId, Tag>,
    files: &BTreeMap<MediaId, StoredFile>,
) -> Option<FeedItem> {
    let delivery = post.deliveries().get(&channel)?;
    let Standing { remote_id, url, at } = delivery.standing.first()?;
    let composition = post.composition();
    let parts = standing(composition.parts_for(channel)?, delivery);
    Some(FeedItem {
        remote_id: remote_id.clone(),
        url: url.clone(),
        media: shown(&parts, files),
        parts: parts.into_iter().map(|part| part.text.into_string()).collect(),
        tags: composition.tags().iter().filter_map(|id| Some(tags.get(id)?.name.clone())).collect(),
        published_at: *at,
    })
}

/// A thread's parts that stand; all of what was published whole.
fn standing(mut parts: Vec<Part>, delivery: &Delivery) -> Vec<Part> {
    if !matches!(delivery.state, DeliveryState::Published { .. }) {
        parts.truncate(delivery.standing.len());
    }
    parts
}

fn shown(parts: &[Part], files: &BTreeMap<MediaId, StoredFile>) -> Vec<FeedMedia> {
    let found = parts.iter().flat_map(|part| &part.media).filter_map(|shown| {
        let file = files.get(&shown.asset_id)?.clone();
        let alt = shown.alt.as_ref().map(|alt| alt.as_str().to_string());
        Some(FeedMedia { id: shown.asset_id, alt, file })
    });
    found.collect()
}
