//! Posts, as groups of one per channel.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, http::StatusCode, web};
use annals_domain::kernel::{PostId, TimeZone};
use annals_projections::publishing::{
    channels::Channel,
    posts::{Paging, PostFilter},
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{channels, failure::renamed};
use crate::{
    http::{ApiError, ApiResult, Body, Caller, answer::POSITION_HEADER},
    publishing::{
        failed,
        input::{PostBody, PostType, TargetBody, member},
        parts::{self, MediaBody, StringOr},
        posts::{commands, find, get},
        times::{self, End},
        views::{DeliveryView, PostView},
    },
    state::AppState,
};

/// Posts that one answer holds; Postiz's clients know no pages.
const LIST_MAX: u64 = 1_000;
const PER_PAGE: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Draft,
    Schedule,
    Now,
    /// Changes the post whose group the first entry names.
    Update,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostsBody {
    #[serde(rename = "type")]
    kind: Kind,
    /// When it is due, RFC 3339; of a draft, what it is meant for. Of no meaning with `now`.
    date: Option<String>,
    #[serde(default)]
    tags: Vec<TagBody>,
    /// One per channel.
    posts: Vec<EntryBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct TagBody {
    value: String,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct EntryBody {
    integration: ChannelRef,
    /// Of an update: which post.
    group: Option<String>,
    /// The text, and what follows it as a thread.
    value: Vec<PartBody>,
    /// What it is told there; what the channel's platform has no setting for is passed over.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ChannelRef {
    id: Uuid,
}

#[derive(Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(super) struct PartBody {
    content: String,
    /// Files of the media library, as uploading gave them.
    #[serde(default)]
    image: Vec<ImageRef>,
    /// Minutes after the part before it.
    #[serde(default)]
    delay: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(super) struct ImageRef {
    id: Uuid,
    /// What it shows, for those who can't see it.
    alt: Option<String>,
}

/// What goes to one channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    /// `<post>_<channel>`.
    post_id: String,
    /// The channel's id.
    integration: Uuid,
}

/// Writes, schedules or publishes; what goes to several channels is one group.
#[utoipa::path(
    post, path = "/public/v1/posts", tag = "postiz", request_body = PostsBody,
    responses((status = 201, description = "One per channel", body = Vec<Written>)),
)]
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<PostsBody>,
) -> ApiResult {
    let revised = body.revised()?;
    let mut body = body.request()?;
    keep_known_settings(&state, &caller, &mut body.integrations).await?;
    let request = body.request(&state, &caller).await.map_err(renamed)?;
    let channels: Vec<Uuid> = request.draft.targets.iter().map(|target| target.channel.uuid()).collect();
    let (commands, member) = (commands(&state), member(&caller));
    let (id, position) = match revised {
        Some(id) => {
            let outcome = commands.revise(&caller.context, member, id, request).await;
            (Some(id), outcome.map_err(failed).map_err(renamed)?.receipt.position)
        }
        None => {
            let outcome = commands.create(&caller.context, member, request).await;
            let outcome = outcome.map_err(failed).map_err(renamed)?;
            (outcome.value, outcome.receipt.position)
        }
    };
    let post = id.ok_or_else(|| ApiError::not_found("post"))?.uuid();
    let written =
        channels.into_iter().map(|integration| Written { post_id: id_of(post, integration), integration });
    Ok(HttpResponse::build(StatusCode::CREATED)
        .insert_header((POSITION_HEADER, position.to_string()))
        .json(written.collect::<Vec<_>>()))
}

impl PostsBody {
    /// The post that shall be changed.
    fn revised(&self) -> Result<Option<PostId>, ApiError> {
        let group = self.posts.first().and_then(|entry| entry.group.as_deref()).filter(|id| !id.is_empty());
        match (self.kind, group) {
            (Kind::Update, Some(group)) => post_of(group).map(Some).map_err(|_| unknown_group()),
            (Kind::Update, None) => {
                Err(ApiError::field("posts[0].group", "is required when the type is update"))
            }
            _ => Ok(None),
        }
    }

