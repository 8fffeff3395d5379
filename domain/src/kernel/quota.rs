//! How much of something an organization may have. What a tier is stands in a policy; here is only how a
//! limit is checked by the aggregate that counts, and how it is told.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidText, Refusal, RefusalKind};

/// What a policy calls a tier: `free`, `standard`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TierName(String);

impl TierName {
    pub const MAX_CHARS: usize = 32;

    /// # Errors
    /// If it is not 1 to 32 of `a-z`, `0-9`, `-` and `_`, a letter first.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let fits = text.len() <= Self::MAX_CHARS
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
        if fits {
            Ok(Self(text.to_string()))
        } else {
            Err(InvalidText::new("must be 1 to 32 of a-z, 0-9, - and _, and start with a letter"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TierName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a tier bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quota {
    /// Connected channels, disabled ones and those whose access was lost too.
    Channels,
    /// Posts that are due in a month of UTC, drafts and what was cancelled before it went out aside.
    PostsPerMonth,
    /// Members and open invitations.
    Members,
    /// Of all files, without the variants that are made of them.
    MediaBytes,
    /// That were not revoked.
    ApiKeys,
}

impl Quota {
    pub const ALL: [Quota; 5] =
        [Quota::Channels, Quota::PostsPerMonth, Quota::Members, Quota::MediaBytes, Quota::ApiKeys];

    /// As policies and answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Quota::Channels => "channels",
            Quota::PostsPerMonth => "posts_per_month",
            Quota::Members => "members",
            Quota::MediaBytes => "media_bytes",
            Quota::ApiKeys => "api_keys",
        }
    }

    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Quota::Channels => "channels",
            Quota::PostsPerMonth => "posts a month",
            Quota::Members => "members and open invitations",
            Quota::MediaBytes => "bytes of media",
            Quota::ApiKeys => "API keys",
        }
    }
}

impl std::str::FromStr for Quota {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let found = Quota::ALL.into_iter().find(|quota| quota.as_str() == text);
        found.ok_or_else(|| {
            let names = Quota::ALL.map(Quota::as_str).join(", ");
            InvalidText::new(format!("must be one of {names}"))
        })
    }
}

/// What an organization's tier lets it have of something, as a command brings it to whoever counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub quota: Quota,
    pub tier: TierName,
    /// None: without a limit.
    pub limit: Option<u64>,
    /// The next tier that has more of it.
    pub more_in: Option<TierName>,
}

impl Allowance {
    /// # Errors
    /// If `wanted` beside the `used` ones would be more than there may be.
    pub fn check(&self, used: u64, wanted: u64) -> Result<(), QuotaExceeded> {
        match self.limit {
            Some(limit) if used.saturating_add(wanted) > limit => Err(QuotaExceeded {
                quota: self.quota,
                tier: self.tier.clone(),
                limit,
                used,
                wanted,
                month: None,
                more_in: self.more_in.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// More than the organization's tier has: what is there stays, what is new is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaExceeded {
    pub quota: Quota,
    pub tier: TierName,
    pub limit: u64,
    pub used: u64,
    pub wanted: u64,
    /// Of a quota that begins anew each month.
    pub month: Option<Month>,
    pub more_in: Option<TierName>,
}

impl std::fmt::Display for QuotaExceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { quota, tier, limit, used, .. } = self;
        write!(f, "the tier {tier} has {limit} {}, and {used} are used", quota.words())?;
        if let Some(month) = &self.month {
            write!(f, " in {month}")?;
        }
        if self.wanted > 1 {
            write!(f, "; this takes {}", self.wanted)?;
        }
        match &self.more_in {
            Some(more) => write!(f, "; the tier {more} has more"),
            None => write!(f, "; no tier has more"),
        }
    }
}

impl std::error::Error for QuotaExceeded {}

impl Refusal for QuotaExceeded {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        "QUOTA_EXCEEDED"
    }

    fn quota(&self) -> Option<&QuotaExceeded> {
        Some(self)
    }
}

/// A month of UTC, such as `2026-12`.
///
/// Of UTC and not of the organization's zone: that can be changed, and a post would change its month with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Month(String);

impl Month {
    /// The month that a moment lies in.
    pub fn of(at: DateTime<Utc>) -> Self {
        Self(format!("{:04}-{:02}", at.year(), at.month()))
    }

    /// # Errors
    /// If it is not of the form `2026-12`.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let is_written_so = text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let fits = is_written_so && first_day(text).is_some();
        if fits {
            Ok(Self(text.to_string()))
        } else {
            Err(InvalidText::new("must be a month such as 2026-12"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the next one begins.
    pub fn end(&self) -> DateTime<Utc> {
        let next = first_day(&self.0).and_then(|day| day.checked_add_months(Months::new(1)));
        next.and_then(|day| day.and_hms_opt(0, 0, 0)).map_or(DateTime::<Utc>::MAX_UTC, |at| at.and_utc())
    }
}

fn first_day(month: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d").ok()
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(name: &str) -> TierName {
        TierName::parse(name).expect("is a name")
    }

    #[test]
    fn a_limit_holds_and_no_limit_does_not() {
        let channels = |limit| Allowance {
            quota: Quota::Channels,
            tier: tier("free"),
            limit,
            more_in: Some(tier("standard")),
        };
        assert_eq!(channels(Some(3)).check(2, 1), Ok(()));
        assert_eq!(channels(None).check(u64::MAX, 1), Ok(()));
        let refused = channels(Some(3)).check(3, 1).expect_err("is full");
        assert_eq!(
            refused.to_string(),
            "the tier free has 3 channels, and 3 are used; the tier standard has more"
        );
        assert_eq!((refused.code(), refused.kind()), ("QUOTA_EXCEEDED", RefusalKind::Conflict));
        // After a downgrade more is there than may be: it stays, and nothing new comes.
        assert!(channels(Some(3)).check(7, 1).is_err());
        assert_eq!(channels(Some(3)).check(3, 0), Ok(()));
    }

    #[test]
    fn months_are_those_of_utc() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("is a time");
        assert_eq!(Month::of(at("2026-12-31T23:59:59.999Z")).as_str(), "2026-12");
        assert_eq!(Month::of(at("2027-01-01T00:00:00Z")).as_str(), "2027-01");
        assert_eq!(Month::of(at("2027-01-01T00:30:00+01:00")).as_str(), "2026-12");
        assert_eq!(Month::parse("2026-12").expect("is one").end(), at("2027-01-01T00:00:00Z"));
        for wrong in ["", "2026", "2026-13", "2026-1", "26-12", "2026-12-01", " 2026-1"] {
            assert!(Month::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_tiers_name_is_short_and_plain() {
        for right in ["free", "pro-2026", "a", "team_5", &"x".repeat(32)] {
            assert!(TierName::parse(right).is_ok(), "{right}");
        }
        for wrong in ["", "Free", "2x", "a b", "-a", "ä", &"x".repeat(33)] {
            assert!(TierName::parse(wrong).is_err(), "{wrong}");
        }
        for quota in Quota::ALL {
            assert_eq!(quota.as_str().parse(), Ok(quota));
        }
        assert!("seats".parse::<Quota>().is_err());
    }
}
