//! `audit/proof`: that an event is in the tree, and that a tree begins with an earlier one.

use actix_web::web;
use annals_eventstore::{
    StoredEvent,
    notary::{NotaryError, leaf_hash},
};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    faults::{failed, nothing_signed},
    sees_all,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Query, answer::Success},
    state::AppState,
};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct InclusionQuery {
    /// How many events the tree has; the newest checkpoint's size if it is left out.
    tree_size: Option<u64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ConsistencyQuery {
    /// The size of the earlier tree, from 1.
    from: u64,
    /// The size of the later one; the newest checkpoint's if it is left out.
    to: Option<u64>,
}

/// The row whose bytes are hashed, sealed values sealed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RowView {
    position: u64,
    event_id: Uuid,
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    event_type: String,
    event_version: String,
    /// The text as stored, byte by byte.
    payload: String,
    /// The text as stored, byte by byte.
    metadata: String,
    /// In microseconds.
    #[schema(example = "2026-11-20T21:00:00.123456Z")]
    recorded_at: String,
}

impl From<StoredEvent> for RowView {
    fn from(event: StoredEvent) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            aggregate_type: event.stream.aggregate_type.into_owned(),
            aggregate_id: event.stream.aggregate_id,
            sequence: event.sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload,
            metadata: event.metadata,
            recorded_at: event.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }
}

/// That an event is in the tree (RFC 6962, 2.1.1). All hashes are base64.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct InclusionView {
    position: u64,
    /// In the tree: position − 1.
    leaf_index: u64,
    tree_size: u64,
    /// As it was noted.
    leaf_hash: String,
    /// Whether the row as it is now still has this hash.
    leaf_fits: bool,
    root_hash: String,
    /// From the leaf's sibling up.
    proof: Vec<String>,
    event: RowView,
}

/// That the tree of `to` events begins with that of `from` (RFC 6962, 2.1.2). All hashes are base64.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConsistencyView {
    from: u64,
    to: u64,
    from_root_hash: String,
    to_root_hash: String,
    proof: Vec<String>,
}

/// The proof that the event at a position is in the tree.
#[utoipa::path(
    get, path = "/audit/proof/inclusion/{position}", tag = "audit",
    params(("position" = u64, Path), InclusionQuery),
    responses((status = 200, description = "The proof and the row it is of", body = Success<InclusionView>)),
)]
pub(super) async fn inclusion(
    state: web::Data<AppState>,
    caller: Caller,
    position: web::Path<u64>,
    Query(query): Query<InclusionQuery>,
) -> ApiResult {
    let position = position.into_inner();
    let event = state.notary.event(position).await.map_err(failed)?;
    let is_theirs = |event: &StoredEvent| {
        sees_all(&caller) || event.organization_id() == Some(caller.organization_id.uuid())
    };
    let event = event.filter(is_theirs).ok_or_else(|| ApiError::not_found("event"))?;
    let size = size(&state, query.tree_size).await?;
    let proof = state.notary.inclusion(position, size).await.map_err(|error| not_in("treeSize", error))?;
    let view = InclusionView {
        position,
        leaf_index: position - 1,
        tree_size: size,
        leaf_hash: proof.leaf.to_string(),
        leaf_fits: leaf_hash(&event) == proof.leaf,
        root_hash: proof.root.to_string(),
        proof: proof.path.iter().map(ToString::to_string).collect(),
        event: event.into(),
    };
    Answer::ok(view).respond()
}

/// The proof that a tree begins with an earlier one: nothing before was changed.
#[utoipa::path(
    get, path = "/audit/proof/consistency", tag = "audit", params(ConsistencyQuery),
    responses((status = 200, description = "The proof and both roots", body = Success<ConsistencyView>)),
)]
pub(super) async fn consistency(
    state: web::Data<AppState>,
    _: Caller,
    Query(query): Query<ConsistencyQuery>,
) -> ApiResult {
    let to = size(&state, query.to).await?;
    if !(1..=to).contains(&query.from) {
        return Err(ApiError::field(
            "from",
            format!("must be between 1 and {to}, the size of the later tree"),
        ));
    }
    let proof = state.notary.consistency(query.from, to).await.map_err(|error| not_in("to", error))?;
    let view = ConsistencyView {
        from: proof.from,
        to: proof.to,
        from_root_hash: proof.from_root.to_string(),
        to_root_hash: proof.to_root.to_string(),
        proof: proof.path.iter().map(ToString::to_string).collect(),
    };
    Answer::ok(view).respond()
}

async fn size(state: &AppState, asked: Option<u64>) -> Result<u64, ApiError> {
    match asked {
        Some(size) => Ok(size),
        None => {
            let latest = state.notary.latest_checkpoint().await.map_err(failed)?;
            Ok(latest.ok_or_else(nothing_signed)?.size)
        }
    }
}

fn not_in(field: &str, error: NotaryError) -> ApiError {
    match error {
        NotaryError::NotInTree { .. } => ApiError::field(field, error),
        error => failed(error),
    }
}
