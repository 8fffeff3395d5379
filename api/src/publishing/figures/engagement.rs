//! `GET /analytics/engagement`.

use actix_web::web;
use annals_domain::kernel::IntegrationId;
use annals_projections::publishing::{Channels, Figures as Model, Posts, channels, figures::Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    days::{self, Figures},
    span::{Asked, Span},
    views::{PointView, SpanView, TotalsView},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

#[derive(Debug, Default, Deserialize, IntoParams, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct FiguresQuery {
    /// A day, or a time on it; 29 days before `endDate` if it is left out.
    pub start_date: Option<String>,
    /// A day, or a time on it, which is within; today if it is left out. At most 366 days from `startDate`.
    pub end_date: Option<String>,
    /// Whose days are meant; the user's own if it is left out.
    pub timezone: Option<String>,
    /// What a point of the series stands for: `day` (or left out), `week` or `month`.
    pub granularity: Option<String>,
    /// Only of this channel.
    pub integration: Option<Uuid>,
}

impl FiguresQuery {
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked {
            start_date: self.start_date.as_deref(),
            end_date: self.end_date.as_deref(),
            timezone: self.timezone.as_deref(),
            granularity: self.granularity.as_deref(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EngagementView {
    pub period: SpanView,
    /// In the period, beside the one before.
    pub totals: TotalsView,
    pub series: Vec<PointView>,
}

/// How posts are received: trends of a channel, or of all.
#[utoipa::path(
    get, path = "/analytics/engagement", tag = "analytics", params(FiguresQuery),
    responses((status = 200, description = "The figures", body = Success<EngagementView>)),
)]
pub(in crate::publishing) async fn engagement(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<FiguresQuery>,
) -> ApiResult {
    let span = Span::of(&state, &caller, query.asked()).await?;
    let channel = query.integration.map(IntegrationId::new);
    Answer::ok(trends(&state, &caller, &span, channel).await?).respond()
}

/// Trends of the caller's organization, or of one of its channels.
pub(crate) async fn trends(
    state: &AppState,
    caller: &Caller,
    span: &Span,
    channel: Option<IntegrationId>,
) -> Result<EngagementView, ApiError> {
    state.reader_for::<Channels>(caller).await?;
    state.reader_for::<Posts>(caller).await?;
    let pool = state.reader_for::<Model>(caller).await?.pool();
    let organization = caller.organization_id;
    if let Some(id) = channel {
        channels::get(pool, organization, id).await?.ok_or_else(|| ApiError::not_found("channel"))?;
    }
    let scope = Scope { organization, channel, post: None };
    let days = days::of_channels(state, pool, scope, span).await?;
    let before = days::of_channels(state, pool, scope, &span.before()).await?;
    Ok(EngagementView {
        period: SpanView::from(span),
        totals: TotalsView::of(&Figures::total(&days), &Figures::total(&before)),
        series: days::points(&days, span).into_iter().map(PointView::from).collect(),
    })
}
