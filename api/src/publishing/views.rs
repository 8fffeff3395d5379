//! Posts and channels as callers see them, the same after a command and from a read model.

use std::collections::BTreeMap;

use annals_commands::bus::{CommandBus, CommandError};
use annals_domain::{
    kernel::{IntegrationId, OrganizationId, PostId, SeriesId, TagId},
    publishing::{
        Integration, Post, Series, TagBook,
        post::{Delivery, DeliveryState, MediaReference, Part, Standing, Target},
        series::Occurrence,
    },
};
use annals_projections::publishing::{channels::Channel, tags::Tag};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::warnings::WarningView;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PostView {
    pub id: Uuid,
    /// `draft`, `scheduled`, `publishing`, `published`, `partly_published`, `failed` or `cancelled`.
    pub status: &'static str,
    pub archived: bool,
    pub content: String,
    /// Of the first part.
    pub media: Vec<MediaView>,
    /// What follows it.
    pub thread: Vec<PartView>,
    pub integrations: Vec<DeliveryView>,
    pub tags: Vec<TagView>,
    /// If it recurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<OccurrenceView>,
    /// When it is due, or what a draft is meant for.
    pub scheduled_at: Option<DateTime<Utc>>,
    pub timezone: Option<String>,
    pub author: AuthorView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
    /// Through which door it came: `WEB`, `API`, `MCP` or `WORKER` (an import).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The ETag: send it as `If-Match` with a change.
    pub version: u64,
    /// Where it was just written or changed: what its author may want to know. Nothing is refused for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<WarningView>>,
}

/// Which occurrence of which series a post is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OccurrenceView {
    /// The series'.
    pub id: Uuid,
    /// From 1.
    pub occurrence: u32,
    /// The series': `active`, `paused` or `ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl OccurrenceView {
    fn of(occurrence: Occurrence, names: &Names) -> Self {
        let id = occurrence.series_id;
        Self { id: id.uuid(), occurrence: occurrence.number, status: names.series.get(&id).cloned() }
    }
}

/// Where the post stands on one channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryView {
    /// The channel's.
    pub id: Uuid,
    pub platform: Option<String>,
    pub name: Option<String>,
    /// Its own text, if it has one.
    pub content: Option<String>,
    /// Its own media, if it has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Vec<MediaView>>,
    /// Its own thread, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Vec<PartView>>,
    /// What the post is told there.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// `draft`, `scheduled`, `publishing`, `published`, `failed`, `unknown` or `cancelled`.
    pub status: &'static str,
    pub attempts: u32,
    pub due_at: Option<DateTime<Utc>>,
    /// When it reached its status.
    pub at: Option<DateTime<Utc>>,
    /// The parts of a thread that are published, also if a later one failed or is not due yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published_parts: Vec<StandingView>,
    /// The platform's id of the post.
    pub remote_id: Option<String>,
    pub url: Option<String>,
    /// Why it failed, is unknown or is tried again.
    pub reason: Option<String>,
    pub what_to_do: Option<String>,
}

/// A file of the media library.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MediaView {
    pub id: Uuid,
    /// What it shows, for those who can't see it.
    pub alt: Option<String>,
}

impl From<&MediaReference> for MediaView {
    fn from(media: &MediaReference) -> Self {
        let alt = media.alt.as_ref().map(|alt| alt.as_str().to_string());
        Self { id: media.asset_id.uuid(), alt }
    }
}

/// A part of a thread.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartView {
    pub content: String,
    pub media: Vec<MediaView>,
    /// After the part before it is published.
    pub delay_seconds: u32,
}

/// A part that stands on the platform.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StandingView {
    /// From 0.
    pub part: usize,
    pub remote_id: String,
    pub url: Option<String>,
    pub at: DateTime<Utc>,
}

impl From<&Part> for PartView {
    fn from(part: &Part) -> Self {
        let (content, delay_seconds) = (part.text.as_str().to_string(), part.delay_seconds);
        Self { content, media: views(&part.media), delay_seconds }
    }
}

impl From<(usize, &Standing)> for StandingView {
    fn from((part, standing): (usize, &Standing)) -> Self {
        let Standing { remote_id, url, at } = standing.clone();
        Self { part, remote_id, url, at }
    }
}

fn views<'v, T, V: From<&'v T>>(all: &'v [T]) -> Vec<V> {
    all.iter().map(V::from).collect()
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TagView {
    pub id: Uuid,
    pub name: String,
    pub color: String,
}

impl From<Tag> for TagView {
    fn from(tag: Tag) -> Self {
        Self { id: tag.id, name: tag.name, color: tag.color }
    }
}

/// A person, by name unless they were forgotten.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AuthorView {
    pub id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelView {
    pub id: Uuid,
    pub platform: String,
    pub name: String,
    /// `connected`, `disabled` or `expired` (connect it again).
    pub status: String,
    pub status_reason: Option<String>,
    pub handle: Option<String>,
    /// Its public page; of a feed, the feed itself.
    pub url: Option<String>,
    pub picture: Option<String>,
    pub group: Option<String>,
    pub customer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<DateTime<Utc>>,
    pub version: u64,
}

impl From<Channel> for ChannelView {
    fn from(channel: Channel) -> Self {
        Self {
            id: channel.id,
            platform: channel.platform,
            name: channel.name,
            status: channel.status,
            status_reason: channel.status_reason,
            handle: channel.handle,
            url: channel.url,
            picture: channel.picture,
            group: channel.group_name,
            customer: channel.customer,
            connected_at: Some(channel.connected_at),
            version: channel.version,
        }
    }
}

impl ChannelView {
    /// As the write side has it.
    pub(super) fn of(id: IntegrationId, channel: &Integration, version: u64) -> Self {
        let account = channel.account();
        let label = |label: Option<&annals_domain::publishing::integration::Label>| {
            label.map(|label| label.as_str().to_string())
        };
        Self {
            id: id.uuid(),
            platform: channel.platform().to_string(),
            name: account.map(|account| account.name.clone()).unwrap_or_default(),
            status: channel.status().as_str().to_string(),
            status_reason: None,
            handle: account.and_then(|account| account.handle.clone()),
            url: account.and_then(|account| account.url.clone()),
            picture: account.and_then(|account| account.picture.clone()),
            group: label(channel.group()),
            customer: label(channel.customer()),
            connected_at: None,
            version,
        }
    }
}

/// A channel, as a post names it.
#[derive(Clone, Debug)]
pub(super) struct ChannelName {
    pub(super) platform: String,
    pub(super) name: String,
}

/// What ids of a post mean to a person.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) channels: BTreeMap<IntegrationId, ChannelName>,
    pub(super) tags: BTreeMap<TagId, TagView>,
    pub(super) people: BTreeMap<Uuid, String>,
    /// The states of series.
    pub(super) series: BTreeMap<SeriesId, String>,
}

