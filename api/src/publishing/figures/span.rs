//! The days that are asked about.

use annals_domain::kernel::TimeZone;
use annals_projections::publishing::overview::Period;
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{ApiError, Caller, FieldError},
    publishing::times::{self, End},
    state::AppState,
};

/// Without dates: so many days, today included.
const DAYS: u64 = 30;
const DAYS_MAX: i64 = 366;

/// What one point of a series stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Granularity {
    #[default]
    Day,
    /// From Monday.
    Week,
    Month,
}

/// Dates and zone as they were asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'q> {
    pub start_date: Option<&'q str>,
    pub end_date: Option<&'q str>,
    pub timezone: Option<&'q str>,
    pub granularity: Option<&'q str>,
}

/// Whole days of a zone, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub zone: TimeZone,
    pub granularity: Granularity,
}

impl Span {
    /// The days that the caller asks for, or else the last thirty.
    pub(crate) async fn of(state: &AppState, caller: &Caller, asked: Asked<'_>) -> Result<Self, ApiError> {
        let zone = times::zone(state, caller.user_id, asked.timezone).await?;
        Self::parse(asked, zone, state.bus.now()).map_err(ApiError::validation)
    }

    fn parse(asked: Asked<'_>, zone: TimeZone, now: DateTime<Utc>) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut day = |field, text: Option<&str>| {
            day(field, text, &zone).unwrap_or_else(|error| {
                errors.push(error);
                None
            })
        };
        let (first, last) = (day("startDate", asked.start_date), day("endDate", asked.end_date));
        let granularity = granularity(asked.granularity).unwrap_or_else(|error| {
            errors.push(error);
            Granularity::Day
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let today = now.with_timezone(&zone.tz()).date_naive();
        let last = last.unwrap_or_else(|| first.map_or(today, |first| first.max(today)));
        let first = first.or_else(|| last.checked_sub_days(Days::new(DAYS - 1))).unwrap_or(last);
        let wrong = |field, message: String| Err(vec![FieldError::new(field, message)]);
        if last < first {
            return wrong("endDate", "must not be before startDate".to_string());
        }
        if (last - first).num_days() >= DAYS_MAX {
            return wrong("endDate", format!("must be within {DAYS_MAX} days from startDate"));
        }
        let span = Self { first, last, zone, granularity };
        if span.bounds().is_none() || span.before().bounds().is_none() {
            return wrong("startDate", "is too far away".to_string());
        }
        Ok(span)
    }

    /// As many days, just before these.
    pub(crate) fn before(&self) -> Self {
        let days = Days::new((self.last - self.first).num_days().unsigned_abs() + 1);
        let back = |day: NaiveDate| day.checked_sub_days(days).unwrap_or(NaiveDate::MIN);
        Self { first: back(self.first), last: back(self.last), ..self.clone() }
    }

    /// From the first day's first moment to the moment after the last day.
    pub(crate) fn period(&self) -> Result<Period, ApiError> {
        self.bounds().ok_or_else(|| ApiError::field("startDate", "is too far away"))
    }

    fn bounds(&self) -> Option<Period> {
        let from = times::midnight(self.first, &self.zone)?;
        let to = times::midnight(self.last.succ_opt()?, &self.zone)?;
        Some(Period { from, to, zone: self.zone.clone() })
    }

    pub(crate) fn days(&self) -> impl Iterator<Item = NaiveDate> {
        let last = self.last;
        self.first.iter_days().take_while(move |day| *day <= last)
    }

    /// The first day of what a point of the series stands for.
    pub(crate) fn bucket(&self, day: NaiveDate) -> NaiveDate {
        let start = match self.granularity {
            Granularity::Day => Some(day),
            Granularity::Week => {
                day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())))
            }
            Granularity::Month => day.with_day(1),
        };
        start.unwrap_or(day)
    }
}

/// A day, or the one that a time is on.
fn day(field: &str, text: Option<&str>, zone: &TimeZone) -> Result<Option<NaiveDate>, FieldError> {
    let at = times::moment(field, text, zone, End::From)?;
    Ok(at.map(|at| at.with_timezone(&zone.tz()).date_naive()))
}

