//! `audit/checkpoint`, `audit/checkpoints`, `audit/key`.

use actix_web::{HttpRequest, web};
use annals_eventstore::notary::{Checkpoint, KeyChange};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    faults::{failed, nothing_signed},
    text, wants_text,
};
use crate::{
    http::{Anonymous, Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 500;

/// A signed promise about the first `size` events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckpointView {
    /// In the order of signing.
    number: u64,
    size: u64,
    /// The root of the Merkle tree, base64.
    root_hash: String,
    /// The signed note (C2SP tlog-checkpoint), as other programs read it.
    note: String,
    /// Under which key it was signed.
    verifier_key: String,
    signed_at: DateTime<Utc>,
}

impl From<Checkpoint> for CheckpointView {
    fn from(checkpoint: Checkpoint) -> Self {
        Self {
            number: checkpoint.number,
            size: checkpoint.size,
            root_hash: checkpoint.root.to_string(),
            note: checkpoint.note,
            verifier_key: checkpoint.verifier_key,
            signed_at: checkpoint.signed_at,
        }
    }
}

/// The log's public key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyView {
    /// The log's name.
    #[schema(example = "annals.example.org/log")]
    origin: String,
    /// A verifier key of C2SP signed-note: pin it.
    verifier_key: String,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// `meta.nextCursor` of the page before.
    cursor: Option<u64>,
    /// At most 500; 50 if it is left out.
    limit: Option<u32>,
}

/// The key to verify checkpoints with. Learn it from more than one place, and pin it.
#[utoipa::path(get, path = "/audit/key", tag = "audit", responses(
    (status = 200, description = "The verifier key; as text alone on `Accept: text/plain`", body = Success<KeyView>),
))]
pub(super) async fn key(state: web::Data<AppState>, request: HttpRequest, _: Anonymous) -> ApiResult {
    let key = state.notary.key();
    if wants_text(request.headers()) {
        return text(format!("{}\n", key.verifier_key()));
    }
    let view = KeyView { origin: key.origin().to_string(), verifier_key: key.verifier_key().to_string() };
    Answer::ok(view).respond()
}

/// The newest checkpoint.
#[utoipa::path(get, path = "/audit/checkpoint", tag = "audit", responses(
    (status = 200, description = "The newest checkpoint; the signed note alone on `Accept: text/plain`",
        body = Success<CheckpointView>),
))]
pub(super) async fn latest(state: web::Data<AppState>, request: HttpRequest, _: Caller) -> ApiResult {
    let checkpoint = state.notary.latest_checkpoint().await.map_err(failed)?.ok_or_else(nothing_signed)?;
    if wants_text(request.headers()) {
        return text(checkpoint.note);
    }
    Answer::ok(CheckpointView::from(checkpoint)).respond()
}

/// The checkpoints, the newest first.
#[utoipa::path(get, path = "/audit/checkpoints", tag = "audit", params(ListQuery), responses(
    (status = 200, description = "A page of them", body = Success<Vec<CheckpointView>>),
))]
pub(super) async fn list(state: web::Data<AppState>, _: Caller, Query(query): Query<ListQuery>) -> ApiResult {
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::field("limit", format!("must be between 1 and {LIMIT_MAX}")));
    }
    let mut page = state.notary.checkpoints(query.cursor, limit + 1).await.map_err(failed)?;
    let has_more = page.len() > limit as usize;
    page.truncate(limit as usize);
    let next = page.last().filter(|_| has_more).map(|last| last.number.to_string());
    let views: Vec<CheckpointView> = page.into_iter().map(CheckpointView::from).collect();
    Answer::ok(views).next_cursor(next).respond()
}

/// Has a checkpoint of the log's head signed at once. Called again with nothing new, it gives the same.
#[utoipa::path(post, path = "/audit/checkpoints", tag = "audit", responses(
    (status = 201, description = "The checkpoint of the log as it stands", body = Success<CheckpointView>),
    (status = 409, description = "The tree does not have what was signed before, or this node has not the notary's key"),
))]
pub(super) async fn sign(state: web::Data<AppState>, _: Caller) -> ApiResult {
    let checkpoint = state.notary.checkpoint_now(KeyChange::Refused).await.map_err(failed)?;
    Answer::created(CheckpointView::from(checkpoint)).respond()
}