impl Names {
    /// From the write side, for a command's answer.
    pub(super) async fn of_written(
        bus: &CommandBus,
        organization: OrganizationId,
        post: &Post,
    ) -> Result<Self, CommandError> {
        let mut names = Self::default();
        for channel in post.composition().channels() {
            let loaded = bus.load::<Integration>(channel).await?.state;
            if let Some(account) = loaded.account() {
                let (platform, name) = (loaded.platform().to_string(), account.name.clone());
                names.channels.insert(channel, ChannelName { platform, name });
            }
        }
        if let Some(occurrence) = post.occurrence() {
            let id = occurrence.series_id;
            let status = bus.load::<Series>(id).await?.state.status();
            names.series.insert(id, status.as_str().to_string());
        }
        if !post.composition().tags().is_empty() {
            let book = bus.load::<TagBook>(organization).await?.state;
            for id in post.composition().tags() {
                if let Some(tag) = book.get(*id) {
                    let (name, color) = (tag.name.as_str().to_string(), tag.color.as_str().to_string());
                    names.tags.insert(*id, TagView { id: id.uuid(), name, color });
                }
            }
        }
        Ok(names)
    }
}

impl PostView {
    pub(super) fn of(id: PostId, post: &Post, version: u64, names: &Names) -> Self {
        let composition = post.composition();
        let author = post.author().uuid();
        Self {
            id: id.uuid(),
            status: post.status().as_str(),
            archived: post.is_archived(),
            content: composition.content().as_str().to_string(),
            media: views(composition.media()),
            thread: views(composition.thread()),
            integrations: composition
                .targets()
                .iter()
                .map(|target| {
                    let delivery = post.deliveries().get(&target.channel);
                    DeliveryView::of(target, delivery, names.channels.get(&target.channel))
                })
                .collect(),
            tags: composition.tags().iter().filter_map(|id| names.tags.get(id).cloned()).collect(),
            series: post.occurrence().map(|occurrence| OccurrenceView::of(occurrence, names)),
            scheduled_at: post.schedule().map(|schedule| schedule.at),
            timezone: post.schedule().map(|schedule| schedule.zone.as_str().to_string()),
            author: AuthorView { id: author, name: names.people.get(&author).cloned() },
            created_at: None,
            updated_at: None,
            source: None,
            version,
            warnings: None,
        }
    }
}

impl DeliveryView {
    fn of(target: &Target, delivery: Option<&Delivery>, named: Option<&ChannelName>) -> Self {
        let mut view = Self {
            id: target.channel.uuid(),
            platform: named.map(|named| named.platform.clone()),
            name: named.map(|named| named.name.clone()),
            content: target.content.as_ref().map(|text| text.as_str().to_string()),
            media: target.media.as_deref().map(views),
            thread: target.thread.as_deref().map(views),
            settings: target.settings.as_map().clone(),
            status: delivery.map_or("draft", |delivery| delivery.state.as_str()),
            attempts: delivery.map_or(0, |delivery| delivery.attempts),
            due_at: delivery.map(|delivery| delivery.due_at),
            at: None,
            published_parts: Vec::new(),
            remote_id: None,
            url: None,
            reason: None,
            what_to_do: None,
        };
        let standing = delivery.map(|delivery| delivery.standing.as_slice()).unwrap_or_default();
        if let Some(first) = standing.first() {
            (view.remote_id, view.url) = (Some(first.remote_id.clone()), first.url.clone());
        }
        if standing.len() > 1 || (!standing.is_empty() && view.status != "published") {
            view.published_parts = standing.iter().enumerate().map(StandingView::from).collect();
        }
        match delivery.map(|delivery| delivery.state.clone()) {
            None | Some(DeliveryState::Cancelled) => {}
            Some(DeliveryState::Scheduled { last_reason }) => view.reason = last_reason,
            Some(DeliveryState::Publishing { started_at, .. }) => view.at = Some(started_at),
            Some(DeliveryState::Published { remote_id, url, at }) => {
                (view.remote_id, view.url, view.at) = (Some(remote_id), url, Some(at));
            }
            Some(DeliveryState::Failed { failure, at }) => {
                view.reason = Some(failure.reason);
                (view.what_to_do, view.at) = (Some(failure.what_to_do), Some(at));
            }
            Some(DeliveryState::Unknown { reason, what_to_do, since, .. }) => {
                view.reason = Some(reason);
                (view.what_to_do, view.at) = (Some(what_to_do), Some(since));
            }
        }
        view
    }
}