fn granularity(text: Option<&str>) -> Result<Granularity, FieldError> {
    match text {
        None | Some("day") => Ok(Granularity::Day),
        Some("week") => Ok(Granularity::Week),
        Some("month") => Ok(Granularity::Month),
        Some(_) => Err(FieldError::new("granularity", "must be day, week or month")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: Option<&str>, end: Option<&str>, zone: &str) -> Result<Span, Vec<FieldError>> {
        let now = "2026-05-01T23:30:00Z".parse().expect("is a time");
        let asked = Asked { start_date: start, end_date: end, ..Asked::default() };
        Span::parse(asked, TimeZone::parse(zone).expect("is a zone"), now)
    }

    fn days(span: Result<Span, Vec<FieldError>>) -> (String, String) {
        let span = span.expect("is right");
        (span.first.to_string(), span.last.to_string())
    }

    fn both(first: &str, last: &str) -> (String, String) {
        (first.to_string(), last.to_string())
    }

    #[test]
    fn without_dates_it_is_the_last_thirty_days_of_the_zone() {
        assert_eq!(days(span(None, None, "UTC")), both("2026-04-02", "2026-05-01"));
        assert_eq!(days(span(None, None, "Europe/Berlin")), both("2026-04-03", "2026-05-02"));
        assert_eq!(days(span(None, Some("2026-03-31"), "UTC")), both("2026-03-02", "2026-03-31"));
        assert_eq!(days(span(Some("2026-04-30"), None, "UTC")), both("2026-04-30", "2026-05-01"));
    }

    #[test]
    fn a_time_means_the_day_it_is_on_in_the_zone() {
        let late = Some("2026-04-30T23:30:00Z");
        assert_eq!(days(span(late, late, "UTC")), both("2026-04-30", "2026-04-30"));
        assert_eq!(days(span(late, late, "Europe/Berlin")), both("2026-05-01", "2026-05-01"));
    }

    #[test]
    fn days_are_those_of_the_zone_also_when_clocks_change() {
        let span = span(Some("2026-03-29"), Some("2026-03-29"), "Europe/Berlin").expect("is right");
        let period = span.bounds().expect("is near");
        assert_eq!((period.to - period.from).num_hours(), 23);
        let before = span.before();
        assert_eq!((before.first, before.last), (span.first.pred_opt().expect("is near"), before.first));
        let period = before.bounds().expect("is near");
        assert_eq!((period.to - period.from).num_hours(), 24);
    }

    #[test]
    fn the_period_before_is_as_long_and_ends_where_this_begins() {
        let before = span(Some("2026-03-01"), Some("2026-03-31"), "UTC").expect("is right").before();
        assert_eq!((before.first.to_string(), before.last.to_string()), both("2026-01-29", "2026-02-28"));
    }

    #[test]
    fn what_is_wrong_is_said_by_field() {
        let field = |start, end| {
            let errors = span(start, end, "UTC").expect_err("is wrong");
            errors.into_iter().map(|error| error.field).collect::<Vec<_>>()
        };
        assert_eq!(field(Some("soon"), Some("later")), ["startDate", "endDate"]);
        assert_eq!(field(Some("2026-05-02"), Some("2026-05-01")), ["endDate"]);
        assert_eq!(field(Some("2025-05-01"), Some("2026-05-02")), ["endDate"]);
        assert!(span(Some("2025-05-01"), Some("2026-05-01"), "UTC").is_ok());
    }

    #[test]
    fn a_week_begins_on_monday_and_a_month_on_its_first() {
        let at = |granularity| {
            let day = |text: &str| text.parse::<NaiveDate>().expect("is a day");
            let span = Span {
                first: day("2026-05-01"),
                last: day("2026-05-31"),
                zone: TimeZone::default(),
                granularity,
            };
            span.bucket(day("2026-05-01")).to_string()
        };
        assert_eq!(at(Granularity::Day), "2026-05-01");
        assert_eq!(at(Granularity::Week), "2026-04-27");
        assert_eq!(at(Granularity::Month), "2026-05-01");
    }
}
