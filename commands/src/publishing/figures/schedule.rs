//! When a platform is asked next: often while a post is new, then once a day with all else of its channel.

use std::time::Duration;

use annals_domain::kernel::IntegrationId;
use chrono::{DateTime, TimeDelta, Utc};

/// The first looks at a post, from when it was published.
const FIRST: [TimeDelta; 3] = [TimeDelta::minutes(15), TimeDelta::hours(1), TimeDelta::hours(6)];
/// So long a post is looked at every day; after it, once a week.
const DAILY_FOR: TimeDelta = TimeDelta::days(30);
/// After so long a post is looked at no more.
pub(super) const WATCHED_FOR: TimeDelta = TimeDelta::days(90);
/// A look takes along what would be due within this.
pub(super) const TAKEN_ALONG: TimeDelta = TimeDelta::minutes(5);

const PAUSE_FIRST: TimeDelta = TimeDelta::minutes(15);
const PAUSE_MAX: TimeDelta = TimeDelta::hours(12);
/// No platform keeps us waiting longer than this.
const RETRY_AFTER_MAX: TimeDelta = TimeDelta::days(1);

/// When a post that was published at `since`, and looked at now, is looked at again.
pub(super) fn next_of_post(
    channel: IntegrationId,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    // What would be due in a moment was taken along.
    let first = FIRST.into_iter().map(|after| since + after).find(|at| *at > now + TAKEN_ALONG);
    match now - since {
        _ if first.is_some() => first,
        age if age < DAILY_FOR => Some(next_of_account(channel, now)),
        age if age < WATCHED_FOR => Some(next_of_account(channel, now + TimeDelta::days(6))),
        _ => None,
    }
}

/// The channel's own time of day, after now and what is taken along with it: all of a channel at once, and
/// not all channels at once.
pub(super) fn next_of_account(channel: IntegrationId, now: DateTime<Utc>) -> DateTime<Utc> {
    let [.., high, low] = *channel.uuid().as_bytes();
    let minute = TimeDelta::minutes(i64::from(u16::from_be_bytes([high, low])) % (24 * 60));
    let after = now + TAKEN_ALONG;
    let midnight = after.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let today = midnight + minute;
    if today > after { today } else { today + TimeDelta::days(1) }
}

/// How long a platform is left alone after so many looks in a row that failed, this one included.
pub(super) fn pause(misses: u32, retry_after: Option<Duration>) -> TimeDelta {
    let doubled = PAUSE_FIRST * (1_i32 << misses.saturating_sub(1).min(10));
    let asked = retry_after.and_then(|pause| TimeDelta::from_std(pause).ok()).unwrap_or_default();
    doubled.min(PAUSE_MAX).max(asked.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Whose time of day is 02:00.
    fn channel() -> IntegrationId {
        IntegrationId::new(Uuid::from_u128(120))
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("is a time")
    }

    #[test]
    fn looks_grow_rarer_and_end() {
        let since = at("2026-05-01T09:00:00Z");
        let mut looks = Vec::new();
        let mut now = since;
        while let Some(next) = next_of_post(channel(), since, now) {
            assert!(next > now, "time goes on");
            looks.push(next);
            now = next;
        }
        let first =
            ["2026-05-01T09:15:00Z", "2026-05-01T10:00:00Z", "2026-05-01T15:00:00Z", "2026-05-02T02:00:00Z"];
        assert_eq!(looks[..4], first.map(at));
        assert_eq!(looks[4], at("2026-05-03T02:00:00Z"), "then every day at the channel's time");
        let daily = looks.iter().filter(|look| **look - since < DAILY_FOR).count();
        assert_eq!(daily, 3 + 30);
        let gaps: Vec<i64> = looks.windows(2).skip(33).map(|pair| (pair[1] - pair[0]).num_days()).collect();
        assert!(gaps.iter().all(|gap| *gap == 7), "{gaps:?}");
        assert!(looks.len() <= 45, "{}", looks.len());
        assert!(looks[looks.len() - 1] - since < WATCHED_FOR + TimeDelta::days(7));
    }

    #[test]
    fn looks_that_were_missed_are_one() {
        let since = at("2026-05-01T09:00:00Z");
        assert_eq!(
            next_of_post(channel(), since, at("2026-05-01T12:00:00Z")),
            Some(at("2026-05-01T15:00:00Z"))
        );
        assert_eq!(
            next_of_post(channel(), since, at("2026-05-10T12:00:00Z")),
            Some(at("2026-05-11T02:00:00Z"))
        );
        assert_eq!(next_of_post(channel(), since, at("2026-09-01T12:00:00Z")), None);
    }

    #[test]
    fn a_day_has_one_look_at_an_account_and_what_was_taken_along_is_not_asked_for_again() {
        let next = |text| next_of_account(channel(), at(text));
        assert_eq!(next("2026-05-01T01:54:00Z"), at("2026-05-01T02:00:00Z"));
        assert_eq!(next("2026-05-01T01:56:00Z"), at("2026-05-02T02:00:00Z"));
        assert_eq!(next("2026-05-01T02:00:00Z"), at("2026-05-02T02:00:00Z"));
        assert_eq!(next("2026-05-01T23:57:00Z"), at("2026-05-02T02:00:00Z"));
    }

    #[test]
    fn pauses_grow_and_a_platform_may_ask_for_a_longer_one() {
        assert_eq!(pause(1, None), TimeDelta::minutes(15));
        assert_eq!(pause(3, None), TimeDelta::minutes(60));
        assert_eq!(pause(40, None), PAUSE_MAX);
        assert_eq!(pause(1, Some(Duration::from_secs(7_200))), TimeDelta::hours(2));
        assert_eq!(pause(1, Some(Duration::from_secs(9_999_999))), RETRY_AFTER_MAX);
    }
}
