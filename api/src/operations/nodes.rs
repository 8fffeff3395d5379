//! `admin/processes` and `admin/nodes`: who works, and how far they are.

use actix_web::web;

use super::views::{NodeView, ProcessView};
use crate::{
    http::{Answer, ApiResult, Caller, answer::Success},
    state::AppState,
};

/// The process managers: how far each has reacted, and which node leads it.
#[utoipa::path(get, path = "/admin/processes", tag = "admin", responses(
    (status = 200, description = "By name", body = Success<Vec<ProcessView>>)))]
pub(super) async fn processes(state: web::Data<AppState>, _caller: Caller) -> ApiResult {
    Answer::ok(state.operations.processes().await?).respond()
}

/// The nodes that live, and what each leads. One that was killed disappears within 8 seconds.
#[utoipa::path(get, path = "/admin/nodes", tag = "admin", responses(
    (status = 200, description = "The oldest first", body = Success<Vec<NodeView>>)))]
pub(super) async fn nodes(state: web::Data<AppState>, _caller: Caller) -> ApiResult {
    Answer::ok(state.operations.nodes().await?).respond()
}
