//! `/posts`: write, change, delete, list.

use std::collections::BTreeMap;

use actix_web::web;
use annals_commands::publishing::{Posts as Commands, series::SeriesRequest};
use annals_domain::{
    kernel::{IntegrationId, OrganizationId, PostId, SeriesId, TagId, TimeZone, UserId},
    publishing::{Post, PostStatus},
};
use annals_eventstore::Source;
use annals_projections::{
    Reader,
    identity::Users,
    publishing::{
        Channels, PostOrigins, Posts, Series, Tags, channels, people,
        posts::{self, Paging, PostFilter, Seen},
        series, tags,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    failed,
    input::{PostBody, member},
    parts::PartBody,
    times::{self, End},
    views::{ChannelName, Names, PostView},
    warnings::{self, Written},
};
use crate::{
    http::{
        Answer, ApiError, ApiResult, Body, Caller, FieldError, Page, Query, answer::Success,
        own_writes::Reads,
    },
    state::AppState,
};

const PER_PAGE: u64 = 20;
const PER_PAGE_MAX: u64 = 100;
const PAGE_MAX: u64 = 100_000;
/// Characters of a text to search for.
const SEARCH_CHARS_MAX: usize = 200;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedPost {
    pub id: Uuid,
    /// `deleted` (a draft), `cancelled` (scheduled) or `archived`: gone from the lists, and still on
    /// the platforms where it was published.
    pub status: &'static str,
}

#[derive(Debug, Default, Deserialize, IntoParams, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct PostsQuery {
    /// A day or a time: due then or later. With it, or with `endDate`, the order is by time; without, the newest first.
    pub(super) start_date: Option<String>,
    /// A day (which is within) or a time (before which).
    pub(super) end_date: Option<String>,
    /// Whose days are meant; the user's own if it is left out.
    pub(super) timezone: Option<String>,
    /// One or several with commas between: `scheduled,failed`.
    pub(super) status: Option<String>,
    /// A channel's id.
    pub(super) channel: Option<Uuid>,
    /// A tag's id.
    pub(super) tag: Option<Uuid>,
    /// A user's id.
    pub(super) author: Option<Uuid>,
    /// A series' id: its occurrences, by time.
    pub(super) series: Option<Uuid>,
    /// Through which door they came: `WEB`, `API`, `MCP` or `WORKER` (imports).
    pub(super) source: Option<String>,
    /// Anywhere in the texts, without regard to case.
    pub(super) q: Option<String>,
    /// From 1.
    pub(super) page: Option<u64>,
    /// At most 100; 20 if it is left out.
    pub(super) per_page: Option<u64>,
}

/// Writes a post: keeps it as a draft, publishes it now, or schedules it. With `recurrence`, the answer
/// is the first of its series.
#[utoipa::path(
    post, path = "/posts", tag = "posts", request_body = PostBody,
    responses((status = 201, description = "The post", body = Success<PostView>)),
)]
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<PostBody>,
) -> ApiResult {
    let recurrence = body.recurrence.clone();
    let post = body.request(&state, &caller).await?;
    let (commands, member) = (commands(&state), member(&caller));
    let outcome = match recurrence {
        None => commands.create(&caller.context, member, post).await,
        Some(rule) => commands.start_series(&caller.context, member, SeriesRequest { post, rule }).await,
    };
    let outcome = outcome.map_err(failed)?;
    let Some(id) = outcome.value else { return Err(ApiError::not_found("post")) };
    warned(&state, &caller, id, Answer::created, outcome.receipt.position).await
}

/// Changes a draft or scheduled post: it will be as the body says.
#[utoipa::path(
    put, path = "/posts/{id}", tag = "posts", request_body = PostBody, params(("id" = Uuid, Path)),
    responses((status = 200, description = "The post", body = Success<PostView>)),
)]
pub(super) async fn revise(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<PostId>,
    Body(body): Body<PostBody>,
) -> ApiResult {
    if body.recurrence.is_some() {
        return Err(ApiError::field("recurrence", "belongs to a series: change it at /posts/series/{id}"));
    }
    let request = body.request(&state, &caller).await?;
    let outcome =
        commands(&state).revise(&caller.context, member(&caller), *id, request).await.map_err(failed)?;
    warned(&state, &caller, *id, Answer::ok, outcome.receipt.position).await
}

