//! What is to happen when, and what waits for a person.

use actix_web::{HttpRequest, web};
use annals_commands::timers::{TimerFilter, TimerState};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    frame::{Frame, done},
    parts::{Tone, empty, form_fields, number, pill, query_pair, scrolling},
    projections::reason,
};
use crate::{
    http::{
        ApiError, ApiResult, Caller, Query,
        pages::{Form, PageSession},
    },
    operations::{TimerView, cursors},
    state::AppState,
};

const TIMERS: &str = "/console/timers";
const SHOWN_MAX: u32 = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimersQuery {
    /// `waiting`, `due`, `leased` or `parked`; all if it is left out.
    state: Option<String>,
    /// Where the page before ended.
    after: Option<String>,
}

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    Query(query): Query<TimersQuery>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let chosen = query.state.as_deref().map(known).transpose()?;
    let refused = |error| ApiError::validation(vec![error]);
    let after = query.after.as_deref().map(cursors::timer).transpose().map_err(refused)?;
    let filter = TimerFilter { state: chosen, after, ..TimerFilter::default() };
    let timers = state.operations.timers(&filter, SHOWN_MAX + 1).await?;
    let (timers, next) = cursors::page(timers, SHOWN_MAX, cursors::of_timer);
    let may_act = caller.may("system", "manage");
    let content = html! {
        div.heading {
            h1 { "Timers" }
            (states(chosen))
        }
        section #timers .card data-live="5000" {
            @if timers.is_empty() {
                (empty("No timer is set here", "A scheduled post sets one; so does an invitation that will expire."))
            } @else {
                (table(&frame, &timers, may_act))
            }
        }
        @if let Some(next) = next { p { a.button href=(address(chosen, Some(&next))) { "Later ones →" } } }
    };
    Ok(frame.page("Timers", content))
}

/// Makes a parked timer due at once.
pub(super) async fn retry(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<Uuid>,
    form: Form,
) -> ApiResult {
    let acted = state.operations.retry_timer(&caller.context, *id, reason(&form)?).await?;
    Ok(done(TIMERS, "The timer is due now, with fresh attempts.", acted.position))
}

/// Removes a timer.
pub(super) async fn cancel(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<Uuid>,
    form: Form,
) -> ApiResult {
    let acted = state.operations.cancel_timer(&caller.context, *id, reason(&form)?).await?;
    Ok(done(TIMERS, "The timer is cancelled: what it was for does not happen.", acted.position))
}

fn known(text: &str) -> Result<TimerState, ApiError> {
    let state = TimerState::ALL.into_iter().find(|state| state.as_str() == text);
    state.ok_or_else(|| ApiError::field("state", "must be one of waiting, due, leased, parked"))
}

fn address(state: Option<TimerState>, after: Option<&str>) -> String {
    let state = state.map(|state| query_pair("state", state.as_str()));
    let after = after.map(|after| query_pair("after", after));
    let pairs: Vec<String> = state.into_iter().chain(after).collect();
    if pairs.is_empty() { TIMERS.to_string() } else { format!("{TIMERS}?{}", pairs.join("&")) }
}

fn states(chosen: Option<TimerState>) -> Markup {
    html! {
        nav.ways aria-label="Which timers" {
            span.switch {
                a.button href=(TIMERS) aria-current=[chosen.is_none().then_some("true")] { "All" }
                @for state in TimerState::ALL {
                    a.button href=(address(Some(state), None))
                        aria-current=[(chosen == Some(state)).then_some("true")] { (state.as_str()) }
                }
            }
        }
    }
}

fn table(frame: &Frame, timers: &[TimerView], may_act: bool) -> Markup {
    html! {
        (scrolling("Timers", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Due" }
                        th scope="col" { "State" }
                        th scope="col" { "What for" }
                        th.number scope="col" { "Attempts" }
                        th scope="col" { "Last reason" }
                        @if may_act { th.actions scope="col" { "Change" } }
                    }
                }
                tbody {
                    @for timer in timers {
                        tr {
                            td { (frame.time(timer.due_at)) }
                            td { (state_pill(timer.state)) }
                            td { (timer.kind) span.quiet { code { (timer.key) } } }
                            td.number { (number(u64::from(timer.attempt))) }
                            td { (timer.reason.as_deref().unwrap_or_default()) }
                            @if may_act { td.actions { (actions(frame, timer)) } }
                        }
                    }
                }
            }
        }))
    }
}

fn state_pill(state: &str) -> Markup {
    let tone = match state {
        "parked" => Tone::Bad,
        "leased" => Tone::Busy,
        "due" => Tone::Warning,
        _ => Tone::Planned,
    };
    pill(tone, state)
}

fn actions(frame: &Frame, timer: &TimerView) -> Markup {
    let field = format!("reason-{}", timer.id);
    html! {
        @if timer.state != TimerState::Leased.as_str() {
            details.act {
                summary { "Act" span.visually-hidden { " on the timer of " (timer.key) } }
                form.stack method="post" action={ (TIMERS) "/" (timer.id) "/cancel" } {
                    (form_fields(frame))
                    label for=(field) { "Why" }
                    input id=(field) name="reason" required autocomplete="off";
                    @if timer.state == TimerState::Parked.as_str() {
                        button.primary type="submit" formaction={ (TIMERS) "/" (timer.id) "/retry" } { "Try again now" }
                    }
                    button.danger type="submit" data-ask="Cancel it? What it was for does not happen." { "Cancel the timer" }
                }
            }
        }
    }
}
