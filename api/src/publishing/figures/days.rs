//! Days put together from what the read model has, and what of it is known.

use std::collections::{BTreeMap, BTreeSet};

use annals_commands::ports::social::{Figure, Platforms};
use annals_domain::kernel::IntegrationId;
use annals_projections::publishing::{
    channels,
    figures::{self, Changes, Counts, Looked, Scope},
    overview::Period,
};
use chrono::NaiveDate;
use sqlx::PgPool;
use uuid::Uuid;

use super::span::Span;
use crate::{http::ApiError, state::AppState};

/// One day, or several together. What nobody knows is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub changes: Changes,
    /// At the end.
    pub followers: Option<i64>,
    pub follower_growth: Option<i64>,
    /// Posts on channels, as we know it ourselves.
    pub published: i64,
    pub failed: i64,
}

/// Which channels give which figures.
type Given = BTreeMap<Uuid, &'static [Figure]>;

impl Figures {
    /// This and what comes after it.
    pub(super) fn then(self, later: Self) -> Self {
        let (a, b) = (self.changes, later.changes);
        let sum = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self {
            changes: Changes {
                counts: Counts {
                    impressions: sum(a.counts.impressions, b.counts.impressions),
                    likes: sum(a.counts.likes, b.counts.likes),
                    comments: sum(a.counts.comments, b.counts.comments),
                    shares: sum(a.counts.shares, b.counts.shares),
                    clicks: sum(a.counts.clicks, b.counts.clicks),
                    engagements: sum(a.counts.engagements, b.counts.engagements),
                },
                shown_engagements: sum(a.shown_engagements, b.shown_engagements),
            },
            followers: later.followers.or(self.followers),
            follower_growth: sum(self.follower_growth, later.follower_growth),
            published: self.published.saturating_add(later.published),
            failed: self.failed.saturating_add(later.failed),
        }
    }

    pub(super) fn total<'d>(days: impl IntoIterator<Item = &'d (NaiveDate, Self)>) -> Self {
        days.into_iter().fold(Self::default(), |total, (_, day)| total.then(*day))
    }
}

/// Points of the span's granularity, each with the first day of what it stands for.
pub(super) fn points(days: &[(NaiveDate, Figures)], span: &Span) -> Vec<(NaiveDate, Figures)> {
    let mut points: Vec<(NaiveDate, Figures)> = Vec::new();
    for (day, figures) in days {
        let bucket = span.bucket(*day);
        match points.last_mut() {
            Some((last, sum)) if *last == bucket => *sum = sum.then(*figures),
            _ => points.push((bucket, *figures)),
        }
    }
    points
}

/// Every day of a span, of an organization or of one of its channels.
pub(super) async fn of_channels(
    state: &AppState,
    pool: &PgPool,
    scope: Scope,
    span: &Span,
) -> Result<Vec<(NaiveDate, Figures)>, ApiError> {
    let period = span.period()?;
    let mut days = changes(state, pool, scope, span, &period, None).await?;
    for delivered in figures::delivered(pool, scope, &period).await? {
        if let Some(day) = days.get_mut(&delivered.day) {
            (day.published, day.failed) = (delivered.published, delivered.failed);
        }
    }
    // Of channels that were not counted on a day, what they had before still stands.
    let mut standing: BTreeMap<Uuid, i64> = BTreeMap::new();
    for account in figures::accounts(pool, scope, &period).await? {
        if let Some(followers) = account.followers {
            standing.insert(account.channel_id, followers);
        }
        let Some(day) = account.day.and_then(|day| days.get_mut(&day)) else { continue };
        day.followers = Some(standing.values().sum());
        if let Some(change) = account.followers_change {
            day.follower_growth = Some(day.follower_growth.unwrap_or(0) + change);
        }
    }
    Ok(days.into_iter().collect())
}

/// Every day of a span, of one post on these channels.
pub(super) async fn of_post(
    state: &AppState,
    pool: &PgPool,
    scope: Scope,
    span: &Span,
    published: &BTreeMap<Uuid, NaiveDate>,
) -> Result<Vec<(NaiveDate, Figures)>, ApiError> {
    let period = span.period()?;
    Ok(changes(state, pool, scope, span, &period, Some(published)).await?.into_iter().collect())
}