/// Adds a reply to the end of a draft's or scheduled post's thread. It is published on every channel,
/// `delaySeconds` after the part before it.
#[utoipa::path(
    post, path = "/posts/{id}/comments", tag = "posts", request_body = PartBody, params(("id" = Uuid, Path)),
    responses((status = 201, description = "The post", body = Success<PostView>)),
)]
pub(super) async fn comment(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<PostId>,
    Body(body): Body<PartBody>,
) -> ApiResult {
    let outcome = commands(&state).reply(&caller.context, member(&caller), *id, body.into()).await;
    let position = outcome.map_err(failed)?.receipt.position;
    warned(&state, &caller, *id, Answer::created, position).await
}

/// Deletes a draft, cancels a scheduled post, takes anything else off the lists.
#[utoipa::path(
    delete, path = "/posts/{id}", tag = "posts", params(("id" = Uuid, Path)),
    responses((status = 200, description = "What became of it", body = Success<DeletedPost>)),
)]
pub(super) async fn delete(state: web::Data<AppState>, caller: Caller, id: web::Path<PostId>) -> ApiResult {
    let (deleted, position) = remove(&state, &caller, *id).await?;
    Answer::ok(deleted).position(position).respond()
}

/// What became of a post that was to be deleted, and the log's position then.
pub(crate) async fn remove(
    state: &AppState,
    caller: &Caller,
    id: PostId,
) -> Result<(DeletedPost, u64), ApiError> {
    let outcome = commands(state).delete(&caller.context, member(caller), id).await.map_err(failed)?;
    let post = state.bus.load::<Post>(id).await?.state;
    let status = if !post.exists() {
        "deleted"
    } else if post.is_archived() {
        "archived"
    } else {
        "cancelled"
    };
    Ok((DeletedPost { id: id.uuid(), status }, outcome.receipt.position))
}

/// The organization's posts: the calendar with dates, else the newest first.
#[utoipa::path(
    get, path = "/posts", tag = "posts", params(PostsQuery),
    responses((status = 200, description = "A page of posts", body = Success<Vec<PostView>>)),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<PostsQuery>,
) -> ApiResult {
    page(&state, &caller, &query).await
}

/// A channel's posts: the calendar with dates, else the newest first.
#[utoipa::path(
    get, path = "/public/integrations/{id}/posts", tag = "posts", params(("id" = Uuid, Path), PostsQuery),
    responses((status = 200, description = "A page of posts", body = Success<Vec<PostView>>)),
)]
pub(super) async fn of_channel(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
    Query(query): Query<PostsQuery>,
) -> ApiResult {
    let reader = state.reader_for::<Channels>(&caller).await?;
    let channel = channels::get(reader.pool(), caller.organization_id, *id).await?;
    let channel = channel.ok_or_else(|| ApiError::not_found("channel"))?;
    page(&state, &caller, &PostsQuery { channel: Some(channel.id), ..query }).await
}

async fn page(state: &AppState, caller: &Caller, query: &PostsQuery) -> ApiResult {
    let (posts, page) = find_page(state, caller, query).await?;
    Answer::ok(posts).page(page).respond()
}

/// The page that was asked for, of the caller's organization's posts.
pub(crate) async fn find_page(
    state: &AppState,
    caller: &Caller,
    query: &PostsQuery,
) -> Result<(Vec<PostView>, Page), ApiError> {
    let zone = times::zone(state, caller.user_id, query.timezone.as_deref()).await?;
    let (filter, paging) = query.filter(&zone).map_err(ApiError::validation)?;
    let (posts, total) = find(state, caller, &filter, paging).await?;
    Ok((posts, Page::of(total, paging.page, paging.per_page)))
}

/// A page of the caller's organization's posts, and how many there are.
pub(crate) async fn find(
    state: &AppState,
    caller: &Caller,
    filter: &PostFilter,
    paging: Paging,
) -> Result<(Vec<PostView>, u64), ApiError> {
    let reader = readers(state, caller).await?;
    let organization = caller.organization_id;
    let (found, total) = posts::list(reader.pool(), organization, filter, paging).await?;
    let names = names(reader, organization, &found).await?;
    Ok((found.iter().map(|post| view(post, &names)).collect(), total))
}

