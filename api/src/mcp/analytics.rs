//! The tool `analytics`: the routes of `/analytics` and a post's statistics in one.

use annals_domain::kernel::{IntegrationId, PostId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    http::{ApiError, Caller},
    publishing::{
        figures::{self, FiguresQuery, PeriodQuery, RankingQueryInput, Span},
        overview::{self, OverviewQuery},
    },
    state::AppState,
};

/// Which figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Report {
    /// Posts by status, day and channel; followers and engagement of all channels together.
    Overview,
    /// One channel, by its id.
    Integration,
    /// Published posts by how they were received, the best first.
    Posts,
    /// Likes, comments, shares, clicks and impressions by day, of all channels or one.
    Engagement,
    /// One post, by its id.
    Post,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AnalyticsInput {
    report: Report,
    /// The channel's (`integration`) or the post's (`post`).
    id: Option<Uuid>,
    /// A day such as 2026-05-01; the last 30 days if dates are left out.
    start_date: Option<String>,
    /// The last day, which is within. At most 366 days from `startDate`.
    end_date: Option<String>,
    /// Whose days are meant; the user's own if it is left out.
    timezone: Option<String>,
    /// `day` (or left out), `week` or `month`. Not of `overview` and `posts`.
    granularity: Option<String>,
    /// Only of this channel. Of `posts`, `engagement` and `post`.
    integration: Option<Uuid>,
    /// Of `posts`: `engagements` (or left out), `likes`, `comments`, `shares`, `clicks`, `impressions`, `engagementRate` or
    /// `publishedAt`.
    sort: Option<String>,
    /// Of `posts`: `desc` (or left out) or `asc`.
    order: Option<String>,
    /// Of `posts`, from 1.
    page: Option<u64>,
    /// Of `posts`, at most 100; 20 if it is left out.
    per_page: Option<u64>,
}

/// What was asked for, with the right that the routes ask for.
pub(super) async fn report(
    state: &AppState,
    caller: &Caller,
    input: AnalyticsInput,
) -> Result<Value, ApiError> {
    caller.require("analytics", "read")?;
    input.check()?;
    let AnalyticsInput { start_date, end_date, timezone, granularity, integration, .. } = input;
    match input.report {
        Report::Overview => {
            let query = OverviewQuery { start_date, end_date, timezone };
            written(&overview::of(state, caller, &query).await?)
        }
        Report::Integration => {
            let id = IntegrationId::new(named(input.id)?);
            let query = PeriodQuery { start_date, end_date, timezone, granularity };
            let span = Span::of(state, caller, query.asked()).await?;
            written(&figures::of_channel(state, caller, id, &span).await?)
        }
        Report::Engagement => {
            let query = FiguresQuery { start_date, end_date, timezone, granularity, integration };
            let span = Span::of(state, caller, query.asked()).await?;
            written(&figures::trends(state, caller, &span, integration.map(IntegrationId::new)).await?)
        }
        Report::Post => {
            let query = FiguresQuery { start_date, end_date, timezone, granularity, integration };
            written(&figures::of_post(state, caller, PostId::new(named(input.id)?), &query).await?)
        }
        Report::Posts => {
            let AnalyticsInput { sort, order, page, per_page, .. } = input;
            let query = RankingQueryInput {
                start_date,
                end_date,
                timezone,
                integration,
                sort,
                order,
                page,
                per_page,
            };
            let (posts, page) = figures::best(state, caller, &query).await?;
            Ok(json!({"posts": written(&posts)?, "page": written(&page)?}))
        }
    }
}

impl AnalyticsInput {
    /// What a report does not take is not passed over: whoever gave it meant something by it.
    fn check(&self) -> Result<(), ApiError> {
        let is_ranked = self.report == Report::Posts;
        let is_one = matches!(self.report, Report::Integration | Report::Post);
        let is_series = matches!(self.report, Report::Integration | Report::Engagement | Report::Post);
        let may_narrow = matches!(self.report, Report::Posts | Report::Engagement | Report::Post);
        let given = [
            ("id", self.id.is_some(), is_one),
            ("granularity", self.granularity.is_some(), is_series),
            ("integration", self.integration.is_some(), may_narrow),
            ("sort", self.sort.is_some(), is_ranked),
            ("order", self.order.is_some(), is_ranked),
            ("page", self.page.is_some(), is_ranked),
            ("perPage", self.per_page.is_some(), is_ranked),
        ];
        match given.into_iter().find(|(_, is_given, is_taken)| *is_given && !is_taken) {
            Some((field, _, _)) => Err(ApiError::field(field, "is not taken by this report")),
            None => Ok(()),
        }
    }
}

fn named(id: Option<Uuid>) -> Result<Uuid, ApiError> {
    id.ok_or_else(|| ApiError::field("id", "is required"))
}

fn written(value: &impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value).map_err(|error| ApiError::internal(&error))
}
