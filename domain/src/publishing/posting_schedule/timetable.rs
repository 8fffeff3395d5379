//! Times of the week by the clocks of a zone, and the moments that they are.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    kernel::{InvalidText, TimeZone},
    publishing::post::moment,
};

/// One for each hour of the week.
pub const TIMES_MAX: usize = 7 * 24;
/// No zone ever skipped more than a day: what is due may come so much later than its clock says.
const SKIPPED_DAYS_MAX: u64 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WeekDay {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl WeekDay {
    pub const ALL: [WeekDay; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    fn is(self, day: chrono::Weekday) -> bool {
        self as u32 == day.num_days_from_monday()
    }
}

/// What a clock shows, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct TimeOfDay(NaiveTime);

impl TimeOfDay {
    /// # Errors
    /// If it is no time such as `09:30`.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let is_whole = text.len() == "09:30".len();
        NaiveTime::parse_from_str(text, "%H:%M")
            .ok()
            .filter(|_| is_whole)
            .map(Self)
            .ok_or_else(|| InvalidText::new("must be a time of day such as 09:30"))
    }
}

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.format("%H:%M").fmt(f)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        Self::parse(&text)
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PostingTime {
    pub weekday: WeekDay,
    pub time: TimeOfDay,
}

/// Times of the week, in order and each once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timetable {
    zone: TimeZone,
    times: Vec<PostingTime>,
}

impl Timetable {
    /// # Errors
    /// If there are none, or more than [`TIMES_MAX`].
    pub fn new(zone: TimeZone, mut times: Vec<PostingTime>) -> Result<Self, InvalidText> {
        times.sort_unstable();
        times.dedup();
        if times.is_empty() {
            return Err(InvalidText::new("must have at least one entry"));
        }
        if times.len() > TIMES_MAX {
            return Err(InvalidText::new(format!("must have at most {TIMES_MAX} entries")));
        }
        Ok(Self { zone, times })
    }

    /// What an organization has that chose nothing: morning, noon and evening of every day.
    pub fn usual(zone: TimeZone) -> Self {
        let hours = [9, 13, 18].into_iter().filter_map(|hour| NaiveTime::from_hms_opt(hour, 0, 0));
        let of_day = |weekday| hours.clone().map(move |time| PostingTime { weekday, time: TimeOfDay(time) });
        Self { zone, times: WeekDay::ALL.into_iter().flat_map(of_day).collect() }
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    pub fn times(&self) -> &[PostingTime] {
        &self.times
    }

    /// The moments from `from` on and before `to`, in order. A time that the clocks skip comes as much later as
    /// they are set forward; one that they show twice is the first.
    pub fn moments(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let zone = self.zone.tz();
        let first = from.with_timezone(&zone).date_naive() - Days::new(SKIPPED_DAYS_MAX);
        let last = (to + TimeDelta::days(1)).with_timezone(&zone).date_naive();
        let mut moments = BTreeSet::new();
        for day in first.iter_days().take_while(|day| *day <= last) {
            let of_day = self.times.iter().filter(|time| time.weekday.is(day.weekday()));
            moments.extend(of_day.map(|time| moment(day.and_time(time.time.0), zone)));
        }
        moments.range(from..to.max(from)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timetable(zone: &str, times: &[(WeekDay, &str)]) -> Timetable {
        let time = |(weekday, time): &(WeekDay, &str)| PostingTime {
            weekday: *weekday,
            time: TimeOfDay::parse(time).unwrap(),
        };
        Timetable::new(TimeZone::parse(zone).unwrap(), times.iter().map(time).collect()).unwrap()
    }

    fn moments(timetable: &Timetable, from: &str, to: &str) -> Vec<String> {
        let moments = timetable.moments(from.parse().unwrap(), to.parse().unwrap());
        moments.into_iter().map(|at| at.format("%m-%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn nine_oclock_stays_nine_oclock_when_the_clocks_are_set() {
        let sundays = timetable("Europe/Berlin", &[(WeekDay::Sunday, "09:00")]);
        assert_eq!(
            moments(&sundays, "2026-03-16T00:00:00Z", "2026-04-06T00:00:00Z"),
            ["03-22T08:00", "03-29T07:00", "04-05T07:00"]
        );
        assert_eq!(
            moments(&sundays, "2026-10-12T00:00:00Z", "2026-11-02T00:00:00Z"),
            ["10-18T07:00", "10-25T08:00", "11-01T08:00"]
        );
    }

    #[test]
    fn a_skipped_time_comes_later_and_one_shown_twice_is_the_first() {
        let at_night = timetable("Europe/Berlin", &[(WeekDay::Sunday, "02:30"), (WeekDay::Sunday, "03:30")]);
        assert_eq!(
            moments(&at_night, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
            ["03-29T01:30"],
            "both are half past three of that night, which is one moment"
        );
        assert_eq!(
            moments(&at_night, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
            ["10-25T00:30", "10-25T02:30"],
            "half past two in summer time"
        );
    }

    #[test]
    fn a_day_that_a_zone_never_had_does_not_double_the_next_one() {
        // Samoa went from Thursday the 29th to Saturday the 31st.
        let both = timetable("Pacific/Apia", &[(WeekDay::Friday, "09:00"), (WeekDay::Saturday, "09:00")]);
        let found =
            both.moments("2011-12-29T00:00:00Z".parse().unwrap(), "2012-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn the_first_moment_counts_and_the_last_does_not() {
        let daily = Timetable::usual(TimeZone::default());
        assert_eq!(daily.times().len(), 21);
        assert_eq!(
            moments(&daily, "2026-05-01T09:00:00Z", "2026-05-01T18:00:00Z"),
            ["05-01T09:00", "05-01T13:00"]
        );
        assert_eq!(moments(&daily, "2026-05-01T09:00:01Z", "2026-05-01T09:00:00Z"), Vec::<String>::new());
    }

    #[test]
    fn a_timetable_is_bounded_and_has_each_time_once() {
        let nine = PostingTime { weekday: WeekDay::Monday, time: TimeOfDay::parse("09:00").unwrap() };
        let once = Timetable::new(TimeZone::default(), vec![nine, nine]).unwrap();
        assert_eq!(once.times(), [nine]);
        assert!(Timetable::new(TimeZone::default(), Vec::new()).is_err());
        let minutes = (0..=TIMES_MAX).map(|n| format!("{:02}:{:02}", n / 60, n % 60));
        let times = minutes.map(|time| PostingTime { time: TimeOfDay::parse(&time).unwrap(), ..nine });
        assert!(Timetable::new(TimeZone::default(), times.collect()).is_err());
        for wrong in ["", "9:00", "24:00", "09:60", "09:00:00", "noon"] {
            assert!(TimeOfDay::parse(wrong).is_err(), "{wrong}");
        }
    }
}