    /// The same as a post with several channels.
    fn request(self) -> Result<PostBody, ApiError> {
        let Some(first) = self.posts.first().and_then(|entry| entry.value.first()) else {
            return Err(ApiError::field("posts", "must have at least one entry, with at least one value"));
        };
        let content = first.content.clone();
        let (media, thread) = (images(&first.image), comments(&self.posts[0]));
        let mut integrations = Vec::with_capacity(self.posts.len());
        for (nth, entry) in self.posts.iter().enumerate() {
            let fault =
                |field: &str, message: &str| ApiError::field(format!("posts[{nth}].value{field}"), message);
            let Some(own) = entry.value.first() else {
                return Err(fault("", "must have at least one entry"));
            };
            if own.delay > 0 {
                return Err(fault("[0].delay", "must be 0: nothing comes before the first part"));
            }
            let content = (own.content != content).then(|| own.content.clone());
            let own_media = (own.image != first.image).then(|| images(&own.image));
            let own_thread = (comments(entry) != thread).then(|| parts_of(comments(entry)));
            let id = entry.integration.id;
            let (media, thread, settings) = (own_media, own_thread, entry.settings.clone());
            integrations.push(TargetBody { id, content, media, thread, settings });
        }
        let date = self.date.filter(|date| !date.is_empty());
        let (kind, scheduled_at) = match self.kind {
            Kind::Draft => (PostType::Draft, date),
            Kind::Now => (PostType::Now, None),
            Kind::Schedule | Kind::Update => (PostType::Schedule, date),
        };
        let thread = parts_of(thread);
        let tags = self.tags.into_iter().map(|tag| tag.value).collect();
        let (recurrence, timezone) = (None, None);
        Ok(PostBody { content, media, thread, integrations, kind, scheduled_at, recurrence, timezone, tags })
    }
}

/// Clients of Postiz send its own settings of every platform, and empty texts for what is not set.
async fn keep_known_settings(
    state: &AppState,
    caller: &Caller,
    targets: &mut [TargetBody],
) -> Result<(), ApiError> {
    if targets.iter().all(|target| target.settings.is_empty()) {
        return Ok(());
    }
    let channels = channels::of_organization(state, caller).await?;
    for target in targets {
        let channel = channels.iter().find(|channel| channel.id == target.id);
        let provider = channel.and_then(|channel| state.platforms.get(&channel.platform));
        let fields = provider.map(|provider| provider.info().settings.as_slice()).unwrap_or_default();
        target.settings.retain(|name, value| {
            fields.iter().any(|field| field.name == name) && !value.is_null() && value != ""
        });
    }
    Ok(())
}

/// What follows the first part.
fn comments(entry: &EntryBody) -> &[PartBody] {
    entry.value.get(1..).unwrap_or_default()
}

fn parts_of(comments: &[PartBody]) -> Vec<StringOr<parts::PartBody>> {
    let part = |comment: &PartBody| parts::PartBody {
        content: comment.content.clone(),
        media: images(&comment.image),
        delay_seconds: comment.delay.saturating_mul(60),
    };
    comments.iter().map(|comment| StringOr(part(comment))).collect()
}

