//! `/notifications`: a person's own, in the organization that they act for.

use std::collections::BTreeMap;

use actix_web::web;
use annals_commands::engagement::{Facts, Notifications as Commands, Words};
use annals_domain::{
    engagement::{Mark, NotificationKind},
    kernel::NotificationId,
};
use annals_projections::{
    engagement::{self, NotificationFilter, NotificationRow, Notifications},
    identity::Users,
    publishing::{Channels, Posts, people, posts::Paging},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::inbox_of;
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, FieldError, MaybeBody, Page, Query, answer::Success},
    state::AppState,
};

const PER_PAGE: u64 = 20;
const PER_PAGE_MAX: u64 = 100;
/// Beyond what is kept.
const PAGE_MAX: u64 = 1_000;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct NotificationsQuery {
    /// Only what is not read yet.
    pub(crate) unread: Option<bool>,
    /// From 1.
    pub(crate) page: Option<u64>,
    /// At most 100; 20 if it is left out.
    pub(crate) per_page: Option<u64>,
}

impl NotificationsQuery {
    fn parse(&self) -> Result<(NotificationFilter, Paging), ApiError> {
        let (page, per_page) = (self.page.unwrap_or(1), self.per_page.unwrap_or(PER_PAGE));
        let mut errors = Vec::new();
        if !(1..=PAGE_MAX).contains(&page) {
            errors.push(FieldError::new("page", format!("must be between 1 and {PAGE_MAX}")));
        }
        if !(1..=PER_PAGE_MAX).contains(&per_page) {
            errors.push(FieldError::new("perPage", format!("must be between 1 and {PER_PAGE_MAX}")));
        }
        if !errors.is_empty() {
            return Err(ApiError::validation(errors));
        }
        let filter = NotificationFilter { only_unread: self.unread.unwrap_or(false) };
        Ok((filter, Paging { page, per_page }))
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NotificationView {
    pub(crate) id: Uuid,
    /// `post_failed`, `channel_lost_access`, …
    pub(crate) kind: String,
    pub(crate) title: String,
    /// Whole sentences.
    pub(crate) text: String,
    pub(crate) reason: Option<String>,
    pub(crate) what_to_do: Option<String>,
    pub(crate) is_read: bool,
    /// When the person was told.
    pub(crate) at: DateTime<Utc>,
    /// When what it tells of happened.
    pub(crate) happened_at: DateTime<Utc>,
    /// Where it stands among the others: for `read-all`.
    pub(crate) position: u64,
    /// The event that it is about.
    pub(crate) event_id: Uuid,
    pub(crate) about: AboutView,
    pub(crate) links: LinksView,
}

/// The ids of what it is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AboutView {
    pub(crate) post_id: Option<Uuid>,
    pub(crate) channel_id: Option<Uuid>,
    pub(crate) member_id: Option<Uuid>,
    pub(crate) media_id: Option<Uuid>,
    pub(crate) series_id: Option<Uuid>,
    /// When a post was due.
    pub(crate) due_at: Option<DateTime<Utc>>,
    /// A member's role.
    pub(crate) role: Option<String>,
}

/// Where to look at what it is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LinksView {
    /// The console's page, for people.
    pub(crate) page: Option<String>,
    /// The path of the API.
    pub(crate) api: Option<String>,
    /// Where a post stands on the platform.
    pub(crate) platform: Option<String>,
}

impl LinksView {
    fn of(row: &NotificationRow) -> Self {
        let api = |what: &str, id: Uuid| format!("/api/v1/{what}/{id}");
        let (page, api) = if let Some(post) = row.post_id {
            (Some(format!("/console/posts/{post}")), Some(api("posts", post)))
        } else if let Some(channel) = row.channel_id {
            (None, Some(api("integrations", channel)))
        } else if let Some(media) = row.media_id {
            (None, Some(api("media", media)))
        } else if row.member_id.is_some() {
            (Some("/console/people".to_string()), None)
        } else {
            (None, None)
        };
        Self { page, api, platform: row.details.url.clone() }
    }
}

/// What a person was told, the newest first. `meta.unread` is how many they have not read.
#[utoipa::path(
    get, path = "/notifications", tag = "notifications", params(NotificationsQuery),
    responses((status = 200, description = "A page of notifications", body = Success<Vec<NotificationView>>)),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<NotificationsQuery>,
) -> ApiResult {
    let (notifications, page) = page(&state, &caller, &query).await?;
    let unread = count_unread(&state, &caller).await?;
    Answer::ok(notifications).page(page).unread(unread).respond()
}

/// The page that was asked for, of the caller's own.
pub(crate) async fn page(
    state: &AppState,
    caller: &Caller,
    query: &NotificationsQuery,
) -> Result<(Vec<NotificationView>, Page), ApiError> {
    let (filter, paging) = query.parse()?;
    let reader = state.reader_for::<Notifications>(caller).await?;
    let (rows, total) = engagement::list(reader.pool(), inbox_of(caller), filter, paging).await?;
    let notifications = views(state, caller, rows).await?;
    Ok((notifications, Page::of(total, paging.page, paging.per_page)))
}

/// How many of the caller's own they have not read.
pub(crate) async fn count_unread(state: &AppState, caller: &Caller) -> Result<u64, ApiError> {
    let reader = state.reader_for::<Notifications>(caller).await?;
    Ok(engagement::unread(reader.pool(), inbox_of(caller)).await?)
}

