//! `GET /analytics/posts`.

use actix_web::web;
use annals_domain::kernel::IntegrationId;
use annals_projections::publishing::{
    Channels, Figures as Model, Posts, channels,
    figures::{Ranked, RankingQuery, SortBy, ranking},
    posts::Paging,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    span::{Asked, Span},
    views::CountsView,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, FieldError, Page, Query, answer::Success},
    state::AppState,
};

const PER_PAGE: u64 = 20;
const PER_PAGE_MAX: u64 = 100;
const PAGE_MAX: u64 = 100_000;
/// Characters of a post that are shown.
const EXCERPT_CHARS_MAX: usize = 200;

#[derive(Debug, Default, Deserialize, IntoParams, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct RankingQueryInput {
    /// Published on that day or later: a day, or a time on it; 29 days before `endDate` if it is left out.
    pub start_date: Option<String>,
    /// Published on that day or before; today if it is left out. At most 366 days from `startDate`.
    pub end_date: Option<String>,
    /// Whose days are meant; the user's own if it is left out.
    pub timezone: Option<String>,
    /// Only on this channel.
    pub integration: Option<Uuid>,
    /// `engagements` (or left out), `likes`, `comments`, `shares`, `clicks`, `impressions`, `engagementRate` or
    /// `publishedAt`.
    pub sort: Option<String>,
    /// `desc` (or left out) or `asc`. What has no such figure stands last.
    pub order: Option<String>,
    /// From 1.
    pub page: Option<u64>,
    /// At most 100; 20 if it is left out.
    pub per_page: Option<u64>,
}

/// A post and what platforms count of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RankedView {
    pub id: Uuid,
    /// The first 200 characters of its texts.
    pub content: String,
    /// On the first of its channels.
    pub published_at: DateTime<Utc>,
    /// The channels on which it is counted.
    pub integrations: Vec<Uuid>,
    /// Since it was published.
    pub totals: CountsView,
}

/// Published posts by how they were received. A post that no platform counts is not among them.
#[utoipa::path(
    get, path = "/analytics/posts", tag = "analytics", params(RankingQueryInput),
    responses((status = 200, description = "A page of posts", body = Success<Vec<RankedView>>)),
)]
pub(in crate::publishing) async fn posts(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<RankingQueryInput>,
) -> ApiResult {
    let (posts, page) = best(&state, &caller, &query).await?;
    Answer::ok(posts).page(page).respond()
}

/// A page of the caller's organization's posts.
pub(crate) async fn best(
    state: &AppState,
    caller: &Caller,
    input: &RankingQueryInput,
) -> Result<(Vec<RankedView>, Page), ApiError> {
    let asked = Asked {
        start_date: input.start_date.as_deref(),
        end_date: input.end_date.as_deref(),
        timezone: input.timezone.as_deref(),
        granularity: None,
    };
    let span = Span::of(state, caller, asked).await?;
    let (sort, is_ascending, paging) = input.order().map_err(ApiError::validation)?;
    state.reader_for::<Channels>(caller).await?;
    state.reader_for::<Posts>(caller).await?;
    let pool = state.reader_for::<Model>(caller).await?.pool();
    let channel = input.integration.map(IntegrationId::new);
    if let Some(id) = channel {
        let found = channels::get(pool, caller.organization_id, id).await?;
        found.ok_or_else(|| ApiError::not_found("channel"))?;
    }
    let query = RankingQuery { channel, period: span.period()?, sort, is_ascending, paging };
    let (ranked, total) = ranking(pool, caller.organization_id, &query).await?;
    let page = Page::of(total, paging.page, paging.per_page);
    Ok((ranked.into_iter().map(RankedView::from).collect(), page))
}

impl RankingQueryInput {
    fn order(&self) -> Result<(SortBy, bool, Paging), Vec<FieldError>> {
        let mut errors = Vec::new();
        let sort = match self.sort.as_deref() {
            None => SortBy::default(),
            Some(name) => SortBy::ALL.into_iter().find(|sort| sort.as_str() == name).unwrap_or_else(|| {
                let all = SortBy::ALL.map(SortBy::as_str).join(", ");
                errors.push(FieldError::new("sort", format!("must be one of {all}")));
                SortBy::default()
            }),
        };
        let is_ascending = match self.order.as_deref() {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => {
                errors.push(FieldError::new("order", "must be asc or desc"));
                false
            }
        };
        let (page, per_page) = (self.page.unwrap_or(1), self.per_page.unwrap_or(PER_PAGE));
        if !(1..=PAGE_MAX).contains(&page) {
            errors.push(FieldError::new("page", format!("must be between 1 and {PAGE_MAX}")));
        }
        if !(1..=PER_PAGE_MAX).contains(&per_page) {
            errors.push(FieldError::new("perPage", format!("must be between 1 and {PER_PAGE_MAX}")));
        }
        if errors.is_empty() { Ok((sort, is_ascending, Paging { page, per_page })) } else { Err(errors) }
    }
}

impl From<Ranked> for RankedView {
    fn from(ranked: Ranked) -> Self {
        Self {
            id: ranked.post_id,
            content: ranked.content.chars().take(EXCERPT_CHARS_MAX).collect(),
            published_at: ranked.published_at,
            integrations: ranked.channels,
            totals: CountsView::of(ranked.totals, None),
        }
    }
}
