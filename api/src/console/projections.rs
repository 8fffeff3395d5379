//! The read models: how far they are, building them again, what is parked.

use actix_web::{HttpRequest, web};
use annals_domain::operations::{EventsPerSecond, Reason};
use chrono::TimeDelta;
use maud::{Markup, html};

use super::{
    frame::{Frame, done},
    parked,
    parts::{Tone, form_fields, number, pill, scrolling, seconds},
    plot::{Plot, bins},
    samples::Sample,
};
use crate::{
    http::{
        ApiError, ApiResult, Caller,
        pages::{Form, PageSession},
    },
    operations::{Guide, ProjectionState, ProjectionView, RebuildState, RebuildView},
    state::AppState,
};

pub(super) const PROJECTIONS: &str = "/console/projections";
const PLOTTED: TimeDelta = TimeDelta::minutes(15);
/// Milliseconds between two looks: while something is built, and else.
const LOOK_MS_BUILDING: u32 = 700;
const LOOK_MS: u32 = 3000;

pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let projections = state.operations.projections().await?;
    let content = html! {
        div.heading {
            h1 { "Read models" }
            p.quiet { "What queries read. Each can be built again beside the one in use, with no downtime." }
        }
        section #projections .card data-live=(look_ms(projections.iter())) { (table(&projections)) }
    };
    Ok(frame.page("Read models", content))
}

pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    name: web::Path<String>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let projection = state.operations.projection(&name).await?;
    let parked = state.operations.parked(&name, None, parked::SHOWN_MAX).await?;
    let may_act = caller.may("system", "manage");
    let samples = state.samples.all();
    let content = html! {
        div.heading {
            h1 { "Read model " (projection.name) }
            p { (state_pill(&projection)) }
        }
        div #projection data-live=(look_ms(std::iter::once(&projection))) {
            div.pair {
                section.card { h2 { "How it does" } (facts(&frame, &projection)) }
                section.card { h2 { "Behind" } (lag_plot(&frame, &projection.name, &samples)) }
            }
            section.card {
                h2 { "Build it again" }
                @match &projection.rebuild {
                    Some(build) => (under_way(&frame, &projection, build, may_act)),
                    None => (rebuild_form(&frame, &projection, may_act)),
                }
            }
            (parked::section(&frame, &projection.name, &parked, may_act))
        }
    };
    Ok(frame.page(&format!("Read model {}", projection.name), content))
}

/// Begins a build beside the live generation.
pub(super) async fn rebuild(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    form: Form,
) -> ApiResult {
    let (reason, pace) = (reason(&form)?, pace(&form)?);
    let acted = state.operations.rebuild(&caller.context, &name, pace, reason).await?;
    Ok(done(&address(&name), "It is being built again; it takes over by itself.", acted.position))
}

/// Pauses, resumes, bounds or cancels a build.
pub(super) async fn guide(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    form: Form,
) -> ApiResult {
    let (guide, words) = match form.text("guide") {
        "pause" => (Guide::Pause, "The build is paused."),
        "resume" => (Guide::Resume, "The build goes on."),
        "cancel" => (Guide::Cancel, "The build is cancelled; what was live stays live."),
        "accept" => (Guide::AcceptParked, "The build may take over although keys are parked."),
        "throttle" => (Guide::Throttle(pace(&form)?), "The build's bound is changed."),
        _ => return Err(ApiError::field("guide", "is none of pause, resume, cancel, accept, throttle")),
    };
    let acted = state.operations.guide(&caller.context, &name, guide, reason(&form)?).await?;
    Ok(done(&address(&name), words, acted.position))
}

pub(super) fn address(name: &str) -> String {
    format!("{PROJECTIONS}/{name}")
}

/// Why an operator acts: it is kept with what they do.
pub(super) fn reason(form: &Form) -> Result<Reason, ApiError> {
    Reason::parse(form.text("reason")).map_err(|error| ApiError::field("reason", error))
}

/// Empty: as fast as it goes.
fn pace(form: &Form) -> Result<Option<EventsPerSecond>, ApiError> {
    let text = form.text("events_per_second");
    if text.is_empty() {
        return Ok(None);
    }
    let fault = |words: String| ApiError::field("events_per_second", words);
    let given: u32 = text.parse().map_err(|_| fault("must be a whole number".to_string()))?;
    EventsPerSecond::new(given).map(Some).map_err(|error| fault(error.to_string()))
}

fn look_ms<'p>(mut projections: impl Iterator<Item = &'p ProjectionView>) -> u32 {
    if projections.any(|one| one.rebuild.is_some()) { LOOK_MS_BUILDING } else { LOOK_MS }
}

fn table(projections: &[ProjectionView]) -> Markup {
    html! {
        (scrolling("Read models", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Name" }
                        th scope="col" { "State" }
                        th.number scope="col" { "Behind" }
                        th.number scope="col" { "Events per second" }
                        th.number scope="col" { "Parked keys" }
                        th scope="col" { "Written by" }
                    }
                }
                tbody {
                    @for projection in projections {
                        tr {
                            th scope="row" {
                                a href=(address(&projection.name)) { (projection.name) }
                                span.quiet { "version " (projection.version) ", generation " (projection.generation) }
                            }
                            td {
                                (state_pill(projection))
                                @if let Some(build) = &projection.rebuild { (bar(projection, build)) }
                            }
                            td.number { (behind(projection)) }
                            td.number { (super::plot::short(projection.events_per_second)) }
                            td.number { (number(projection.parked_keys)) }
                            td { (leader(projection)) }
                        }
                    }
                }
            }
        }))
    }
}

