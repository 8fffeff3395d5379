//! `GET /analytics/integration/{id}`.

use actix_web::web;
use annals_domain::kernel::IntegrationId;
use annals_projections::publishing::{Channels, Figures as Model, channels, figures};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    engagement::{EngagementView, trends},
    span::{Asked, Span},
    state::StateView,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

#[derive(Debug, Default, Deserialize, IntoParams, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct PeriodQuery {
    /// A day, or a time on it; 29 days before `endDate` if it is left out.
    pub start_date: Option<String>,
    /// A day, or a time on it, which is within; today if it is left out. At most 366 days from `startDate`.
    pub end_date: Option<String>,
    /// Whose days are meant; the user's own if it is left out.
    pub timezone: Option<String>,
    /// What a point of the series stands for: `day` (or left out), `week` or `month`.
    pub granularity: Option<String>,
}

impl PeriodQuery {
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
pub(crate) struct IntegrationFiguresView {
    /// The channel's.
    pub id: Uuid,
    pub platform: String,
    pub name: String,
    pub state: StateView,
    pub account: AccountView,
    #[serde(flatten)]
    pub trends: EngagementView,
}

/// An account, as the platform counted last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AccountView {
    pub followers: Option<i64>,
    /// Accounts that it follows.
    pub following: Option<i64>,
    /// Whoever wrote them.
    pub posts: Option<i64>,
}

/// What a channel's platform counts of its account and of its posts.
#[utoipa::path(
    get, path = "/analytics/integration/{id}", tag = "analytics", params(("id" = Uuid, Path), PeriodQuery),
    responses((status = 200, description = "The figures", body = Success<IntegrationFiguresView>)),
)]
pub(in crate::publishing) async fn integration(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
    Query(query): Query<PeriodQuery>,
) -> ApiResult {
    let span = Span::of(&state, &caller, query.asked()).await?;
    Answer::ok(of_channel(&state, &caller, *id, &span).await?).respond()
}

/// A channel of the caller's organization.
pub(crate) async fn of_channel(
    state: &AppState,
    caller: &Caller,
    id: IntegrationId,
    span: &Span,
) -> Result<IntegrationFiguresView, ApiError> {
    state.reader_for::<Channels>(caller).await?;
    let pool = state.reader_for::<Model>(caller).await?.pool();
    let channel = channels::get(pool, caller.organization_id, id).await?;
    let channel = channel.ok_or_else(|| ApiError::not_found("channel"))?;
    let account = figures::of_channels(pool, caller.organization_id, Some(id)).await?.pop();
    let known = account.as_ref().map(|account| AccountView {
        followers: account.followers,
        following: account.following,
        posts: account.posts,
    });
    Ok(IntegrationFiguresView {
        state: StateView::of_channel(&state.platforms, &channel, account.as_ref()),
        id: channel.id,
        platform: channel.platform,
        name: channel.name,
        account: known.unwrap_or_default(),
        trends: trends(state, caller, span, Some(id)).await?,
    })
}
