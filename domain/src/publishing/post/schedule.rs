//! When a post is due: a moment, and the zone in which its author thinks of it.

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, SubsecRound, TimeDelta, TimeZone as _, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PostError;
use crate::kernel::{InvalidText, TimeZone};

/// How far in the past a time may lie: clocks differ, and a form takes a moment to be sent.
const PAST_TOLERANCE: TimeDelta = TimeDelta::minutes(1);
const AHEAD_MAX: TimeDelta = TimeDelta::days(5 * 366);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    pub at: DateTime<Utc>,
    pub zone: TimeZone,
}

impl Schedule {
    /// Reads RFC 3339 with its offset, or a local time without one as the zone's clocks show it.
    /// Where clocks are set back and show a time twice, the earlier is meant.
    ///
    /// # Errors
    /// If it is neither, or the zone's clocks skip that time.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, InvalidText> {
        let at = match DateTime::parse_from_rfc3339(text) {
            Ok(at) => at.to_utc(),
            Err(_) => local(text, &zone)?,
        };
        if !(1970..=9999).contains(&at.year()) {
            return Err(InvalidText::new("must lie between the years 1970 and 9999"));
        }
        // Postgres keeps microseconds; the event must say the same.
        Ok(Self { at: at.trunc_subsecs(6), zone })
    }

    /// Whether one may still plan for it at `now`.
    pub(super) fn check(&self, now: DateTime<Utc>) -> Result<(), PostError> {
        if self.at < now - PAST_TOLERANCE {
            return Err(PostError::ScheduledInThePast);
        }
        if self.at > now + AHEAD_MAX {
            return Err(PostError::ScheduledTooFarAhead);
        }
        Ok(())
    }
}

/// What a zone's local time means where nobody can be asked. One that the clocks skip is that much later, as if
/// they had not been set yet (RFC 5545, 3.3.5); of one that they show twice, the first.
pub(in crate::publishing) fn moment(local: NaiveDateTime, zone: chrono_tz::Tz) -> DateTime<Utc> {
    let before = |hours: i64| match zone.from_local_datetime(&(local - TimeDelta::hours(hours))) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
            Some(at.to_utc() + TimeDelta::hours(hours))
        }
        LocalResult::None => None,
    };
    // No zone ever skipped more than a day.
    (0..=25).find_map(before).unwrap_or_else(|| local.and_utc())
}

fn local(text: &str, zone: &TimeZone) -> Result<DateTime<Utc>, InvalidText> {
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .ok_or_else(|| {
            InvalidText::new(
                "must be a time such as 2026-05-01T09:00:00+02:00, or 2026-05-01T09:00:00 in timezone",
            )
        })?;
    match zone.tz().from_local_datetime(&naive) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Ok(at.to_utc()),
        LocalResult::None => Err(InvalidText::new(format!(
            "does not exist in {}: the clocks are set forward past it",
            zone.as_str()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: &str) -> Result<String, String> {
        Schedule::parse(text, TimeZone::parse(zone).unwrap())
            .map(|schedule| schedule.at.to_rfc3339())
            .map_err(|why| why.to_string())
    }

    #[test]
    fn an_offset_decides_and_a_local_time_is_read_in_the_zone() {
        let utc = "2026-07-01T07:00:00+00:00".to_string();
        assert_eq!(at("2026-07-01T09:00:00+02:00", "Asia/Tokyo"), Ok(utc.clone()));
        assert_eq!(at("2026-07-01T07:00:00Z", "Asia/Tokyo"), Ok(utc.clone()));
        assert_eq!(at("2026-07-01T09:00", "Europe/Berlin"), Ok(utc.clone()));
        assert_eq!(at("2026-07-01T09:00:00", "Europe/Berlin"), Ok(utc));
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_refused_and_one_shown_twice_is_the_earlier() {
        let skipped = at("2026-03-29T02:30:00", "Europe/Berlin").unwrap_err();
        assert!(skipped.contains("does not exist in Europe/Berlin"), "{skipped}");
        assert_eq!(
            at("2026-10-25T02:30:00", "Europe/Berlin"),
            Ok("2026-10-25T00:30:00+00:00".to_string()),
            "summer time, which comes first"
        );
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for wrong in
            ["", "tomorrow", "2026-13-01T00:00:00Z", "2026-01-01", "1700000000", "+99999-01-01T00:00"]
        {
            assert!(at(wrong, "UTC").is_err(), "{wrong}");
        }
    }
}
