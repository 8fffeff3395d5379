//! What an auditor takes away: the key, the signed checkpoints, and the way to any event's proof.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use annals_eventstore::notary::{Checkpoint, KeyChange};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    events,
    frame::{Frame, done},
    parts::{empty, number, scrolling},
    proof::sign_form,
};
use crate::{
    audit::failed,
    http::{ApiResult, Caller, Query, pages::PageSession},
    state::AppState,
};

const AUDIT: &str = "/console/audit";
const SHOWN_MAX: u32 = 30;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// Checkpoints before this number.
    before: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofQuery {
    position: u64,
}

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    Query(query): Query<AuditQuery>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let checkpoints = state.notary.checkpoints(query.before, SHOWN_MAX + 1).await.map_err(failed)?;
    let has_more = checkpoints.len() > SHOWN_MAX as usize;
    let shown = &checkpoints[..checkpoints.len().min(SHOWN_MAX as usize)];
    let key = state.notary.key();
    let content = html! {
        div.heading {
            h1 { "Audit" }
            p.quiet { "Promises about the past that this log has signed, and can't take back unnoticed." }
        }
        div.pair {
            section.card {
                h2 { "Public key" }
                p { "Pin it, from more than one place: who has it can check everything below alone." }
                p { code #verifier-key { (key.verifier_key()) } }
                button type="button" data-copies="verifier-key" { "Copy" }
            }
            section.card {
                h2 { "Verify an event" }
                form.stack method="get" action={ (AUDIT) "/proof" } {
                    label for="position" { "Position in the log" }
                    input #position name="position" inputmode="numeric" pattern="[0-9]+" required autocomplete="off";
                    div { button.primary type="submit" { "Verify" } }
                }
            }
        }
        section.card {
            div.heading {
                h2 { "Checkpoints" }
                @if caller.may("audit", "sign") { (sign_form(&frame)) }
            }
            (table(&frame, shown))
            @if let Some(last) = shown.last().filter(|_| has_more) {
                p { a.button href={ (AUDIT) "?before=" (last.number) } { "Earlier →" } }
            }
        }
    };
    Ok(frame.page("Audit", content))
}

/// On to the event, whose page checks its proof.
pub(super) async fn proof(_: Caller, Query(query): Query<ProofQuery>) -> ApiResult {
    let address = format!("{}#proof", events::address(query.position));
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, address)).finish())
}

/// Has a checkpoint of the head signed at once.
pub(super) async fn sign(state: web::Data<AppState>, _: Caller) -> ApiResult {
    let checkpoint = state.notary.checkpoint_now(KeyChange::Refused).await.map_err(failed)?;
    let words = format!("A checkpoint of {} events is signed.", number(checkpoint.size));
    Ok(done(AUDIT, &words, checkpoint.size))
}

fn table(frame: &Frame, checkpoints: &[Checkpoint]) -> Markup {
    if checkpoints.is_empty() {
        return empty("Nothing is signed yet", "A new log signs its first checkpoint within a minute.");
    }
    html! {
        (scrolling("Checkpoints", &html! {
            table {
                thead {
                    tr {
                        th.number scope="col" { "Number" }
                        th scope="col" { "Signed" }
                        th.number scope="col" { "Events" }
                        th scope="col" { "Root of the tree, and the signed note" }
                    }
                }
                tbody {
                    @for checkpoint in checkpoints {
                        tr {
                            th.number scope="row" { (number(checkpoint.number)) }
                            td { (frame.time(checkpoint.signed_at)) }
                            td.number { (number(checkpoint.size)) }
                            td {
                                details.act {
                                    summary { code { (checkpoint.root) } }
                                    pre.data tabindex="0" role="group" aria-label="Signed note" { (checkpoint.note) }
                                }
                            }
                        }
                    }
                }
            }
        }))
    }
}