/// With the names and texts of now.
async fn views(
    state: &AppState,
    caller: &Caller,
    rows: Vec<NotificationRow>,
) -> Result<Vec<NotificationView>, ApiError> {
    state.reader_for::<Users>(caller).await?;
    state.reader_for::<Channels>(caller).await?;
    let pool = state.reader_for::<Posts>(caller).await?.pool();
    let ids = |of: fn(&NotificationRow) -> Option<Uuid>| rows.iter().filter_map(of).collect::<Vec<_>>();
    let contents = engagement::contents(pool, &ids(|row| row.post_id)).await?;
    let channels = engagement::channel_names(pool, &ids(|row| row.channel_id)).await?;
    let members = people::names(pool, &ids(|row| row.member_id)).await?;
    let name = |names: &BTreeMap<Uuid, String>, id: Option<Uuid>| id.and_then(|id| names.get(&id).cloned());
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            // A kind of a newer version of this program is for that one to show.
            let kind: NotificationKind = row.kind.parse().ok()?;
            let facts = Facts {
                channel: name(&channels, row.channel_id),
                content: name(&contents, row.post_id),
                member: name(&members, row.member_id),
                role: row.details.role,
                reason: row.details.reason.clone(),
            };
            Some(view(row, Words::of(kind, &facts)))
        })
        .collect())
}

fn view(row: NotificationRow, words: Words) -> NotificationView {
    NotificationView {
        id: row.id,
        links: LinksView::of(&row),
        kind: row.kind,
        title: words.title,
        text: words.text,
        reason: row.details.reason,
        what_to_do: row.details.what_to_do,
        is_read: row.is_read,
        at: row.at,
        happened_at: row.happened_at,
        position: row.position,
        event_id: row.caused_by,
        about: AboutView {
            post_id: row.post_id,
            channel_id: row.channel_id,
            member_id: row.member_id,
            media_id: row.media_id,
            series_id: row.series_id,
            due_at: row.details.due_at,
            role: row.details.role.map(|role| role.to_string()),
        },
    }
}

/// One of your notifications.
#[utoipa::path(
    get, path = "/notifications/{id}", tag = "notifications", params(("id" = Uuid, Path)),
    responses((status = 200, description = "It", body = Success<NotificationView>)),
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<NotificationId>,
) -> ApiResult {
    Answer::ok(one(&state, &caller, *id).await?).respond()
}

async fn one(state: &AppState, caller: &Caller, id: NotificationId) -> Result<NotificationView, ApiError> {
    let reader = state.reader_for::<Notifications>(caller).await?;
    let row = engagement::get(reader.pool(), inbox_of(caller), id.uuid()).await?;
    let found = views(state, caller, row.into_iter().collect()).await?.into_iter().next();
    found.ok_or_else(|| ApiError::not_found("notification"))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnreadView {
    unread: u64,
}

/// How many you have not read.
#[utoipa::path(
    get, path = "/notifications/unread-count", tag = "notifications",
    responses((status = 200, description = "How many", body = Success<UnreadView>)),
)]
pub(super) async fn unread_count(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    Answer::ok(UnreadView { unread: count_unread(&state, &caller).await? }).respond()
}

/// Marks one as read.
#[utoipa::path(
    post, path = "/notifications/{id}/read", tag = "notifications", params(("id" = Uuid, Path)),
    responses((status = 200, description = "It", body = Success<NotificationView>)),
)]
pub(super) async fn mark_read(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<NotificationId>,
) -> ApiResult {
    marked(&state, caller, *id, Mark::Read).await
}

/// Marks one as unread again.
#[utoipa::path(
    post, path = "/notifications/{id}/unread", tag = "notifications", params(("id" = Uuid, Path)),
    responses((status = 200, description = "It", body = Success<NotificationView>)),
)]
pub(super) async fn mark_unread(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<NotificationId>,
) -> ApiResult {
    marked(&state, caller, *id, Mark::Unread).await
}

async fn marked(state: &AppState, caller: Caller, id: NotificationId, mark: Mark) -> ApiResult {
    let position = mark_one(state, &caller, id, mark).await?;
    let caller = caller.having_written(position);
    Answer::ok(one(state, &caller, id).await?).position(position).respond()
}

/// The position of what was recorded.
pub(crate) async fn mark_one(
    state: &AppState,
    caller: &Caller,
    id: NotificationId,
    mark: Mark,
) -> Result<u64, ApiError> {
    let commands = Commands::new(state.bus.clone());
    let outcome = commands.mark(&caller.context, inbox_of(caller), id, mark).await?;
    Ok(outcome.receipt.position)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct ReadAllBody {
    /// The position of the newest that you mean: what arrived since stays unread. All that there are by
    /// then if it is left out.
    pub(super) up_to: Option<u64>,
}

/// Marks all as read, or all up to one.
#[utoipa::path(
    post, path = "/notifications/read-all", tag = "notifications", request_body = Option<ReadAllBody>,
    responses((status = 200, description = "How many are left unread", body = Success<UnreadView>)),
)]
pub(super) async fn read_all(
    state: web::Data<AppState>,
    caller: Caller,
    MaybeBody(body): MaybeBody<ReadAllBody>,
) -> ApiResult {
    let up_to = body.unwrap_or_default().up_to;
    let position = read_up_to(&state, &caller, up_to).await?;
    let caller = caller.having_written(position);
    let unread = count_unread(&state, &caller).await?;
    Answer::ok(UnreadView { unread }).position(position).respond()
}

/// The position of what was recorded.
pub(crate) async fn read_up_to(
    state: &AppState,
    caller: &Caller,
    up_to: Option<u64>,
) -> Result<u64, ApiError> {
    if up_to.is_some_and(|position| position == 0 || position > i64::MAX.cast_unsigned()) {
        return Err(ApiError::field("upTo", "must be the position of a notification"));
    }
    let commands = Commands::new(state.bus.clone());
    let outcome = commands.read_all(&caller.context, inbox_of(caller), up_to).await?;
    Ok(outcome.receipt.position)
}