/// The next posts after one, in the order in which they were written, and the last of them.
pub(super) async fn after(
    state: &AppState,
    caller: &Caller,
    filter: &PostFilter,
    seen: Option<Seen>,
    limit: i64,
) -> Result<(Vec<PostView>, Option<Seen>), ApiError> {
    let (reader, organization) = (&state.reader, caller.organization_id);
    let found = posts::after(reader.pool(), organization, filter, seen, limit).await?;
    let names = names(reader, organization, &found).await?;
    let last = found.last().map(|post| Seen { created_at: post.created_at, id: post.id }).or(seen);
    Ok((found.iter().map(|post| view(post, &names)).collect(), last))
}

/// One post, with where it stands on each channel.
#[utoipa::path(
    get, path = "/posts/{id}", tag = "posts", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The post", body = Success<PostView>)),
)]
pub(super) async fn show(state: web::Data<AppState>, caller: Caller, id: web::Path<PostId>) -> ApiResult {
    let post = get(&state, &caller, *id).await?;
    let version = post.version;
    Answer::ok(post).version(version).respond()
}

/// One post of the caller's organization.
pub(crate) async fn get(state: &AppState, caller: &Caller, id: PostId) -> Result<PostView, ApiError> {
    let reader = readers(state, caller).await?;
    let organization = caller.organization_id;
    let found = posts::get(reader.pool(), organization, id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("post"))?;
    let names = names(reader, organization, std::slice::from_ref(&found)).await?;
    Ok(view(&found, &names))
}

pub(crate) fn commands(state: &AppState) -> Commands {
    Commands::new(state.bus.clone(), state.platforms.clone())
}

/// A command's answer: the post as the write side has it now.
pub(super) async fn written(
    state: &AppState,
    caller: &Caller,
    id: PostId,
    answer: fn(PostView) -> Answer<PostView>,
    position: u64,
) -> ApiResult {
    let post = as_written(state, caller, id).await?;
    let version = post.version;
    answer(post).position(position).version(version).respond()
}

/// The same, with what its author may want to know.
async fn warned(
    state: &AppState,
    caller: &Caller,
    id: PostId,
    answer: fn(PostView) -> Answer<PostView>,
    position: u64,
) -> ApiResult {
    let post = as_written_and_warned(state, caller, id).await?;
    let version = post.version;
    answer(post).position(position).version(version).respond()
}

/// The post as the write side has it now, with what its author may want to know.
pub(crate) async fn as_written_and_warned(
    state: &AppState,
    caller: &Caller,
    id: PostId,
) -> Result<PostView, ApiError> {
    let view = as_written(state, caller, id).await?;
    let post = state.bus.load::<Post>(id).await?.state;
    let warnings = warnings::if_known(state, caller, &Written::of(id, &post)).await;
    Ok(PostView { warnings, ..view })
}

/// The post as the write side has it now.
pub(crate) async fn as_written(state: &AppState, caller: &Caller, id: PostId) -> Result<PostView, ApiError> {
    let loaded = state.bus.load::<Post>(id).await?;
    let names = Names::of_written(&state.bus, caller.organization_id, &loaded.state).await?;
    Ok(PostView::of(id, &loaded.state, loaded.version, &names))
}

/// All read models that a post's view is joined from.
pub(super) async fn readers<'s>(state: &'s AppState, who: &impl Reads) -> Result<&'s Reader, ApiError> {
    state.reader_for::<Users>(who).await?;
    state.reader_for::<Channels>(who).await?;
    state.reader_for::<Tags>(who).await?;
    state.reader_for::<Series>(who).await?;
    state.reader_for::<PostOrigins>(who).await?;
    state.reader_for::<Posts>(who).await
}

async fn names(
    reader: &Reader,
    organization: OrganizationId,
    found: &[posts::PostView],
) -> Result<Names, ApiError> {
    let mut channel_ids: Vec<IntegrationId> =
        found.iter().flat_map(|found| found.post.composition().channels()).collect();
    channel_ids.sort_unstable();
    channel_ids.dedup();
    let authors: Vec<Uuid> = found.iter().map(|found| found.post.author().uuid()).collect();
    let pool = reader.pool();
    let in_series = found.iter().filter_map(|found| found.post.occurrence());
    let in_series: Vec<_> = in_series.map(|occurrence| occurrence.series_id).collect();
    let series = match in_series.is_empty() {
        true => BTreeMap::new(),
        false => series::states(pool, organization, &in_series).await?,
    };
    let channels = channels::named(pool, organization, &channel_ids).await?;
    let tags = tags::named(pool, organization).await?;
    Ok(Names {
        channels: channels
            .into_iter()
            .map(|(id, channel)| (id, ChannelName { platform: channel.platform, name: channel.name }))
            .collect(),
        tags: tags.into_iter().map(|(id, tag)| (id, tag.into())).collect(),
        people: people::names(pool, &authors).await?,
        series,
    })
}

