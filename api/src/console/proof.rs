//! That an event is in the log that was promised: checked here, step by step, while the page is made.

use annals_eventstore::notary::{Checkpoint, InclusionProof, NotaryError, leaf_hash, open_checkpoint};
use maud::{Markup, html};

use super::{
    frame::Frame,
    parts::{Tone, form_fields, number, pill},
};
use crate::{
    audit,
    http::{ApiError, Caller},
    state::AppState,
};

/// What was checked of one event.
struct Checked {
    checkpoint: Checkpoint,
    proof: InclusionProof,
    /// The checkpoint's signature holds under the log's key.
    is_signed: bool,
    /// The row as it is now has the hash that was noted.
    is_unchanged: bool,
    /// The path leads from that hash to the root that was signed.
    is_included: bool,
}

/// The section of an event's page.
///
/// # Errors
/// If the log can't be read, or the notary says that it was rewritten.
pub(super) async fn section(
    frame: &Frame,
    state: &AppState,
    caller: &Caller,
    position: u64,
) -> Result<Markup, ApiError> {
    let checked = check(state, position).await?;
    Ok(html! {
        section #proof .card {
            h2 { "Proof" }
            @match &checked {
                Some(checked) => (steps(frame, checked)),
                None => {
                    p { "No signed checkpoint covers this event yet; one is signed at least every minute." }
                    @if caller.may("audit", "sign") { (sign_form(frame)) }
                },
            }
        }
    })
}

async fn check(state: &AppState, position: u64) -> Result<Option<Checked>, ApiError> {
    let notary = &state.notary;
    let Some(checkpoint) = notary.latest_checkpoint().await.map_err(audit::failed)? else { return Ok(None) };
    let proof = match notary.inclusion(position, checkpoint.size).await {
        Ok(proof) => proof,
        Err(NotaryError::NotInTree { .. }) => return Ok(None),
        Err(error) => return Err(audit::failed(error)),
    };
    let head = open_checkpoint(&checkpoint.note, &checkpoint.verifier_key).ok();
    let row = notary.event(position).await.map_err(audit::failed)?;
    Ok(Some(Checked {
        is_signed: head.as_ref().is_some_and(|head| head.size == checkpoint.size),
        is_unchanged: row.is_some_and(|row| leaf_hash(&row) == proof.leaf),
        is_included: head.is_some_and(|head| proof.leads_to(&head.root)),
        checkpoint,
        proof,
    }))
}

fn steps(frame: &Frame, checked: &Checked) -> Markup {
    let Checked { checkpoint, proof, is_signed, is_unchanged, is_included } = checked;
    let step = |holds: bool, words: Markup| {
        html! { li { @if holds { (pill(Tone::Good, "holds")) } @else { (pill(Tone::Bad, "does not hold")) } " " (words) } }
    };
    html! {
        @if *is_signed && *is_unchanged && *is_included {
            p { strong { "This event is as it was recorded." } " It was checked just now, in three steps:" }
        } @else {
            p.notice.bad role="alert" { "This event can't be proven. Keep this page, and run annals audit check." }
        }
        ol.steps {
            (step(*is_signed, html! {
                "The checkpoint of " (number(checkpoint.size)) " events, signed " (frame.time(checkpoint.signed_at))
                ", carries the signature of this log's key."
            }))
            (step(*is_unchanged, html! { "The row's bytes still have the hash that was noted: " code { (proof.leaf) } }))
            (step(*is_included, html! {
                "From that hash, " (proof.path.len()) " siblings lead to the root that was signed: " code { (proof.root) }
            }))
        }
        p.quiet {
            "The server says so of itself. To trust nobody, take a bundle with annals audit export, "
            "and verify it elsewhere with the key that you pinned."
        }
    }
}

pub(super) fn sign_form(frame: &Frame) -> Markup {
    html! {
        form method="post" action="/console/audit/sign" {
            (form_fields(frame))
            button.primary type="submit" { "Sign a checkpoint now" }
        }
    }
}
