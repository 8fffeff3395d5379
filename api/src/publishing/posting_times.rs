//! `/posting-times`: when the organization likes to post.

use actix_web::web;
use annals_commands::publishing::{PostingTimes as Commands, posting_times::PostingTimesRequest};
use annals_domain::{
    kernel::{IntegrationId, TimeZone},
    publishing::{
        PostingSchedule,
        posting_schedule::{CHANNELS_MAX, PostingTime, TimeOfDay, Timetable, WeekDay},
    },
};
use annals_projections::publishing::{
    PostingTimes,
    posting_times::{self, ChosenTimes},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{failed, times};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, FieldError, answer::Success},
    state::AppState,
};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Day> for WeekDay {
    fn from(day: Day) -> Self {
        WeekDay::ALL[day as usize]
    }
}

impl From<WeekDay> for Day {
    fn from(day: WeekDay) -> Self {
        match day {
            WeekDay::Monday => Self::Monday,
            WeekDay::Tuesday => Self::Tuesday,
            WeekDay::Wednesday => Self::Wednesday,
            WeekDay::Thursday => Self::Thursday,
            WeekDay::Friday => Self::Friday,
            WeekDay::Saturday => Self::Saturday,
            WeekDay::Sunday => Self::Sunday,
        }
    }
}

/// A time of the week, by the clocks of the zone.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PostingTimeBody {
    pub weekday: Day,
    #[schema(example = "09:30")]
    pub time: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PostingTimesBody {
    /// Whose clocks are meant; the user's own if it is left out.
    #[schema(example = "Europe/Berlin")]
    pub timezone: Option<String>,
    /// Of every channel that has none of its own, at most 168; the product's own if they are left out.
    pub times: Option<Vec<PostingTimeBody>>,
    /// Channels with times of their own, at most 200.
    #[serde(default)]
    pub channels: Vec<ChannelTimesBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ChannelTimesBody {
    pub id: Uuid,
    /// That of the other times if it is left out.
    pub timezone: Option<String>,
    pub times: Vec<PostingTimeBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostingTimesView {
    pub timezone: String,
    pub times: Vec<PostingTimeBody>,
    /// Whether nobody chose them: morning, noon and evening of every day, by the clocks of whoever asks.
    pub is_default: bool,
    pub channels: Vec<ChannelTimesView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelTimesView {
    pub id: Uuid,
    pub timezone: String,
    pub times: Vec<PostingTimeBody>,
}

/// Says when the organization likes to post: these times, and no others.
#[utoipa::path(
    put, path = "/posting-times", tag = "posts", request_body = PostingTimesBody,
    responses((status = 200, description = "The times", body = Success<PostingTimesView>)),
)]
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<PostingTimesBody>,
) -> ApiResult {
    let zone = times::zone(&state, caller.user_id, body.timezone.as_deref()).await?;
    let request = body.request(&zone).map_err(ApiError::validation)?;
    let commands = Commands::new(state.bus.clone());
    let outcome = commands.change(&caller.context, caller.organization_id, request).await.map_err(failed)?;
    let loaded = state.bus.load::<PostingSchedule>(caller.organization_id).await?;
    let chosen = ChosenTimes {
        common: loaded.state.common().cloned(),
        channels: loaded.state.channels().clone(),
        version: loaded.version,
    };
    let version = chosen.version;
    Answer::ok(view(chosen, &zone)).position(outcome.receipt.position).version(version).respond()
}

/// When the organization likes to post.
#[utoipa::path(
    get, path = "/posting-times", tag = "posts",
    responses((status = 200, description = "The times", body = Success<PostingTimesView>)),
)]
pub(super) async fn show(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let zone = times::zone(&state, caller.user_id, None).await?;
    let reader = state.reader_for::<PostingTimes>(&caller).await?;
    let chosen = posting_times::get(reader.pool(), caller.organization_id).await?;
    let version = chosen.version;
    Answer::ok(view(chosen, &zone)).version(version).respond()
}

fn view(chosen: ChosenTimes, zone: &TimeZone) -> PostingTimesView {
    let is_default = chosen.common.is_none();
    let common = chosen.common.unwrap_or_else(|| Timetable::usual(zone.clone()));
    let channels = chosen.channels.into_iter().map(|(id, timetable)| ChannelTimesView {
        id: id.uuid(),
        timezone: timetable.zone().as_str().to_string(),
        times: bodies(&timetable),
    });
    PostingTimesView {
        timezone: common.zone().as_str().to_string(),
        times: bodies(&common),
        is_default,
        channels: channels.collect(),
    }
}

fn bodies(timetable: &Timetable) -> Vec<PostingTimeBody> {
    let body =
        |time: &PostingTime| PostingTimeBody { weekday: time.weekday.into(), time: time.time.to_string() };
    timetable.times().iter().map(body).collect()
}

impl PostingTimesBody {
    /// Everything that is wrong is said at once.
    fn request(&self, zone: &TimeZone) -> Result<PostingTimesRequest, Vec<FieldError>> {
        let mut errors = Vec::new();
        let common = self.times.as_ref().and_then(|times| timetable("", zone, times, &mut errors));
        let mut channels: Vec<(IntegrationId, Timetable)> = Vec::new();
        if self.channels.len() > CHANNELS_MAX {
            let message = format!("must have at most {CHANNELS_MAX} entries");
            return Err(vec![FieldError::new("channels", message)]);
        }
        for (index, own) in self.channels.iter().enumerate() {
            let field = format!("channels[{index}].");
            let id = IntegrationId::new(own.id);
            if channels.iter().any(|(known, _)| *known == id) {
                errors.push(FieldError::new(format!("{field}id"), "is listed twice"));
            }
            let zone = match own.timezone.as_deref().map(TimeZone::parse) {
                None => zone.clone(),
                Some(Ok(zone)) => zone,
                Some(Err(why)) => {
                    errors.push(FieldError::new(format!("{field}timezone"), why));
                    continue;
                }
            };
            channels.extend(timetable(&field, &zone, &own.times, &mut errors).map(|own| (id, own)));
        }
        if errors.is_empty() { Ok(PostingTimesRequest { common, channels }) } else { Err(errors) }
    }
}

fn timetable(
    field: &str,
    zone: &TimeZone,
    bodies: &[PostingTimeBody],
    errors: &mut Vec<FieldError>,
) -> Option<Timetable> {
    let before = errors.len();
    let mut times = Vec::with_capacity(bodies.len());
    for (index, body) in bodies.iter().enumerate() {
        match TimeOfDay::parse(&body.time) {
            Ok(time) => times.push(PostingTime { weekday: body.weekday.into(), time }),
            Err(why) => errors.push(FieldError::new(format!("{field}times[{index}].time"), why)),
        }
    }
    if errors.len() > before {
        return None;
    }
    Timetable::new(zone.clone(), times)
        .map_err(|why| errors.push(FieldError::new(format!("{field}times"), why)))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_domains_day() {
        for day in WeekDay::ALL {
            assert_eq!(WeekDay::from(Day::from(day)), day);
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = r#"{"times": [{"weekday": "monday", "time": "9"}], "channels": [
            {"id": "0198e000-0000-7000-8000-000000000001", "times": []},
            {"id": "0198e000-0000-7000-8000-000000000002", "timezone": "Mars", "times": []}]}"#;
        let body: PostingTimesBody = serde_json::from_str(text).expect("is a body");
        let errors = body.request(&TimeZone::default()).err().unwrap_or_default();
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["times[0].time", "channels[0].times", "channels[1].timezone"]);
    }
}