fn view(found: &posts::PostView, names: &Names) -> PostView {
    PostView {
        created_at: Some(found.created_at),
        updated_at: Some(found.updated_at),
        source: found.source.clone(),
        ..PostView::of(found.id, &found.post, found.version, names)
    }
}

impl PostsQuery {
    pub(super) fn filter(&self, zone: &TimeZone) -> Result<(PostFilter, Paging), Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut moment = |field, text: Option<&String>, end| {
            times::moment(field, text.map(String::as_str), zone, end).unwrap_or_else(|error| {
                errors.push(error);
                None
            })
        };
        let from = moment("startDate", self.start_date.as_ref(), End::From);
        let to = moment("endDate", self.end_date.as_ref(), End::To);
        let statuses = statuses(self.status.as_deref()).unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        let source = source(self.source.as_deref()).unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        if self.q.as_ref().is_some_and(|q| q.chars().count() > SEARCH_CHARS_MAX) {
            errors.push(FieldError::new("q", format!("must have at most {SEARCH_CHARS_MAX} characters")));
        }
        let (page, per_page) = (self.page.unwrap_or(1), self.per_page.unwrap_or(PER_PAGE));
        if !(1..=PAGE_MAX).contains(&page) {
            errors.push(FieldError::new("page", format!("must be between 1 and {PAGE_MAX}")));
        }
        if !(1..=PER_PAGE_MAX).contains(&per_page) {
            errors.push(FieldError::new("perPage", format!("must be between 1 and {PER_PAGE_MAX}")));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let filter = PostFilter {
            from,
            to,
            statuses,
            channel: self.channel.map(IntegrationId::new),
            tag: self.tag.map(TagId::new),
            author: self.author.map(UserId::new),
            series: self.series.map(SeriesId::new),
            source,
            text: self.q.clone().filter(|q| !q.trim().is_empty()),
        };
        Ok((filter, Paging { page, per_page }))
    }
}

fn source(text: Option<&str>) -> Result<Option<Source>, FieldError> {
    const ALL: [Source; 4] = [Source::Web, Source::Api, Source::Mcp, Source::Worker];
    let Some(text) = text else { return Ok(None) };
    let found = ALL.into_iter().find(|source| source.as_str().eq_ignore_ascii_case(text));
    found.map(Some).ok_or_else(|| {
        FieldError::new("source", format!("must be one of {}", ALL.map(Source::as_str).join(", ")))
    })
}

fn statuses(text: Option<&str>) -> Result<Vec<PostStatus>, FieldError> {
    let names = text.into_iter().flat_map(|text| text.split(',')).map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(|name| {
            PostStatus::ALL.into_iter().find(|status| status.as_str() == name).ok_or_else(|| {
                let all = PostStatus::ALL.map(PostStatus::as_str).join(", ");
                FieldError::new("status", format!("must be of {all}"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(query: PostsQuery) -> Vec<String> {
        let errors = query.filter(&TimeZone::default()).err().unwrap_or_default();
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn everything_wrong_with_a_query_is_said_at_once() {
        let query = PostsQuery {
            start_date: Some("soon".into()),
            end_date: Some("later".into()),
            status: Some("scheduled,lost".into()),
            source: Some("FAX".into()),
            q: Some("x".repeat(201)),
            page: Some(0),
            per_page: Some(101),
            ..PostsQuery::default()
        };
        assert_eq!(fields(query), ["startDate", "endDate", "status", "source", "q", "page", "perPage"]);
        assert_eq!(fields(PostsQuery::default()), Vec::<String>::new());
    }

    #[test]
    fn several_statuses_stand_between_commas() {
        let both = statuses(Some("draft, partly_published")).ok();
        assert_eq!(both, Some(vec![PostStatus::Draft, PostStatus::PartlyPublished]));
        assert_eq!(statuses(None).ok(), Some(Vec::new()));
    }
}
