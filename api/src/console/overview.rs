//! The first page: what is planned and what happened; for the operator also how the installation does.

use actix_web::{HttpRequest, web};
use annals_commands::timers::{TimerFilter, TimerState};
use annals_domain::publishing::PostStatus;
use annals_projections::publishing::{
    activity::ActivityFilter,
    posts::{Paging, PostFilter},
};
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::{
    frame::Frame,
    parts::{empty, number, shortened},
    plot::{Plot, bins},
    posts::status_pill,
    samples::Sample,
    timeline,
};
use crate::{
    http::{ApiError, ApiResult, Caller, pages::PageSession},
    publishing::{activity, overview, posts, views::PostView},
    state::AppState,
};

const NEXT_POSTS: u64 = 6;
const LAST_EVENTS: u32 = 12;
/// More parked timers than that are not counted.
const PARKED_COUNTED_MAX: u32 = 100;
/// How far back the plots go.
const PLOTTED: TimeDelta = TimeDelta::minutes(15);

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let installation = match caller.may("system", "read") {
        true => Some(installation(&frame, &state).await?),
        false => None,
    };
    let organization = match caller.is_member {
        true => Some(organization(&frame, &state, &caller).await?),
        false => None,
    };
    let content = html! {
        div.heading { h1 { "Overview" } }
        @if let Some(installation) = installation { (installation) }
        @if let Some(organization) = organization { (organization) }
    };
    Ok(frame.page("Overview", content))
}

/// What the operator watches.
async fn installation(frame: &Frame, state: &AppState) -> Result<Markup, ApiError> {
    let samples = state.samples.all();
    let samples = samples.as_slice();
    let nodes = state.operations.nodes().await?.len();
    let parked = TimerFilter { state: Some(TimerState::Parked), ..TimerFilter::default() };
    let parked = state.operations.timers(&parked, PARKED_COUNTED_MAX + 1).await?.len();
    let (from, to) = (frame.now - PLOTTED, frame.now);
    let appended = appended_per_second(samples);
    let behind = bins(samples.iter().map(|sample| (sample.at, sample.most_behind() as f64)), f64::max);
    let plot = |id, title, unit, points| Plot { id, title, unit, from, to, zone: frame.zone, points }.draw();
    let last = samples.last();
    Ok(html! {
        section #installation data-live="2000" aria-label="The installation" {
            dl.figures {
                div { dt { "events in the log" } dd { (last.map_or_else(|| "–".into(), |last| number(last.head))) } }
                div {
                    dt { "appended per second, now" }
                    dd { (appended.last().map_or_else(|| "–".into(), |(_, rate)| super::plot::short(*rate))) }
                }
                div {
                    dt { "events the slowest read model is behind" }
                    dd { (last.map_or_else(|| "–".into(), |last| number(last.most_behind()))) }
                }
                div { dt { a href="/console/nodes" { "nodes alive" } } dd { (nodes) } }
                div {
                    dt { a href="/console/timers?state=parked" { "timers parked" } }
                    dd { @if parked > PARKED_COUNTED_MAX as usize { (PARKED_COUNTED_MAX) "+" } @else { (parked) } }
                }
            }
            div.pair {
                section.card {
                    h2 { "Appended" }
                    (plot("appended", "Events appended in the last 15 minutes", "events/s", &appended))
                }
                section.card {
                    h2 { "Behind" }
                    (plot("behind", "How far the slowest read model was behind in the last 15 minutes",
                        "events", &behind))
                }
            }
        }
    })
}

/// The mean of each bin of time.
fn appended_per_second(samples: &[Sample]) -> Vec<(DateTime<Utc>, f64)> {
    let rates = samples.windows(2).filter_map(|pair| {
        let [before, after] = pair else { return None };
        let seconds = (after.at - before.at).as_seconds_f64();
        let appended = after.head.saturating_sub(before.head);
        (seconds > 0.0).then(|| (after.at, appended as f64 / seconds))
    });
    let counted = rates.map(|(at, rate)| (at, (rate, 1.0)));
    let sums = bins(counted, |(sum, count), (rate, one)| (sum + rate, count + one));
    sums.into_iter().map(|(at, (sum, count))| (at, sum / count)).collect()
}

/// What a member wants to know of their organization.
async fn organization(frame: &Frame, state: &AppState, caller: &Caller) -> Result<Markup, ApiError> {
    let counts = overview::statuses(state, caller).await?;
    let filter = PostFilter {
        from: Some(frame.now),
        statuses: vec![PostStatus::Scheduled, PostStatus::Publishing],
        ..PostFilter::default()
    };
    let (next, _) = posts::find(state, caller, &filter, Paging { page: 1, per_page: NEXT_POSTS }).await?;
    let (last, _) = activity::timeline(state, caller, &ActivityFilter::default(), LAST_EVENTS).await?;
    Ok(html! {
        dl.figures aria-label="Posts by status" {
            @for (status, count) in &counts {
                div { dt { (status.replace('_', " ")) } dd { (number(*count)) } }
            }
        }
        div.pair {
            section.card {
                h2 { "Next posts" }
                (next_posts(frame, &next))
            }
            section #timeline .card data-live="5000" {
                h2 { "What happened last" }
                (timeline::list(frame, &last))
            }
        }
    })
}

fn next_posts(frame: &Frame, posts: &[PostView]) -> Markup {
    if posts.is_empty() {
        return empty(
            "Nothing is planned",
            "Schedule a post with POST /api/v1/posts, and it will stand here.",
        );
    }
    html! {
        table {
            thead { tr { th scope="col" { "Due" } th scope="col" { "Post" } th scope="col" { "Status" } } }
            tbody {
                @for post in posts {
                    tr {
                        td { @if let Some(at) = post.scheduled_at { (frame.time(at)) } }
                        td { a href={ "/console/posts/" (post.id) } { (shortened(&post.content, 80)) } }
                        td { (status_pill(post.status)) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: i64, head: u64) -> Sample {
        let at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(second);
        Sample { at, head, behind: Vec::new() }
    }

    #[test]
    fn the_rate_is_what_was_appended_by_the_seconds_between() {
        let rates = appended_per_second(&[sample(0, 10), sample(1, 20), sample(2, 20), sample(8, 80)]);
        let rates: Vec<_> = rates.into_iter().map(|(at, rate)| (at.timestamp(), rate)).collect();
        assert_eq!(rates, [(0, 5.0), (5, 10.0)]);
    }
}
