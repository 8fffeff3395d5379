//! `GET /posts/find-slot`: the next posting time at which nothing is due yet.
//!
//! It is a look, and takes nothing: who schedules for the time that it found may find that another did so too.

use actix_web::{http::StatusCode, web};
use annals_domain::{kernel::IntegrationId, publishing::posting_schedule::Timetable};
use annals_projections::publishing::{Channels, PostingTimes, Posts, channels, posting_times, posts};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::times::{self, End};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

/// How far it looks ahead, and how much of that at once.
const AHEAD_MAX: TimeDelta = TimeDelta::days(366);
const WINDOW: TimeDelta = TimeDelta::days(28);
/// A post may be scheduled so far ahead.
const AFTER_MAX: TimeDelta = TimeDelta::days(5 * 366);

#[derive(Debug, Default, Deserialize, IntoParams, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct SlotQuery {
    /// A channel's id; left out, no channel may have anything due then.
    channel: Option<Uuid>,
    /// A day or a time: not before. Now if it is left out.
    after: Option<String>,
    /// Whose days and clocks are meant in `after`; the user's own if it is left out.
    timezone: Option<String>,
}

impl SlotQuery {
    /// A channel's next.
    pub(crate) fn of_channel(channel: Uuid) -> Self {
        Self { channel: Some(channel), ..Self::default() }
    }
}

/// The same for the channel that the path names.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ChannelSlotQuery {
    /// A day or a time: not before. Now if it is left out.
    after: Option<String>,
    /// Whose days and clocks are meant in `after`; the user's own if it is left out.
    timezone: Option<String>,
}

/// A free posting time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SlotView {
    /// What to schedule for.
    pub date: DateTime<Utc>,
    /// The zone by whose clocks it is a posting time.
    pub timezone: String,
    pub channel: Option<Uuid>,
    /// Whether the organization chose no times, so that it is one of the product's own.
    pub is_default: bool,
}

/// The next free posting time: of one channel, or at which no channel has anything due.
#[utoipa::path(
    get, path = "/posts/find-slot", tag = "posts", params(SlotQuery),
    responses((status = 200, description = "The next that is free", body = Success<SlotView>)),
)]
pub(super) async fn find_any(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<SlotQuery>,
) -> ApiResult {
    Answer::ok(find(&state, &caller, &query).await?).respond()
}

/// A channel's next free posting time.
#[utoipa::path(
    get, path = "/posts/find-slot/{id}", tag = "posts", params(("id" = Uuid, Path), ChannelSlotQuery),
    responses((status = 200, description = "The next that is free", body = Success<SlotView>)),
)]
pub(super) async fn find_for_channel(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
    Query(query): Query<ChannelSlotQuery>,
) -> ApiResult {
    let ChannelSlotQuery { after, timezone } = query;
    let query = SlotQuery { after, timezone, ..SlotQuery::of_channel(id.uuid()) };
    Answer::ok(find(&state, &caller, &query).await?).respond()
}

/// The next free posting time of the caller's organization.
pub(crate) async fn find(state: &AppState, caller: &Caller, query: &SlotQuery) -> Result<SlotView, ApiError> {
    let zone = times::zone(state, caller.user_id, query.timezone.as_deref()).await?;
    let now = state.bus.now();
    let after = times::moment("after", query.after.as_deref(), &zone, End::From);
    let after = after.map_err(|error| ApiError::validation(vec![error]))?.unwrap_or(now).max(now);
    if after > now + AFTER_MAX {
        let message = format!("must lie at most {} days ahead", AFTER_MAX.num_days());
        return Err(ApiError::field("after", message));
    }
    let organization = caller.organization_id;
    let channel = query.channel.map(IntegrationId::new);
    state.reader_for::<Channels>(caller).await?;
    state.reader_for::<PostingTimes>(caller).await?;
    let pool = state.reader_for::<Posts>(caller).await?.pool();
    if let Some(channel) = channel
        && channels::get(pool, organization, channel).await?.is_none()
    {
        return Err(ApiError::not_found("channel"));
    }
    let chosen = posting_times::get(pool, organization).await?;
    let (timetable, is_default) = match chosen.of(channel) {
        Some(timetable) => (timetable.clone(), false),
        None => (Timetable::usual(zone), true),
    };
    let mut from = after;
    while from < after + AHEAD_MAX {
        let to = from + WINDOW;
        let taken =
            posts::due_minutes(pool, organization, channel, (from, to + TimeDelta::minutes(1))).await?;
        let free = timetable.moments(from, to).into_iter().find(|at| !taken.contains(at));
        if let Some(date) = free {
            let timezone = timetable.zone().as_str().to_string();
            return Ok(SlotView { date, timezone, channel: query.channel, is_default });
        }
        from = to;
    }
    let message = format!("no posting time of the next {} days is free", AHEAD_MAX.num_days());
    Err(ApiError::new(StatusCode::NOT_FOUND, "NO_FREE_SLOT", message))
}
