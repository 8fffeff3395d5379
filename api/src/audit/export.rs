//! `audit/export`: a bundle, streamed.

use actix_web::{
    HttpResponse,
    http::header,
    web::{self, Bytes},
};
use annals_eventstore::notary::bundle::{Export, ExportOptions, Scope};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    faults::{failed, nothing_signed},
    sees_all,
};
use crate::{
    http::{ApiError, ApiResult, Caller, Query},
    state::AppState,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ScopeName {
    /// All of it: the operator's.
    Log,
    /// The caller's organization's.
    Organization,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// `log` or `organization`; all that the caller may see, if it is left out.
    #[param(inline)]
    scope: Option<ScopeName>,
    /// The size of a checkpoint that you keep: the bundle gets the proof that nothing before it was changed.
    since: Option<u64>,
}

/// A bundle of events with their proofs, up to the newest checkpoint: one JSON object a line
/// (`docs/audit.md`), for `annals audit verify`.
#[utoipa::path(
    get, path = "/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "The bundle", content_type = "application/x-ndjson")),
)]
pub(super) async fn export(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<ExportQuery>,
) -> ApiResult {
    let own = Scope::Organization(caller.organization_id.uuid());
    let scope = match query.scope {
        Some(ScopeName::Log) if !sees_all(&caller) => {
            return Err(ApiError::forbidden(
                "the whole log is the operator's; leave out scope for your organization's",
            ));
        }
        Some(ScopeName::Organization) if !caller.is_member => {
            return Err(ApiError::not_found("organization"));
        }
        Some(ScopeName::Organization) => own,
        Some(ScopeName::Log) => Scope::Log,
        None if sees_all(&caller) => Scope::Log,
        None => own,
    };
    let options = ExportOptions { scope, since: query.since.into_iter().collect() };
    let export = Export::start(&state.notary, options).await.map_err(failed)?.ok_or_else(nothing_signed)?;
    let name = match scope {
        Scope::Log => format!("log-{}.ndjson", export.checkpoint().size),
        Scope::Organization(id) => format!("organization-{id}-{}.ndjson", export.checkpoint().size),
    };
    let chunks = futures::stream::try_unfold(export, |mut export| async move {
        let chunk = export.next_chunk().await.inspect_err(|error| {
            tracing::error!(%error, "an export was cut off");
        })?;
        Ok::<_, annals_eventstore::notary::NotaryError>(chunk.map(|chunk| (Bytes::from(chunk), export)))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"annals-{name}\"")))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(chunks))
}
