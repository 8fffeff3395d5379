//! The posts of a week or a month, on the days of whoever looks.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, web};
use annals_domain::kernel::TimeZone;
use annals_projections::publishing::posts::{Paging, PostFilter};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame::Frame,
    parts::{empty, shortened, time},
    posts::status_pill,
};
use crate::{
    http::{ApiError, ApiResult, Caller, Query, pages::PageSession},
    publishing::{posts, times, views::PostView},
    state::AppState,
};

/// More than that in a month is said, not shown.
const SHOWN_MAX: u64 = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalendarQuery {
    /// `week` (or left out) or `month`.
    view: Option<View>,
    /// A day within; today if it is left out.
    on: Option<NaiveDate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum View {
    Week,
    Month,
}

/// Whole weeks, from a Monday to before another.
struct Span {
    view: View,
    on: NaiveDate,
    from: NaiveDate,
    to: NaiveDate,
}

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    Query(query): Query<CalendarQuery>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let today = frame.now.with_timezone(&frame.zone).date_naive();
    let span = Span::of(query.view.unwrap_or(View::Week), query.on.unwrap_or(today))
        .ok_or_else(|| ApiError::field("on", "is too far away"))?;
    let zone = times::zone(&state, caller.user_id, None).await?;
    let filter = PostFilter {
        from: start_of(span.from, &zone),
        to: start_of(span.to, &zone),
        ..PostFilter::default()
    };
    let (found, total) =
        posts::find(&state, &caller, &filter, Paging { page: 1, per_page: SHOWN_MAX }).await?;
    let mut days: BTreeMap<NaiveDate, Vec<&PostView>> = BTreeMap::new();
    for post in &found {
        if let Some(at) = post.scheduled_at {
            days.entry(at.with_timezone(&frame.zone).date_naive()).or_default().push(post);
        }
    }
    let content = html! {
        div.heading {
            h1 { (span.name()) }
            (span.ways(today))
        }
        @if total > SHOWN_MAX {
            p.notice.warning { "There are " (total) " posts; the first " (SHOWN_MAX) " are shown." }
        }
        div #calendar data-live="10000" {
            (span.grid(&frame, &days, today))
            @if found.is_empty() {
                (empty("No post is due in these days",
                    "Posts stand here by the time they are scheduled for. POST /api/v1/posts schedules one."))
            }
        }
    };
    Ok(frame.page("Calendar", content))
}

fn start_of(day: NaiveDate, zone: &TimeZone) -> Option<DateTime<Utc>> {
    times::midnight(day, zone)
}

impl Span {
    fn of(view: View, on: NaiveDate) -> Option<Self> {
        let monday =
            |day: NaiveDate| day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())));
        let (from, last) = match view {
            View::Week => (on, on),
            View::Month => {
                let first = on.with_day(1)?;
                (first, first.checked_add_months(Months::new(1))?.pred_opt()?)
            }
        };
        let to = monday(last)?.checked_add_days(Days::new(7))?;
        Some(Self { view, on, from: monday(from)?, to })
    }

    fn name(&self) -> String {
        match self.view {
            View::Month => self.on.format("%B %Y").to_string(),
            View::Week => {
                let last = self.to.pred_opt().unwrap_or(self.to);
                let from = match (self.from.year() == last.year(), self.from.month() == last.month()) {
                    (true, true) => self.from.format("%-d"),
                    (true, false) => self.from.format("%-d %B"),
                    (false, _) => self.from.format("%-d %B %Y"),
                };
                format!("{from} to {}", last.format("%-d %B %Y"))
            }
        }
    }

    /// Before, today, after; week or month.
    fn ways(&self, today: NaiveDate) -> Markup {
        let (before, after, unit) = match self.view {
            View::Week => {
                (self.on.checked_sub_days(Days::new(7)), self.on.checked_add_days(Days::new(7)), "week")
            }
            View::Month => {
                let first = self.on.with_day(1).unwrap_or(self.on);
                let month = Months::new(1);
                (first.checked_sub_months(month), first.checked_add_months(month), "month")
            }
        };
        let way = |view: &str, on: NaiveDate| format!("/console/posts?view={view}&on={on}");
        html! {
            nav.ways aria-label="Days shown" {
                @if let Some(before) = before { a.button href=(way(unit, before)) { "← Earlier" } }
                a.button href=(way(unit, today)) { "Today" }
                @if let Some(after) = after { a.button href=(way(unit, after)) { "Later →" } }
                span.switch {
                    a.button href=(way("week", self.on))
                        aria-current=[(self.view == View::Week).then_some("true")] { "Week" }
                    a.button href=(way("month", self.on))
                        aria-current=[(self.view == View::Month).then_some("true")] { "Month" }
                }
            }
        }
    }

    fn grid(&self, frame: &Frame, days: &BTreeMap<NaiveDate, Vec<&PostView>>, today: NaiveDate) -> Markup {
        let all: Vec<NaiveDate> = self.from.iter_days().take_while(|day| *day < self.to).collect();
        let names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
        let class = if self.view == View::Week { "calendar week" } else { "calendar month" };
        html! {
            table class=(class) {
                caption.visually-hidden { "Posts by day, in the time of " (frame.zone.name()) }
                thead { tr { @for name in names { th scope="col" { (name) } } } }
                tbody {
                    @for week in all.chunks(7) {
                        tr {
                            @for day in week {
                                @let posts = days.get(day).map(Vec::as_slice).unwrap_or_default();
                                (self.day(frame, *day, posts, today))
                            }
                        }
                    }
                }
            }
        }
    }

    fn day(&self, frame: &Frame, day: NaiveDate, posts: &[&PostView], today: NaiveDate) -> Markup {
        let is_beside = self.view == View::Month && day.month() != self.on.month();
        let chars = if self.view == View::Week { 90 } else { 34 };
        html! {
            td.today[day == today].beside[is_beside].free[posts.is_empty()]
                aria-current=[(day == today).then_some("date")] {
                p.date { span.weekday { (day.format("%A ")) } (day.format("%-d")) span.in-month { (day.format(" %b")) } }
                @if !posts.is_empty() {
                    ul {
                        @for post in posts {
                            li {
                                a.entry href={ "/console/posts/" (post.id) } {
                                    span.entry-head {
                                        @if let Some(at) = post.scheduled_at { (time(at, frame.zone, "%H:%M")) }
                                        (status_pill(post.status))
                                        @if let Some(series) = &post.series {
                                            span.muted title="An occurrence of a series" {
                                                "↻ " (series.status.as_deref().unwrap_or("series"))
                                            }
                                        }
                                    }
                                    span.entry-text { (shortened(&post.content, chars)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("is a day")
    }

    #[test]
    fn a_week_is_from_monday_and_a_month_is_whole_weeks() {
        let week = Span::of(View::Week, day("2026-11-20")).expect("is near");
        assert_eq!((week.from, week.to), (day("2026-11-16"), day("2026-11-23")));
        assert_eq!(week.name(), "16 to 22 November 2026");
        let month = Span::of(View::Month, day("2026-11-20")).expect("is near");
        assert_eq!((month.from, month.to), (day("2026-10-26"), day("2026-12-07")));
        assert_eq!(month.name(), "November 2026");
        let turn = Span::of(View::Week, day("2026-12-31")).expect("is near");
        assert_eq!(turn.name(), "28 December 2026 to 3 January 2027");
        assert!(Span::of(View::Month, NaiveDate::MAX).is_none());
    }
}