fn behind(projection: &ProjectionView) -> Markup {
    html! {
        (number(projection.lag_events))
        @if projection.lag_events > 0 { span.quiet { (seconds(projection.lag_seconds)) } }
    }
}

fn leader(projection: &ProjectionView) -> Markup {
    html! {
        @match &projection.leader {
            Some(leader) => { (leader.host) " " span.quiet { "process " (leader.pid) } },
            None => (pill(Tone::Warning, "nobody at this moment")),
        }
    }
}

fn state_pill(projection: &ProjectionView) -> Markup {
    match (projection.state, projection.parked_keys) {
        (ProjectionState::Building, _) => pill(Tone::Busy, "first build"),
        (ProjectionState::Live, 0) => pill(Tone::Good, "live"),
        (ProjectionState::Live, _) => pill(Tone::Warning, "live, keys are parked"),
    }
}

fn facts(frame: &Frame, projection: &ProjectionView) -> Markup {
    html! {
        dl.facts {
            dt { "Version" } dd { (projection.version) }
            dt { "Generation" } dd { (projection.generation) }
            dt { "Applied up to" }
            dd { (number(projection.position)) " of " (number(projection.head)) }
            dt { "Behind" } dd { (behind(projection)) }
            dt { "Events per second" } dd { (super::plot::short(projection.events_per_second)) }
            dt { "Written by" } dd { (leader(projection)) }
            @if let Some(at) = projection.live_since { dt { "Live since" } dd { (frame.time(at)) } }
        }
    }
}

fn lag_plot(frame: &Frame, name: &str, samples: &[Sample]) -> Markup {
    let of_this = samples.iter().filter_map(|sample| {
        let behind = sample.behind.iter().find(|(of, _)| of == name)?;
        Some((sample.at, behind.1 as f64))
    });
    let points = bins(of_this, f64::max);
    let title = format!("How far {name} was behind in the last 15 minutes");
    let (from, to) = (frame.now - PLOTTED, frame.now);
    Plot { id: "lag", title: &title, unit: "events", from, to, zone: frame.zone, points: &points }.draw()
}

fn percent(build: &RebuildView) -> u32 {
    // Between 0 and 100 whatever the fraction is.
    (build.progress.clamp(0.0, 1.0) * 100.0).floor() as u32
}

/// The bar, what it says in words, and what a screen reader is told in steps of ten.
fn bar(projection: &ProjectionView, build: &RebuildView) -> Markup {
    let percent = percent(build);
    let words = match build.state {
        RebuildState::Paused => "paused".to_string(),
        RebuildState::Blocked => "waits: keys are parked".to_string(),
        RebuildState::Running => match build.remaining_seconds {
            Some(left) => format!("about {} left", seconds(left)),
            None => "begins".to_string(),
        },
    };
    html! {
        div.build {
            progress max="100" value=(percent) aria-label={ "Rebuild of " (projection.name) } {}
            span.quiet { (percent) " %, " (words) }
            span data-say hidden { "The rebuild of " (projection.name) " is at " (percent / 10 * 10) " %" }
        }
    }
}

fn under_way(frame: &Frame, projection: &ProjectionView, build: &RebuildView, may_act: bool) -> Markup {
    html! {
        p {
            "Generation " (build.generation) " is being built since " (frame.time(build.begun_at)) ", at "
            (super::plot::short(build.events_per_second)) " events per second"
            @if let Some(bound) = build.events_per_second_max { " (at most " (number(u64::from(bound))) ")" }
            ". Readers have generation " (projection.generation) " until it takes over."
        }
        (bar(projection, build))
        @if may_act {
            form.row method="post" action={ (address(&projection.name)) "/guide" } {
                (form_fields(frame))
                (reason_field("guide-reason"))
                div {
                    label for="guide-pace" { "At most events per second" }
                    input #guide-pace name="events_per_second" inputmode="numeric" pattern="[0-9]*"
                        value=[build.events_per_second_max];
                }
                @if build.state == RebuildState::Paused {
                    button type="submit" name="guide" value="resume" { "Go on" }
                } @else {
                    button type="submit" name="guide" value="pause" { "Pause" }
                }
                button type="submit" name="guide" value="throttle" { "Set the bound" }
                @if build.state == RebuildState::Blocked {
                    button type="submit" name="guide" value="accept" { "Take over all the same" }
                }
                button.danger type="submit" name="guide" value="cancel"
                    data-ask="Give up this build? What is live stays live." { "Cancel the build" }
            }
        }
    }
}

fn rebuild_form(frame: &Frame, projection: &ProjectionView, may_act: bool) -> Markup {
    html! {
        p {
            "A new generation is filled from the log's first event, beside the one in use. "
            "When it has caught up, it takes over; readers notice nothing."
        }
        @if may_act {
            form.row method="post" action={ (address(&projection.name)) "/rebuild" } {
                (form_fields(frame))
                (reason_field("rebuild-reason"))
                div {
                    label for="rebuild-pace" { "At most events per second (empty: no bound)" }
                    input #rebuild-pace name="events_per_second" inputmode="numeric" pattern="[0-9]*";
                }
                button.primary type="submit" { "Rebuild" }
            }
        }
    }
}

/// Every action of an operator says why.
pub(super) fn reason_field(id: &str) -> Markup {
    html! {
        div {
            label for=(id) { "Why (kept in the log; no names of people)" }
            input id=(id) name="reason" required maxlength=(Reason::MAX_CHARS) autocomplete="off";
        }
    }
}
