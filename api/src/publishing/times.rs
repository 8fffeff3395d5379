//! Times and zones as callers write them.

use annals_domain::{
    identity::User,
    kernel::{TimeZone, UserId},
    publishing::post::Schedule,
};
use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::{
    http::{ApiError, FieldError},
    state::AppState,
};

/// The zone that was named, or else the user's own.
pub(crate) async fn zone(state: &AppState, user: UserId, named: Option<&str>) -> Result<TimeZone, ApiError> {
    match named {
        Some(name) => TimeZone::parse(name).map_err(|why| ApiError::field("timezone", why)),
        None => Ok(state.bus.load::<User>(user).await?.state.settings().timezone),
    }
}

/// Which end of a range a day without a time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The day's first moment.
    From,
    /// The first moment after the day, so that the day is within.
    To,
}

/// A moment, a local time, or a day (`2026-05-01`) in the zone.
pub(crate) fn moment(
    field: &str,
    text: Option<&str>,
    zone: &TimeZone,
    end: End,
) -> Result<Option<DateTime<Utc>>, FieldError> {
    let Some(text) = text else { return Ok(None) };
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let day = match end {
        End::From => day,
        End::To => day.and_then(|day| day.checked_add_days(Days::new(1))),
    };
    let parsed = match day {
        Some(day) => midnight(day, zone),
        None => Schedule::parse(text, zone.clone()).ok().map(|schedule| schedule.at),
    };
    let message = "must be a day such as 2026-05-01 or a time such as 2026-05-01T09:00:00Z";
    parsed.map(Some).ok_or_else(|| FieldError::new(field, message))
}

/// A day's first moment; where clocks skip midnight, what they show first.
pub(crate) fn midnight(day: NaiveDate, zone: &TimeZone) -> Option<DateTime<Utc>> {
    (0..=3).find_map(|hour| {
        let text = format!("{day}T{hour:02}:00:00");
        Schedule::parse(&text, zone.clone()).ok().map(|schedule| schedule.at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: &str, end: End) -> Option<String> {
        let zone = TimeZone::parse(zone).expect("is a zone");
        moment("startDate", Some(text), &zone, end).ok().flatten().map(|at| at.to_rfc3339())
    }

    #[test]
    fn a_day_is_the_zones_day_and_its_end_is_within() {
        assert_eq!(
            at("2026-05-01", "Europe/Berlin", End::From).as_deref(),
            Some("2026-04-30T22:00:00+00:00")
        );
        assert_eq!(at("2026-05-01", "Europe/Berlin", End::To).as_deref(), Some("2026-05-01T22:00:00+00:00"));
        assert_eq!(at("2026-05-01T10:00:00Z", "UTC", End::To).as_deref(), Some("2026-05-01T10:00:00+00:00"));
        assert_eq!(at("soon", "UTC", End::From), None);
    }

    #[test]
    fn a_day_without_a_midnight_begins_when_it_does() {
        // Clocks went from 23:59:59 to 01:00:00.
        assert_eq!(
            at("2024-09-08", "America/Santiago", End::From).as_deref(),
            Some("2024-09-08T04:00:00+00:00")
        );
    }
}
