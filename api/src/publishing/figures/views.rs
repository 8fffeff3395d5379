//! Figures as callers see them.

use annals_projections::publishing::figures::Changes;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    days::Figures,
    span::{Granularity, Span},
};

/// Counts and what follows from them. What a platform does not give is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CountsView {
    pub impressions: Option<i64>,
    pub likes: Option<i64>,
    pub comments: Option<i64>,
    pub shares: Option<i64>,
    pub clicks: Option<i64>,
    /// Likes, comments, shares and clicks, as far as they are given.
    pub engagements: Option<i64>,
    /// Engagements per hundred impressions, of what has impressions; null where nobody gives them.
    pub engagement_rate: Option<f64>,
    /// Engagements per hundred followers; null where their number is not known.
    pub engagement_rate_by_followers: Option<f64>,
}

/// Figures of a day, week or month.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PointView {
    /// The first day of it.
    pub date: NaiveDate,
    /// At the end, if they were counted then.
    pub followers: Option<i64>,
    pub follower_growth: Option<i64>,
    /// Posts on channels that were published, as Annals knows it itself.
    pub published: i64,
    /// Posts on channels that failed.
    pub failed: i64,
    /// What changed.
    #[serde(flatten)]
    pub counts: CountsView,
}

/// What changed to a post in a day, week or month.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PostPointView {
    /// The first day of it.
    pub date: NaiveDate,
    #[serde(flatten)]
    pub counts: CountsView,
}

/// A number in the period, and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ComparedCount {
    pub value: Option<i64>,
    pub previous: Option<i64>,
    /// Null where one of both is not known, or there was nothing before.
    pub percentage_change: Option<f64>,
}

/// A rate in the period, and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ComparedRate {
    pub value: Option<f64>,
    pub previous: Option<f64>,
    /// Null where one of both is not known, or it was nothing before.
    pub percentage_change: Option<f64>,
}

/// What changed in the period, beside the period before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TotalsView {
    /// At the end of each.
    pub followers: ComparedCount,
    pub follower_growth: ComparedCount,
    pub published: ComparedCount,
    pub failed: ComparedCount,
    pub impressions: ComparedCount,
    pub likes: ComparedCount,
    pub comments: ComparedCount,
    pub shares: ComparedCount,
    pub clicks: ComparedCount,
    pub engagements: ComparedCount,
    pub engagement_rate: ComparedRate,
    pub engagement_rate_by_followers: ComparedRate,
}

/// The days of an answer, both ends included.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpanView {
    pub start_date: NaiveDate,
    pub end_date: NaiveDate,
    /// Whose days they are.
    pub timezone: String,
    pub granularity: Granularity,
}

impl From<&Span> for SpanView {
    fn from(span: &Span) -> Self {
        Self {
            start_date: span.first,
            end_date: span.last,
            timezone: span.zone.as_str().to_string(),
            granularity: span.granularity,
        }
    }
}

impl CountsView {
    /// `followers` are those by whom a rate is to be told, if it is.
    pub(super) fn of(changes: Changes, followers: Option<i64>) -> Self {
        let counts = changes.counts;
        Self {
            impressions: counts.impressions,
            likes: counts.likes,
            comments: counts.comments,
            shares: counts.shares,
            clicks: counts.clicks,
            engagements: counts.engagements,
            engagement_rate: percent(changes.shown_engagements, counts.impressions),
            engagement_rate_by_followers: percent(counts.engagements, followers),
        }
    }
}

impl From<(NaiveDate, Figures)> for PointView {
    fn from((date, figures): (NaiveDate, Figures)) -> Self {
        Self {
            date,
            followers: figures.followers,
            follower_growth: figures.follower_growth,
            published: figures.published,
            failed: figures.failed,
            counts: CountsView::of(figures.changes, figures.followers),
        }
    }
}

impl From<(NaiveDate, Figures)> for PostPointView {
    fn from((date, figures): (NaiveDate, Figures)) -> Self {
        Self { date, counts: CountsView::of(figures.changes, None) }
    }
}

impl TotalsView {
    pub(super) fn of(now: &Figures, before: &Figures) -> Self {
        let counts = |of: fn(&Figures) -> Option<i64>| ComparedCount::of(of(now), of(before));
        let (rates, rates_before) =
            (CountsView::of(now.changes, now.followers), CountsView::of(before.changes, before.followers));
        Self {
            followers: counts(|figures| figures.followers),
            follower_growth: counts(|figures| figures.follower_growth),
            published: counts(|figures| Some(figures.published)),
            failed: counts(|figures| Some(figures.failed)),
            impressions: counts(|figures| figures.changes.counts.impressions),
            likes: counts(|figures| figures.changes.counts.likes),
            comments: counts(|figures| figures.changes.counts.comments),
            shares: counts(|figures| figures.changes.counts.shares),
            clicks: counts(|figures| figures.changes.counts.clicks),
            engagements: counts(|figures| figures.changes.counts.engagements),
            engagement_rate: ComparedRate::of(rates.engagement_rate, rates_before.engagement_rate),
            engagement_rate_by_followers: ComparedRate::of(
                rates.engagement_rate_by_followers,
                rates_before.engagement_rate_by_followers,
            ),
        }
    }
}

impl ComparedCount {
    pub(crate) fn of(value: Option<i64>, previous: Option<i64>) -> Self {
        let float = |count: Option<i64>| count.map(as_float);
        Self { value, previous, percentage_change: change(float(value), float(previous)) }
    }
}

impl ComparedRate {
    fn of(value: Option<f64>, previous: Option<f64>) -> Self {
        Self { value, previous, percentage_change: change(value, previous) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nothing is counted beyond 2^53")]
fn as_float(count: i64) -> f64 {
    count as f64
}

/// So many of a hundred; none of nothing.
fn percent(part: Option<i64>, whole: Option<i64>) -> Option<f64> {
    let (part, whole) = part.zip(whole.filter(|whole| *whole > 0))?;
    Some(rounded(as_float(part) * 100.0 / as_float(whole)))
}

fn change(now: Option<f64>, before: Option<f64>) -> Option<f64> {
    let (now, before) = now.zip(before.filter(|before| *before > 0.0))?;
    Some(rounded((now - before) * 100.0 / before))
}

/// To the hundredth.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_both_or_not_at_all() {
        assert_eq!(percent(Some(1), Some(3)), Some(33.33));
        assert_eq!(percent(Some(0), Some(3)), Some(0.0));
        assert_eq!(percent(Some(1), Some(0)), None);
        assert_eq!(percent(Some(1), None), None);
        assert_eq!(percent(None, Some(3)), None);
    }

    #[test]
    fn a_change_is_null_when_it_can_not_be_said() {
        let change = |value, previous| ComparedCount::of(value, previous).percentage_change;
        assert_eq!(change(Some(15), Some(10)), Some(50.0));
        assert_eq!(change(Some(5), Some(10)), Some(-50.0));
        assert_eq!(change(Some(5), Some(0)), None, "from nothing, everything is infinitely more");
        assert_eq!(change(Some(5), None), None);
        assert_eq!(change(None, Some(10)), None);
    }
}
