//! What platforms count: followers, engagement by day, the best posts; and why there is nothing, where so.

use actix_web::{HttpRequest, web};
use annals_domain::kernel::IntegrationId;
use chrono::{Days, NaiveDate};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    day_plot::{DayPlot, Shape},
    frame::Frame,
    parts::{Tone, empty, number, pill, scrolling, shortened},
};
use crate::{
    http::{ApiError, ApiResult, Caller, Query, pages::PageSession},
    publishing::figures::{
        Asked, ChannelFiguresView, ComparedCount, OverviewFigures, PointView, RankedView, RankingQueryInput,
        Span, TotalsView, best, of_organization, trends,
    },
    state::AppState,
};

const BEST: u64 = 10;
const DAYS: u64 = 30;
const CHOICES: [(u64, &str); 4] = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FiguresPage {
    /// So many days, today included; 30 if it is left out.
    days: Option<u64>,
    /// Only this channel; all if it is left out or empty.
    channel: Option<String>,
}

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    Query(query): Query<FiguresPage>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let days = query.days.unwrap_or(DAYS);
    if !CHOICES.iter().any(|(choice, _)| *choice == days) {
        return Err(ApiError::field("days", "must be 7, 30, 90 or 365"));
    }
    let channel = query.channel.as_deref().filter(|text| !text.is_empty()).map(str::parse::<Uuid>);
    let channel = channel.transpose().map_err(|_| ApiError::not_found("channel"))?;
    let today = frame.now.with_timezone(&frame.zone).date_naive();
    let start = today.checked_sub_days(Days::new(days - 1)).unwrap_or(today).to_string();
    let span = Span::of(&state, &caller, Asked { start_date: Some(&start), ..Asked::default() }).await?;
    let all = of_organization(&state, &caller, &span).await?;
    let shown = match channel {
        None => None,
        Some(id) => Some(trends(&state, &caller, &span, Some(IntegrationId::new(id))).await?),
    };
    let shown = shown.as_ref().unwrap_or(&all.trends);
    let ranking = RankingQueryInput {
        start_date: Some(start),
        integration: channel,
        per_page: Some(BEST),
        ..RankingQueryInput::default()
    };
    let (posts, _) = best(&state, &caller, &ranking).await?;
    let content = html! {
        div.heading { h1 { "Figures" } }
        @if all.integrations.is_empty() {
            (empty("There is no channel yet",
                "What platforms count stands here once an account is connected: POST /api/v1/integrations/connect."))
        } @else {
            section.card { (choice(&all, days, channel)) }
            div #figures data-live="60000" {
                (totals(&shown.totals, days))
                (plots(&shown.series))
                section.card { h2 { "Best posts" } (best_posts(&frame, &posts)) }
                section.card { h2 { "Channels" } (channels(&frame, &all.integrations)) }
            }
        }
    };
    Ok(frame.page("Figures", content))
}

