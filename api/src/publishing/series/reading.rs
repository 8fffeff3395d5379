//! Series as they stand: the rule, the state, what is next, and their posts.

use actix_web::web;
use annals_domain::{kernel::SeriesId, publishing::SeriesStatus};
use annals_projections::{
    identity::Users,
    publishing::{
        Posts, Series, people,
        posts::PostFilter,
        series::{self, Occurrences, SeriesRow},
    },
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::SeriesPostView;
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Page, Query, answer::Success},
    publishing::{
        paging::paging,
        posts,
        views::{AuthorView, PostView},
    },
    state::AppState,
};

/// Occurrences that are told as the next ones.
const NEXT_MAX: i64 = 5;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesQuery {
    /// `active`, `paused` or `ended`.
    status: Option<String>,
    /// From 1.
    page: Option<u64>,
    /// At most 100; 20 if it is left out.
    per_page: Option<u64>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesPostsQuery {
    /// Of its posts, from 1.
    page: Option<u64>,
    /// At most 100; 20 if it is left out.
    per_page: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SeriesSummary {
    pub id: Uuid,
    /// `active`, `paused` or `ended`.
    pub status: String,
    /// RFC 5545.
    pub recurrence: String,
    /// By whose clocks it is read.
    pub timezone: String,
    /// The first moment from which it may occur.
    pub starts_at: DateTime<Utc>,
    pub author: AuthorView,
    /// Its posts by status, archived ones left out.
    pub counts: BTreeMap<String, u64>,
    /// The next occurrences, at most five. While it is paused they are drafts.
    pub next: Vec<SeriesPostView>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The ETag.
    pub version: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeriesDetail {
    #[serde(flatten)]
    pub series: SeriesSummary,
    /// A page of its posts, by time; also those that were published, failed or were cancelled.
    pub posts: Vec<PostView>,
}

/// The organization's series, the newest first.
#[utoipa::path(
    get, path = "/posts/series", tag = "posts", params(SeriesQuery),
    responses((status = 200, description = "A page of series", body = Success<Vec<SeriesSummary>>)),
)]
pub(crate) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<SeriesQuery>,
) -> ApiResult {
    let paging = paging(query.page, query.per_page)?;
    let status = query.status.as_deref().map(status_of).transpose()?;
    let pool = state.reader_for::<Series>(&caller).await?.pool();
    let (found, total) = series::list(pool, caller.organization_id, status, paging).await?;
    let summaries = summaries(&state, &caller, found).await?;
    Answer::ok(summaries).page(Page::of(total, paging.page, paging.per_page)).respond()
}

/// A series: its rule, its state, what is next, and a page of its posts.
#[utoipa::path(
    get, path = "/posts/series/{id}", tag = "posts", params(("id" = Uuid, Path), SeriesPostsQuery),
    responses((status = 200, description = "The series", body = Success<SeriesDetail>)),
)]
pub(crate) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<SeriesId>,
    Query(query): Query<SeriesPostsQuery>,
) -> ApiResult {
    let paging = paging(query.page, query.per_page)?;
    let pool = state.reader_for::<Series>(&caller).await?.pool();
    let found = series::get(pool, caller.organization_id, *id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("series"))?;
    let version = found.version;
    let summary = summaries(&state, &caller, vec![found]).await?.pop();
    let series = summary.ok_or_else(|| ApiError::not_found("series"))?;
    let filter = PostFilter { series: Some(*id), ..PostFilter::default() };
    let (posts, total) = posts::find(&state, &caller, &filter, paging).await?;
    Answer::ok(SeriesDetail { series, posts })
        .page(Page::of(total, paging.page, paging.per_page))
        .version(version)
        .respond()
}

fn status_of(text: &str) -> Result<SeriesStatus, ApiError> {
    [SeriesStatus::Active, SeriesStatus::Paused, SeriesStatus::Ended]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| ApiError::field("status", "must be one of active, paused, ended"))
}

async fn summaries(
    state: &AppState,
    caller: &Caller,
    found: Vec<SeriesRow>,
) -> Result<Vec<SeriesSummary>, ApiError> {
    state.reader_for::<Users>(caller).await?;
    let pool = state.reader_for::<Posts>(caller).await?.pool();
    let ids: Vec<Uuid> = found.iter().map(|row| row.id).collect();
    let authors: Vec<Uuid> = found.iter().map(|row| row.author_id).collect();
    let now = state.bus.now();
    let mut all = series::occurrences(pool, caller.organization_id, &ids, now, NEXT_MAX).await?;
    let people = people::names(pool, &authors).await?;
    let summary = |row: SeriesRow| {
        let Occurrences { by_status, next } = all.remove(&row.id).unwrap_or_default();
        let next = next.into_iter().map(|ahead| SeriesPostView {
            id: ahead.post.uuid(),
            scheduled_at: Some(ahead.at),
            status: ahead.status,
        });
        SeriesSummary {
            id: row.id,
            status: row.status,
            recurrence: row.rule,
            timezone: row.zone,
            starts_at: row.starts_at,
            author: AuthorView { id: row.author_id, name: people.get(&row.author_id).cloned() },
            counts: by_status,
            next: next.collect(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    };
    Ok(found.into_iter().map(summary).collect())
}
