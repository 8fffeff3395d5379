//! What a read model could not apply, and what an operator does about it.

use actix_web::web;
use maud::{Markup, html};

use super::{
    frame::{Frame, done},
    parts::{empty, form_fields, number, scrolling},
    projections::{address, reason, reason_field},
};
use crate::{
    http::{ApiResult, Caller, pages::Form},
    operations::ParkedKeyView,
    state::AppState,
};

pub(super) const SHOWN_MAX: u32 = 100;

/// Applies what waits, in order: one key, or all.
pub(super) async fn replay(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    form: Form,
) -> ApiResult {
    let key = Some(form.text("key")).filter(|key| !key.is_empty());
    let acted = state.operations.replay_parked(&caller.context, &name, key, reason(&form)?).await?;
    Ok(done(
        &address(&name),
        "What could be applied is applied; what still fails stays listed.",
        acted.position,
    ))
}

/// Leaves out what waits on a key.
pub(super) async fn skip(
    state: web::Data<AppState>,
    caller: Caller,
    name: web::Path<String>,
    form: Form,
) -> ApiResult {
    let key = form.text("key");
    let acted = state.operations.skip_parked(&caller.context, &name, key, reason(&form)?).await?;
    Ok(done(&address(&name), "What failed on that key is left out of this read model.", acted.position))
}

pub(super) fn section(frame: &Frame, name: &str, keys: &[ParkedKeyView], may_act: bool) -> Markup {
    html! {
        section.card {
            h2 { "Parked keys" }
            @if keys.is_empty() {
                (empty("Nothing is parked",
                    "An event that can't be applied waits here with those that follow on its key; all others go on."))
            } @else {
                (table(frame, keys))
                @if may_act { (actions(frame, name, keys)) }
            }
        }
    }
}

fn table(frame: &Frame, keys: &[ParkedKeyView]) -> Markup {
    html! {
        (scrolling("Parked keys", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Key" }
                        th scope="col" { "Failed on" }
                        th scope="col" { "Why" }
                        th.number scope="col" { "Events" }
                        th scope="col" { "Since" }
                    }
                }
                tbody {
                    @for key in keys {
                        tr {
                            th scope="row" { code { (key.key) } }
                            td {
                                a href={ "/console/events/" (key.position) } { (number(key.position)) }
                                span.quiet { (key.event_type) }
                            }
                            td { (key.error) }
                            td.number { (number(key.events)) }
                            td { (frame.time(key.parked_at)) }
                        }
                    }
                }
            }
        }))
    }
}

fn actions(frame: &Frame, name: &str, keys: &[ParkedKeyView]) -> Markup {
    html! {
        form.row method="post" action={ (address(name)) "/parked/replay" } {
            (form_fields(frame))
            div {
                label for="parked-key" { "Key" }
                select #parked-key name="key" {
                    option value="" { "all of them" }
                    @for key in keys { option { (key.key) } }
                }
            }
            (reason_field("parked-reason"))
            button.primary type="submit" { "Replay" }
            button.danger type="submit" formaction={ (address(name)) "/parked/skip" }
                data-ask="Leave out what failed on this key? The read model will lack it." { "Skip" }
        }
    }
}