/// What changed on each day; on days on which a platform answered, what did not change is zero.
async fn changes(
    state: &AppState,
    pool: &PgPool,
    scope: Scope,
    span: &Span,
    period: &Period,
    published: Option<&BTreeMap<Uuid, NaiveDate>>,
) -> Result<BTreeMap<NaiveDate, Figures>, ApiError> {
    let mut days: BTreeMap<NaiveDate, Figures> = span.days().map(|day| (day, Figures::default())).collect();
    let mut looked = figures::looked(pool, scope, period).await?;
    if let Some(published) = published {
        looked.retain(|look| published.get(&look.channel_id).is_some_and(|day| *day <= look.day));
    }
    let given = given(&state.platforms, pool, scope, &looked).await?;
    for Looked { day, channel_id } in looked {
        if let (Some(day), Some(given)) = (days.get_mut(&day), given.get(&channel_id)) {
            day.changes.counts = zeros(day.changes.counts, given);
        }
    }
    for change in figures::changes(pool, scope, period).await? {
        if let Some(day) = days.get_mut(&change.day) {
            *day = day.then(Figures { changes: change.changes, ..Figures::default() });
        }
    }
    Ok(days)
}

/// What these channels' platforms give, disconnected ones too.
async fn given(
    platforms: &Platforms,
    pool: &PgPool,
    scope: Scope,
    looked: &[Looked],
) -> Result<Given, ApiError> {
    let ids: BTreeSet<Uuid> = looked.iter().map(|look| look.channel_id).collect();
    let ids: Vec<IntegrationId> = ids.into_iter().map(IntegrationId::new).collect();
    let channels = channels::named(pool, scope.organization, &ids).await?;
    let given = channels.into_values().filter_map(|channel| {
        let provider = platforms.get(&channel.platform)?;
        Some((channel.id, provider.figures()))
    });
    Ok(given.collect())
}

/// Zero where a figure is given and nothing is known yet.
fn zeros(counts: Counts, given: &[Figure]) -> Counts {
    let zero = |figure: Figure, count: Option<i64>| count.or_else(|| given.contains(&figure).then_some(0));
    let engages = [Figure::Likes, Figure::Comments, Figure::Shares, Figure::Clicks];
    Counts {
        impressions: zero(Figure::Impressions, counts.impressions),
        likes: zero(Figure::Likes, counts.likes),
        comments: zero(Figure::Comments, counts.comments),
        shares: zero(Figure::Shares, counts.shares),
        clicks: zero(Figure::Clicks, counts.clicks),
        engagements: counts
            .engagements
            .or_else(|| engages.iter().any(|figure| given.contains(figure)).then_some(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likes(likes: Option<i64>) -> Figures {
        let counts = Counts { likes, ..Counts::default() };
        Figures { changes: Changes { counts, shown_engagements: None }, ..Figures::default() }
    }

    #[test]
    fn what_is_absent_stays_absent_and_does_not_count_as_zero() {
        let days =
            [(NaiveDate::MIN, likes(None)), (NaiveDate::MIN, likes(Some(3))), (NaiveDate::MIN, likes(None))];
        assert_eq!(Figures::total(&days).changes.counts.likes, Some(3));
        assert_eq!(Figures::total(&days[..1]).changes.counts.likes, None);
    }

    #[test]
    fn the_last_state_stands_and_growth_adds_up() {
        let day = |followers, growth| Figures { followers, follower_growth: growth, ..Figures::default() };
        let total = day(Some(10), None).then(day(Some(12), Some(2))).then(day(None, None));
        assert_eq!((total.followers, total.follower_growth), (Some(12), Some(2)));
    }

    #[test]
    fn a_day_on_which_a_platform_answered_has_zeros_for_what_it_gives() {
        let counts = zeros(Counts { likes: Some(2), ..Counts::default() }, &[Figure::Likes, Figure::Shares]);
        assert_eq!((counts.likes, counts.shares, counts.comments), (Some(2), Some(0), None));
        assert_eq!((counts.impressions, counts.engagements), (None, Some(0)));
        assert_eq!(zeros(Counts::default(), &[Figure::Followers]), Counts::default());
    }
}
