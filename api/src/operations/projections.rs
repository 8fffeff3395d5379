//! `admin/projections`: how the read models are doing.

use actix_web::web;

use super::views::ProjectionView;
use crate::{
    http::{Answer, ApiResult, Caller, answer::Success},
    state::AppState,
};

/// Every read model: how far it is, who writes it, what it could not apply, and the rebuild under way.
#[utoipa::path(get, path = "/admin/projections", tag = "admin", responses(
    (status = 200, description = "By name and version", body = Success<Vec<ProjectionView>>)))]
pub(super) async fn list(state: web::Data<AppState>, _caller: Caller) -> ApiResult {
    Answer::ok(state.operations.projections().await?).respond()
}

/// One read model.
#[utoipa::path(get, path = "/admin/projections/{name}", tag = "admin", params(("name" = String, Path)),
    responses((status = 200, description = "How it is doing", body = Success<ProjectionView>)))]
pub(super) async fn show(state: web::Data<AppState>, _caller: Caller, name: web::Path<String>) -> ApiResult {
    Answer::ok(state.operations.projection(&name).await?).respond()
}
