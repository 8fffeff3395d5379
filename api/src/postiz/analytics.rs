//! What platforms count, by day, as Postiz's clients read it.

use actix_web::{HttpResponse, web};
use annals_domain::kernel::{IntegrationId, PostId};
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    http::{ApiError, ApiResult, Caller},
    publishing::{
        figures::{self, Asked, ComparedCount, CountsView, FiguresQuery, PointView, Span},
        times,
    },
    state::AppState,
};

const DAYS: u64 = 30;
const DAYS_MAX: u64 = 366;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AnalyticsQuery {
    /// So many days, today included: 7, 30, 90; 30 if it is left out.
    date: Option<String>,
}

/// One figure by day. Days on which it is not known are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metric {
    label: &'static str,
    data: Vec<Total>,
    /// Since as many days before; null where it can't be said.
    percentage_change: Option<f64>,
}

/// What was added on a day.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Total {
    /// A number, as Postiz writes it.
    total: String,
    date: NaiveDate,
}

/// A channel's figures by day. What its platform does not give is left out.
#[utoipa::path(
    get, path = "/public/v1/analytics/{id}", tag = "postiz", params(("id" = Uuid, Path), AnalyticsQuery),
    responses((status = 200, description = "By figure", body = Vec<Metric>)),
)]
pub(super) async fn of_channel(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
    query: web::Query<AnalyticsQuery>,
) -> ApiResult {
    let days = query.days()?;
    let (start, _) = dates(&state, &caller, days).await?;
    let span = Span::of(&state, &caller, Asked { start_date: Some(&start), ..Asked::default() }).await?;
    let trends = figures::of_channel(&state, &caller, *id, &span).await?.trends;
    let (series, totals) = (trends.series, trends.totals);
    type Of = fn(&PointView) -> Option<i64>;
    let figures: [(&'static str, ComparedCount, Of); 7] = [
        ("Follower growth", totals.follower_growth, |point| point.follower_growth),
        ("Impressions", totals.impressions, |point| point.counts.impressions),
        ("Likes", totals.likes, |point| point.counts.likes),
        ("Comments", totals.comments, |point| point.counts.comments),
        ("Shares", totals.shares, |point| point.counts.shares),
        ("Clicks", totals.clicks, |point| point.counts.clicks),
        ("Engagements", totals.engagements, |point| point.counts.engagements),
    ];
    let metrics = figures.into_iter().map(|(label, compared, of)| Metric {
        label,
        data: data(series.iter().map(|point| (point.date, of(point)))),
        percentage_change: compared.percentage_change,
    });
    let metrics: Vec<Metric> = metrics.filter(|metric| !metric.data.is_empty()).collect();
    Ok(HttpResponse::Ok().json(metrics))
}

/// A post's figures by day; of what goes to one channel (`<post>_<channel>`), or of all.
#[utoipa::path(
    get, path = "/public/v1/analytics/post/{id}", tag = "postiz", params(("id" = String, Path), AnalyticsQuery),
    responses((status = 200, description = "By figure", body = Vec<Metric>)),
)]
pub(super) async fn of_post(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<String>,
    query: web::Query<AnalyticsQuery>,
) -> ApiResult {
    let days = query.days()?;
    let (post, channel) = match id.split_once('_') {
        None => (id.as_str(), None),
        Some((post, channel)) => (post, Some(channel)),
    };
    let not_found = || ApiError::not_found("post");
    let post: PostId = post.parse().map_err(|_| not_found())?;
    let integration: Option<Uuid> = channel.map(str::parse).transpose().map_err(|_| not_found())?;
    let (start, end) = dates(&state, &caller, days).await?;
    let asked =
        FiguresQuery { start_date: Some(start), end_date: Some(end), integration, ..FiguresQuery::default() };
    let series = figures::of_post(&state, &caller, post, &asked).await?.series;
    type Of = fn(&CountsView) -> Option<i64>;
    let figures: [(&'static str, Of); 6] = [
        ("Impressions", |counts| counts.impressions),
        ("Likes", |counts| counts.likes),
        ("Comments", |counts| counts.comments),
        ("Shares", |counts| counts.shares),
        ("Clicks", |counts| counts.clicks),
        ("Engagements", |counts| counts.engagements),
    ];
    let metrics = figures.into_iter().map(|(label, of)| Metric {
        label,
        data: data(series.iter().map(|point| (point.date, of(&point.counts)))),
        percentage_change: None,
    });
    let metrics: Vec<Metric> = metrics.filter(|metric| !metric.data.is_empty()).collect();
    Ok(HttpResponse::Ok().json(metrics))
}

fn data(days: impl Iterator<Item = (NaiveDate, Option<i64>)>) -> Vec<Total> {
    days.filter_map(|(date, total)| Some(Total { total: total?.to_string(), date })).collect()
}

/// The first and the last of the days that are asked for.
async fn dates(state: &AppState, caller: &Caller, days: u64) -> Result<(String, String), ApiError> {
    let zone = times::zone(state, caller.user_id, None).await?;
    let today = state.bus.now().with_timezone(&zone.tz()).date_naive();
    let first = today.checked_sub_days(Days::new(days - 1)).unwrap_or(today);
    Ok((first.to_string(), today.to_string()))
}

impl AnalyticsQuery {
    fn days(&self) -> Result<u64, ApiError> {
        let Some(text) = self.date.as_deref().filter(|text| !text.is_empty()) else { return Ok(DAYS) };
        let days = text.parse::<u64>().ok().filter(|days| (1..=DAYS_MAX).contains(days));
        days.ok_or_else(|| ApiError::field("date", format!("must be a number of days from 1 to {DAYS_MAX}")))
    }
}
