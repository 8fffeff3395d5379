//! When a post recurs: a rule of RFC 5545, read by the clocks of its author's zone.

use chrono::{DateTime, Days, NaiveDateTime, TimeZone as _};
use rrule::{Frequency, RRule, RRuleSet, Unvalidated};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    kernel::InvalidText,
    publishing::post::{Schedule, moment},
};

/// A series has at most so many occurrences.
pub const OCCURRENCES_MAX: usize = 60;
/// And ends after this many days.
pub const DAYS_MAX: u64 = 366;
const RULE_CHARS_MAX: usize = 300;

/// A rule and from when on it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recurrence {
    /// RFC 5545 without its name: `FREQ=WEEKLY;BYDAY=MO`.
    rule: String,
    start: Schedule,
}

impl Recurrence {
    /// # Errors
    /// If it is no such rule, repeats more often than daily, or never comes to pass.
    pub fn parse(rule: &str, start: Schedule) -> Result<Self, InvalidText> {
        let rule = rule.trim().strip_prefix("RRULE:").unwrap_or(rule.trim());
        if rule.chars().count() > RULE_CHARS_MAX {
            return Err(InvalidText::new(format!("must have at most {RULE_CHARS_MAX} characters")));
        }
        let recurrence = Self { rule: rule.to_string(), start };
        recurrence.set()?;
        if recurrence.occurrences().is_empty() {
            return Err(InvalidText::new("has no occurrence"));
        }
        Ok(recurrence)
    }

    pub fn rule(&self) -> &str {
        &self.rule
    }

    pub fn start(&self) -> &Schedule {
        &self.start
    }

    /// Its occurrences in order: at most [`OCCURRENCES_MAX`], none later than [`DAYS_MAX`] days after its start.
    pub fn occurrences(&self) -> Vec<Schedule> {
        let Ok(set) = self.set() else { return Vec::new() };
        let end = self.start.at + Days::new(DAYS_MAX);
        let local = (&set).into_iter().take(OCCURRENCES_MAX).map(|at| at.naive_utc());
        local
            .map(|local| moment(local, self.start.zone.tz()))
            .take_while(|at| *at <= end)
            .map(|at| Schedule { at, zone: self.start.zone.clone() })
            .collect()
    }

    /// The rule over the zone's wall clock, which is told as if it were UTC: nothing is skipped or
    /// doubled there, and where clocks are set is dealt with in [`moment`].
    fn set(&self) -> Result<RRuleSet, InvalidText> {
        let refused = |why: rrule::RRuleError| InvalidText::new(format!("is no rule of RFC 5545: {why}"));
        let mut rule: RRule<Unvalidated> = self.rule.parse().map_err(refused)?;
        if matches!(rule.get_freq(), Frequency::Hourly | Frequency::Minutely | Frequency::Secondly) {
            return Err(InvalidText::new("must repeat daily at most"));
        }
        if let Some(until) = rule.get_until().copied() {
            if until.timezone() != rrule::Tz::UTC {
                return Err(InvalidText::new("must give UNTIL in UTC, such as 20261231T090000Z"));
            }
            let local = until.with_timezone(&self.start.zone.tz()).naive_local();
            rule = rule.until(as_utc(local));
        }
        let start = self.start.at.with_timezone(&self.start.zone.tz()).naive_local();
        rule.build(as_utc(start)).map(RRuleSet::limit).map_err(refused)
    }
}

fn as_utc(local: NaiveDateTime) -> DateTime<rrule::Tz> {
    rrule::Tz::UTC.from_utc_datetime(&local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::TimeZone;

    fn parse(rule: &str, start: &str) -> Result<Recurrence, String> {
        let zone = TimeZone::parse("Europe/Berlin").unwrap();
        let start = Schedule::parse(start, zone).unwrap();
        Recurrence::parse(rule, start).map_err(|why| why.to_string())
    }

    fn moments(rule: &str, start: &str) -> Vec<String> {
        let occurrences = parse(rule, start).unwrap().occurrences();
        occurrences.iter().map(|schedule| schedule.at.format("%m-%d %H:%M").to_string()).collect()
    }

    #[test]
    fn it_keeps_its_local_time_when_clocks_are_set() {
        let weekly = "FREQ=WEEKLY;COUNT=3";
        assert_eq!(moments(weekly, "2026-03-22T09:00"), ["03-22 08:00", "03-29 07:00", "04-05 07:00"]);
        assert_eq!(moments(weekly, "2026-10-18T09:00"), ["10-18 07:00", "10-25 08:00", "11-01 08:00"]);
    }

    #[test]
    fn a_time_that_is_skipped_comes_later_and_one_shown_twice_comes_once() {
        let daily = "RRULE:FREQ=DAILY;COUNT=3";
        let spring = moments(daily, "2026-03-28T02:30");
        assert_eq!(
            spring,
            ["03-28 01:30", "03-29 01:30", "03-30 00:30"],
            "03:30 on the day that has no 02:30"
        );
        let autumn = moments(daily, "2026-10-24T02:30");
        assert_eq!(autumn, ["10-24 00:30", "10-25 00:30", "10-26 01:30"], "summer time, which comes first");
    }

    #[test]
    fn until_is_a_moment_and_the_zone_tells_its_day() {
        let until = "FREQ=DAILY;UNTIL=20260703T070000Z";
        assert_eq!(moments(until, "2026-07-01T09:00"), ["07-01 07:00", "07-02 07:00", "07-03 07:00"]);
        assert_eq!(moments(until, "2026-07-01T09:01").len(), 2);
    }

    #[test]
    fn what_does_not_end_is_bounded() {
        assert_eq!(moments("FREQ=DAILY", "2026-01-01T09:00").len(), OCCURRENCES_MAX);
        assert_eq!(moments("FREQ=WEEKLY;BYDAY=MO", "2026-01-01T09:00").len(), 52);
        let last_days = moments("FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=2", "2026-01-01T09:00");
        assert_eq!(last_days, ["01-31 08:00", "02-28 08:00"]);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (rule, words) in [
            ("", "is no rule"),
            ("every monday", "is no rule"),
            ("FREQ=HOURLY", "daily at most"),
            ("FREQ=DAILY;INTERVAL=x", "is no rule"),
            ("FREQ=DAILY;UNTIL=20260703T070000", "in UTC"),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "no occurrence"),
            (&format!("FREQ=DAILY;COUNT={}", "1".repeat(300)), "at most 300"),
        ] {
            let why = parse(rule, "2026-01-01T09:00").unwrap_err();
            assert!(why.contains(words), "{rule}: {why}");
        }
    }
}
