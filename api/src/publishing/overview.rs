//! `GET /analytics/overview`: the calendar's figures and those of platforms.

use std::collections::BTreeMap;

use actix_web::web;
use annals_domain::{
    kernel::{IntegrationId, TimeZone},
    publishing::PostStatus,
};
use annals_projections::publishing::{
    Channels, Posts, channels,
    overview::{self, Period},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    figures::{Granularity, OverviewFigures, Span, of_organization},
    times::{self, End},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

/// What is counted without dates: so many days back and ahead.
const DAYS: i64 = 30;
const DAYS_MAX: i64 = 366;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct OverviewQuery {
    /// A day or a time; 30 days ago if it is left out.
    pub start_date: Option<String>,
    /// A day (which is within) or a time; 30 days ahead if it is left out. At most 366 days after `startDate`.
    pub end_date: Option<String>,
    /// Whose days are meant; the user's own if it is left out.
    pub timezone: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OverviewView {
    pub start_date: DateTime<Utc>,
    pub end_date: DateTime<Utc>,
    pub timezone: String,
    /// Posts by status, archived ones left out, whenever they are due.
    pub posts: BTreeMap<String, u64>,
    /// Deliveries by status, per day within the dates. Days with none are left out.
    pub by_day: Vec<DayView>,
    /// Deliveries by status, per channel within the dates.
    pub by_channel: Vec<ChannelCounts>,
    /// What platforms count, on the days of the dates up to today.
    pub figures: OverviewFigures,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DayView {
    pub date: NaiveDate,
    pub counts: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelCounts {
    pub id: Uuid,
    pub platform: Option<String>,
    pub name: Option<String>,
    pub counts: BTreeMap<String, u64>,
}

/// How many posts stand where, by status, by day and by channel; and what platforms count of them.
#[utoipa::path(
    get, path = "/analytics/overview", tag = "analytics", params(OverviewQuery),
    responses((status = 200, description = "The figures", body = Success<OverviewView>)),
)]
pub(super) async fn overview(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<OverviewQuery>,
) -> ApiResult {
    Answer::ok(of(&state, &caller, &query).await?).respond()
}

/// The figures of the caller's organization.
pub(crate) async fn of(
    state: &AppState,
    caller: &Caller,
    query: &OverviewQuery,
) -> Result<OverviewView, ApiError> {
    let zone = times::zone(state, caller.user_id, query.timezone.as_deref()).await?;
    let moment = |field, text: Option<&String>, end| {
        times::moment(field, text.map(String::as_str), &zone, end)
            .map_err(|error| ApiError::validation(vec![error]))
    };
    let now = state.bus.now();
    let from = moment("startDate", query.start_date.as_ref(), End::From)?;
    let to = moment("endDate", query.end_date.as_ref(), End::To)?;
    let from = from.unwrap_or_else(|| to.map_or(now, |to| to.min(now)) - TimeDelta::days(DAYS));
    let to = to.unwrap_or_else(|| from.max(now) + TimeDelta::days(DAYS));
    if to <= from {
        return Err(ApiError::field("endDate", "must be after startDate"));
    }
    if to - from > TimeDelta::days(DAYS_MAX + 1) {
        return Err(ApiError::field("endDate", format!("must be at most {DAYS_MAX} days after startDate")));
    }
    state.reader_for::<Channels>(caller).await?;
    let reader = state.reader_for::<Posts>(caller).await?;
    let organization = caller.organization_id;
    let figures = of_organization(state, caller, &until_today(from, to, &zone, now)).await?;
    let period = Period { from, to, zone };
    let counted = overview::get(reader.pool(), organization, &period).await?;
    let ids: Vec<IntegrationId> =
        counted.channels.iter().map(|count| IntegrationId::new(count.channel_id)).collect();
    let names = channels::named(reader.pool(), organization, &ids).await?;
    let period = (period.from, period.to, period.zone.as_str().to_string());
    Ok(view(counted, &names, period, figures))
}

/// The days of the dates, as far as they have begun.
fn until_today(from: DateTime<Utc>, to: DateTime<Utc>, zone: &TimeZone, now: DateTime<Utc>) -> Span {
    let day = |at: DateTime<Utc>| at.with_timezone(&zone.tz()).date_naive();
    let first = day(from);
    let last = day((to - TimeDelta::microseconds(1)).min(now)).max(first);
    Span { first, last, zone: zone.clone(), granularity: Granularity::Day }
}

/// How many of the caller's organization's posts are in each status, archived ones left out.
pub(crate) async fn statuses(
    state: &AppState,
    caller: &Caller,
) -> Result<Vec<(&'static str, u64)>, ApiError> {
    let reader = state.reader_for::<Posts>(caller).await?;
    let counts = overview::statuses(reader.pool(), caller.organization_id).await?;
    let of = |status: PostStatus| {
        let count = counts.iter().find(|count| count.status == status.as_str());
        (status.as_str(), count.map_or(0, |count| count.posts))
    };
    Ok(PostStatus::ALL.map(of).into())
}

fn view(
    counted: overview::Overview,
    names: &BTreeMap<IntegrationId, channels::Channel>,
    (start_date, end_date, timezone): (DateTime<Utc>, DateTime<Utc>, String),
    figures: OverviewFigures,
) -> OverviewView {
    let mut posts: BTreeMap<String, u64> =
        PostStatus::ALL.into_iter().map(|status| (status.as_str().to_string(), 0)).collect();
    posts.extend(counted.statuses.into_iter().map(|count| (count.status, count.posts)));
    let mut days: BTreeMap<NaiveDate, BTreeMap<String, u64>> = BTreeMap::new();
    for count in counted.days {
        days.entry(count.day).or_default().insert(count.state, count.deliveries);
    }
    let mut by_channel: BTreeMap<Uuid, BTreeMap<String, u64>> = BTreeMap::new();
    for count in counted.channels {
        by_channel.entry(count.channel_id).or_default().insert(count.state, count.deliveries);
    }
    OverviewView {
        start_date,
        end_date,
        timezone,
        posts,
        by_day: days.into_iter().map(|(date, counts)| DayView { date, counts }).collect(),
        by_channel: by_channel
            .into_iter()
            .map(|(id, counts)| {
                let channel = names.get(&IntegrationId::new(id));
                ChannelCounts {
                    id,
                    platform: channel.map(|channel| channel.platform.clone()),
                    name: channel.map(|channel| channel.name.clone()),
                    counts,
                }
            })
            .collect(),
        figures,
    }
}