/// Which days, of which channel.
fn choice(all: &OverviewFigures, days: u64, channel: Option<Uuid>) -> Markup {
    html! {
        form.search method="get" action="/console/figures" {
            div {
                label for="figures-days" { "Days" }
                select id="figures-days" name="days" {
                    @for (value, name) in CHOICES { option value=(value) selected[value == days] { (name) } }
                }
            }
            div {
                label for="figures-channel" { "Channel" }
                select id="figures-channel" name="channel" {
                    option value="" { "All channels" }
                    @for known in &all.integrations {
                        option value=(known.id) selected[Some(known.id) == channel] { (known.name) }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

/// What is known, beside the days before.
fn totals(totals: &TotalsView, days: u64) -> Markup {
    let figures = [
        ("followers", totals.followers),
        ("new followers", totals.follower_growth),
        ("impressions", totals.impressions),
        ("engagements", totals.engagements),
        ("likes", totals.likes),
        ("comments", totals.comments),
        ("shares", totals.shares),
        ("clicks", totals.clicks),
        ("published", totals.published),
        ("failed", totals.failed),
    ];
    html! {
        dl.figures aria-label={ "The last " (days) " days" } {
            @for (name, compared) in figures {
                @if let Some(value) = compared.value {
                    div { dt { (name) (beside(compared, days)) } dd { (signed(value)) } }
                }
            }
        }
    }
}

fn beside(compared: ComparedCount, days: u64) -> Markup {
    html! {
        @match (compared.percentage_change, compared.previous) {
            (Some(change), _) => span.quiet title={ "beside the " (days) " days before" } { " " (format!("{change:+.0} %")) },
            (None, Some(before)) => span.quiet title={ "in the " (days) " days before" } { " before: " (signed(before)) },
            (None, None) => {},
        }
    }
}

fn signed(value: i64) -> String {
    let digits = number(value.unsigned_abs());
    if value < 0 { format!("−{digits}") } else { digits }
}

fn plots(series: &[PointView]) -> Markup {
    let days = |of: fn(&PointView) -> Option<i64>| -> Vec<(NaiveDate, Option<i64>)> {
        series.iter().map(|point| (point.date, of(point))).collect()
    };
    let followers = days(|point| point.followers);
    let engagements = days(|point| point.counts.engagements);
    let published = days(|point| Some(point.published));
    let plot = |id, title, unit, shape, days| DayPlot { id, title, unit, shape, days }.draw();
    let is_known = |days: &[(NaiveDate, Option<i64>)]| days.iter().any(|(_, value)| value.is_some());
    html! {
        div.pair {
            section.card {
                h2 { "Followers" }
                @if is_known(&followers) {
                    (plot("followers", "Followers at the end of each day", "followers", Shape::Line, &followers))
                } @else {
                    (empty("No followers were counted in these days", "Below stands what each channel's platform gives, and why not."))
                }
            }
            section.card {
                h2 { "Engagement" }
                @if is_known(&engagements) {
                    (plot("engagements", "Likes, comments, shares and clicks on each day", "engagements", Shape::Bars, &engagements))
                } @else {
                    (empty("Nothing was counted in these days", "A platform is asked 15 minutes after a post is published, and then less and less often."))
                }
            }
        }
        section.card {
            h2 { "Published" }
            (plot("published", "Posts on channels published on each day", "posts", Shape::Bars, &published))
        }
    }
}

fn best_posts(frame: &Frame, posts: &[RankedView]) -> Markup {
    if posts.is_empty() {
        return empty(
            "No post of these days is counted",
            "Posts stand here once their platform says how they were received.",
        );
    }
    let cell = |value: Option<i64>| value.map_or_else(|| "–".to_string(), signed);
    scrolling(
        "Best posts",
        &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Post" }
                        th scope="col" { "Published" }
                        th.number scope="col" { "Engagements" }
                        th.number scope="col" { "Likes" }
                        th.number scope="col" { "Comments" }
                        th.number scope="col" { "Shares" }
                        th.number scope="col" { "Impressions" }
                    }
                }
                tbody {
                    @for post in posts {
                        tr {
                            th scope="row" { a href={ "/console/posts/" (post.id) } { (shortened(&post.content, 60)) } }
                            td { (frame.time(post.published_at)) }
                            td.number { (cell(post.totals.engagements)) }
                            td.number { (cell(post.totals.likes)) }
                            td.number { (cell(post.totals.comments)) }
                            td.number { (cell(post.totals.shares)) }
                            td.number { (cell(post.totals.impressions)) }
                        }
                    }
                }
            }
        },
    )
}

fn channels(frame: &Frame, channels: &[ChannelFiguresView]) -> Markup {
    scrolling(
        "Channels",
        &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Channel" }
                        th scope="col" { "Figures" }
                        th.number scope="col" { "Followers" }
                        th scope="col" { "Looked at" }
                    }
                }
                tbody {
                    @for channel in channels {
                        tr {
                            th scope="row" { (channel.name) " " span.quiet { (channel.platform) } }
                            td {
                                (pill(tone(channel.state.status), channel.state.status))
                                @if let Some(reason) = &channel.state.reason { " " (reason) }
                            }
                            td.number { (channel.account.followers.map_or_else(|| "–".to_string(), signed)) }
                            td { @if let Some(at) = channel.state.looked_at { (frame.time(at)) } }
                        }
                    }
                }
            }
        },
    )
}

fn tone(status: &str) -> Tone {
    match status {
        "counted" => Tone::Good,
        "waiting" => Tone::Planned,
        "unavailable" | "paused" => Tone::Warning,
        "refused" => Tone::Bad,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_said_beside_a_number_as_far_as_it_can_be() {
        let said = |value, previous| beside(ComparedCount::of(value, previous), 30).into_string();
        assert!(said(Some(15), Some(10)).contains("+50 %"));
        assert!(said(Some(5), Some(0)).contains("before: 0"));
        assert_eq!(said(Some(5), None), "");
        assert_eq!(signed(-1_234), "−1,234");
    }
}