fn images(images: &[ImageRef]) -> Vec<StringOr<MediaBody>> {
    images.iter().map(|image| StringOr(MediaBody { id: image.id, alt: image.alt.clone() })).collect()
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct PostsQuery {
    start_date: Option<String>,
    end_date: Option<String>,
    /// Only what goes to this customer's channels.
    customer: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PostList {
    posts: Vec<PostEntry>,
}

/// What goes to one channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostEntry {
    id: String,
    content: String,
    publish_date: String,
    #[serde(rename = "releaseURL")]
    release_url: Option<String>,
    release_id: Option<String>,
    state: &'static str,
    interval_in_days: Option<u32>,
    /// The post.
    group: Uuid,
    creation_method: &'static str,
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    tags: Vec<TagEntry>,
    integration: ChannelEntry,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagEntry {
    tag: Tag,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tag {
    id: Uuid,
    name: String,
    color: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelEntry {
    id: Uuid,
    provider_identifier: String,
    name: String,
    picture: Option<String>,
}

/// What is due between two moments, each channel's by itself, by time.
#[utoipa::path(
    get, path = "/public/v1/posts", tag = "postiz", params(PostsQuery),
    responses((status = 200, description = "By time", body = PostList)),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    query: web::Query<PostsQuery>,
) -> ApiResult {
    let filter = query.filter()?;
    let mut found = Vec::new();
    for page in 1.. {
        let (posts, total) = find(&state, &caller, &filter, Paging { page, per_page: PER_PAGE }).await?;
        if total > LIST_MAX {
            let message = format!("leaves {total} posts between the dates; an answer has at most {LIST_MAX}");
            return Err(ApiError::field("endDate", message));
        }
        let is_last = (posts.len() as u64) < PER_PAGE;
        found.extend(posts);
        if is_last {
            break;
        }
    }
    let channels = channels::of_organization(&state, &caller).await?;
    let channels = channels.into_iter().map(|channel| (channel.id, channel)).collect();
    let customer = query.customer.as_deref().filter(|customer| !customer.is_empty());
    let posts = found.iter().flat_map(|post| entries(post, &channels, customer)).collect();
    Ok(HttpResponse::Ok().json(PostList { posts }))
}

impl PostsQuery {
    fn filter(&self) -> Result<PostFilter, ApiError> {
        let zone = TimeZone::default();
        let moment = |field, text: Option<&String>, end| {
            let text = text.map(String::as_str).filter(|text| !text.is_empty());
            times::moment(field, text, &zone, end)
                .and_then(|moment| moment.ok_or_else(|| crate::http::FieldError::new(field, "is required")))
                .map_err(|fault| ApiError::validation(vec![fault]))
        };
        let from = moment("startDate", self.start_date.as_ref(), End::From)?;
        let to = moment("endDate", self.end_date.as_ref(), End::To)?;
        Ok(PostFilter { from: Some(from), to: Some(to), ..PostFilter::default() })
    }
}

fn entries(post: &PostView, channels: &BTreeMap<Uuid, Channel>, customer: Option<&str>) -> Vec<PostEntry> {
    let entry = |delivery: &DeliveryView| {
        let channel = channels.get(&delivery.id);
        if customer.is_some() && channel.and_then(|channel| channel.customer.as_deref()) != customer {
            return None;
        }
        let due = delivery.due_at.or(post.scheduled_at)?;
        let tags = post.tags.iter().map(|tag| TagEntry {
            tag: Tag { id: tag.id, name: tag.name.clone(), color: tag.color.clone() },
        });
        Some(PostEntry {
            id: id_of(post.id, delivery.id),
            content: delivery.content.clone().unwrap_or_else(|| post.content.clone()),
            publish_date: moment(due),
            release_url: delivery.url.clone(),
            release_id: delivery.remote_id.clone(),
            state: state_of(delivery.status)?,
            interval_in_days: None,
            group: post.id,
            creation_method: creation_method(post.source.as_deref()),
            settings: delivery.settings.clone(),
            tags: tags.collect(),
            integration: ChannelEntry {
                id: delivery.id,
                provider_identifier: delivery.platform.clone().unwrap_or_default(),
                name: delivery.name.clone().unwrap_or_default(),
                picture: channel.and_then(|channel| channel.picture.clone()),
            },
        })
    };
    post.integrations.iter().filter_map(entry).collect()
}

/// As Postiz writes a time.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Through which door it came; Postiz has no word for what a worker wrote.
fn creation_method(source: Option<&str>) -> &'static str {
    match source {
        Some("WEB") => "WEB",
        Some("API") => "API",
        Some("MCP") => "MCP",
        _ => "UNKNOWN",
    }
}

/// In Postiz's words; what was cancelled is not there any more.
fn state_of(status: &str) -> Option<&'static str> {
    match status {
        "draft" => Some("DRAFT"),
        "scheduled" | "publishing" => Some("QUEUE"),
        "published" => Some("PUBLISHED"),
        "cancelled" => None,
        _ => Some("ERROR"),
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deleted {
    /// The post.
    id: Uuid,
}

/// Deletes a draft, cancels what is scheduled, takes anything else off the lists; the whole group.
#[utoipa::path(
    delete, path = "/public/v1/posts/{id}", tag = "postiz", params(("id" = String, Path)),
    responses((status = 200, description = "It is gone", body = Deleted)),
)]
pub(super) async fn delete(state: web::Data<AppState>, caller: Caller, id: web::Path<String>) -> ApiResult {
    let id = post_of(&id)?;
    let outcome = commands(&state).delete(&caller.context, member(&caller), id).await.map_err(failed)?;
    Ok(HttpResponse::Ok()
        .insert_header((POSITION_HEADER, outcome.receipt.position.to_string()))
        .json(Deleted { id: id.uuid() }))
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Draft,
    Schedule,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct StatusBody {
    status: Status,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusView {
    id: String,
    state: &'static str,
}

/// Schedules a draft for the time it is meant for, or makes a scheduled post a draft; the whole group.
#[utoipa::path(
    put, path = "/public/v1/posts/{id}/status", tag = "postiz", request_body = StatusBody,
    params(("id" = String, Path)),
    responses((status = 200, description = "How it stands now", body = StatusView)),
)]
pub(super) async fn status(
    state: web::Data<AppState>,
    mut caller: Caller,
    id: web::Path<String>,
    Body(body): Body<StatusBody>,
) -> ApiResult {
    let post = post_of(&id)?;
    let view = get(&state, &caller, post).await?;
    let (kind, state_now) = match body.status {
        Status::Draft => (PostType::Draft, "DRAFT"),
        Status::Schedule => (PostType::Schedule, "QUEUE"),
    };
    // It is written anew as it was read: what another changed meanwhile would be lost.
    caller.context.expected_version = Some(view.version);
    let request = PostBody::of(view, kind).request(&state, &caller).await.map_err(renamed)?;
    let outcome = commands(&state).revise(&caller.context, member(&caller), post, request).await;
    let position = outcome.map_err(failed).map_err(renamed)?.receipt.position;
    Ok(HttpResponse::Ok()
        .insert_header((POSITION_HEADER, position.to_string()))
        .json(StatusView { id: id.into_inner(), state: state_now }))
}

fn id_of(post: Uuid, channel: Uuid) -> String {
    format!("{post}_{channel}")
}

/// From `<post>_<channel>`, or a group's id.
fn post_of(id: &str) -> Result<PostId, ApiError> {
    let (post, channel) = id.split_once('_').map_or((id, None), |(post, channel)| (post, Some(channel)));
    let is_channel = channel.is_none_or(|channel| channel.parse::<Uuid>().is_ok());
    let post = post.parse().ok().filter(|_| is_channel);
    post.ok_or_else(|| ApiError::not_found("post"))
}

fn unknown_group() -> ApiError {
    ApiError::field("posts[0].group", "names no post")
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: &str = "0198e000-0000-7000-8000-000000000001";
    const CHANNEL: &str = "0198e000-0000-7000-8000-000000000002";

    fn body(text: &str) -> PostsBody {
        serde_json::from_str(text).expect("is a body")
    }

    #[test]
    fn what_goes_to_several_channels_is_one_post() {
        let text = format!(
            r#"{{"type": "schedule", "date": "2026-12-01T09:00:00Z", "shortLink": false, "tags": [{{"value": "launch", "label": "Launch"}}],
                "posts": [{{"integration": {{"id": "{POST}"}}, "value": [{{"content": "a"}}, {{"content": "then"}}], "settings": {{}}}},
                          {{"integration": {{"id": "{CHANNEL}"}}, "value": [{{"content": "b", "image": [{{"id": "{POST}", "path": "https://x/y.png", "alt": "A cat"}}]}}, {{"content": "then", "delay": 5}}]}}]}}"#
        );
        let post = body(&text).request().expect("is a post");
        let thread: Vec<_> = post.thread.iter().map(|part| part.0.content.as_str()).collect();
        assert_eq!((post.content.as_str(), thread), ("a", vec!["then"]));
        let own: Vec<_> = post.integrations.iter().map(|target| target.content.as_deref()).collect();
        assert_eq!(own, [None, Some("b")]);
        assert!(post.integrations[0].thread.is_none() && post.integrations[0].media.is_none());
        let own_media = post.integrations[1].media.as_deref().expect("its image is its own");
        assert_eq!(own_media[0].0.alt.as_deref(), Some("A cat"));
        let own_thread = post.integrations[1].thread.as_deref().expect("its delay is its own");
        assert_eq!((own_thread[0].0.content.as_str(), own_thread[0].0.delay_seconds), ("then", 300));
        assert_eq!(
            (post.kind, post.tags.as_slice()),
            (PostType::Schedule, ["launch".to_string()].as_slice())
        );
    }

    #[test]
    fn what_can_not_be_kept_is_refused_by_name() {
        let fault = |posts: &str| {
            let body = body(&format!(r#"{{"type": "now", "date": "", "posts": [{posts}]}}"#));
            body.request().err().and_then(|error| error.errors.into_iter().next()).map(|fault| fault.field)
        };
        let entry = |value: &str| format!(r#"{{"integration": {{"id": "{CHANNEL}"}}, "value": [{value}]}}"#);
        assert_eq!(fault("").as_deref(), Some("posts"));
        assert_eq!(fault(&entry("")).as_deref(), Some("posts"));
        assert_eq!(fault(&entry(r#"{"content": "a"}"#)), None);
        let late = entry(r#"{"content": "a", "delay": 5}"#);
        assert_eq!(fault(&late).as_deref(), Some("posts[0].value[0].delay"));
        let others =
            format!("{}, {}", entry(r#"{"content": "a"}"#), entry(r#"{"content": "a"}, {"content": "b"}"#));
        assert_eq!(fault(&others), None, "each channel may have comments of its own");
    }

    #[test]
    fn an_id_names_a_post_with_or_without_its_channel() {
        let post = POST.parse::<PostId>().ok();
        assert_eq!(post_of(POST).ok(), post);
        assert_eq!(post_of(&format!("{POST}_{CHANNEL}")).ok(), post);
        for wrong in ["", "x", "_", &format!("{POST}_"), &format!("{POST}_x")] {
            assert!(post_of(wrong).is_err(), "{wrong}");
        }
    }
}
