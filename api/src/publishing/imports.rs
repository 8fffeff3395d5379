//! `/posts/import`: many posts in one file, examined or taken in; and what becomes of them.

pub(super) mod csv;
mod examination;
pub(super) mod reading;
mod receiving;
mod views;

use actix_web::{HttpRequest, web};
use annals_commands::publishing::Imports as Commands;
use annals_domain::{
    kernel::ImportId,
    publishing::{Import, import::ImportStatus},
};
use annals_projections::publishing::{
    Imports,
    imports::{self, Outcomes},
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    failed,
    input::{PostBody, member},
    paging::paging,
    times,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Page, Query, answer::Success},
    state::AppState,
};
use examination::{Examination, ReportView};
use receiving::Received;
use views::{ImportDetail, ImportView};

const KEY_CHARS_MAX: usize = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// Only say what is wrong and what there is to know: nothing is written.
    #[serde(default)]
    dry_run: bool,
    /// Whose clocks are meant in times without an offset, where a row says nothing; the user's own if it is left out.
    timezone: Option<String>,
    /// The same file under another key is another import. Under the same key, or none, it is the one that was sent
    /// before: nothing doubles. At most 100 characters.
    key: Option<String>,
}

/// What a file's rows are, for the document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read row by row as it comes")]
struct ImportRows(Vec<PostBody>);

/// Takes in many posts: CSV with a header, a JSON array, or a line of JSON per post, at most 10 000 rows and 16 MiB.
///
/// Each row becomes a post of its own, worked off after the answer: `GET /posts/imports/{id}` tells how far it is
/// and what is wrong with which row. With `dryRun` it is only examined.
#[utoipa::path(
    post, path = "/posts/import", tag = "posts", params(ImportQuery),
    request_body(content(
        (String = "text/csv"), (ImportRows = "application/json"), (PostBody = "application/x-ndjson"),
    )),
    responses(
        (status = 201, description = "It was taken in and is worked off", body = Success<ImportView>),
        (status = 200, description = "What a dry run found, or the import that the file was before",
            content((Success<ReportView> = "application/json"))),
        (status = 413, description = "Larger than a file may be"),
        (status = 415, description = "Neither CSV nor JSON"),
    ),
)]
pub(super) async fn import(
    state: web::Data<AppState>,
    mut caller: Caller,
    request: HttpRequest,
    Query(query): Query<ImportQuery>,
    payload: web::Payload,
) -> ApiResult {
    let key = query.key.as_deref().unwrap_or_default();
    if key.chars().count() > KEY_CHARS_MAX {
        return Err(ApiError::field("key", format!("must have at most {KEY_CHARS_MAX} characters")));
    }
    let zone = times::zone(&state, caller.user_id, query.timezone.as_deref()).await?;
    let received = Received::of(&state, &request, payload, zone).await?;
    if received.survey.publishes {
        caller.require("post", "publish")?;
    }
    if query.dry_run {
        return Answer::ok(dry_run(&state, &caller, &received).await?).respond();
    }
    // The gate did not see the bytes: the same key with other bytes is another request.
    if let Some(idempotency) = &mut caller.context.idempotency {
        idempotency.request.extend_from_slice(received.sha256().as_bytes());
    }
    take_in(&state, &caller, &received, key).await
}

async fn dry_run(state: &AppState, caller: &Caller, received: &Received) -> Result<ReportView, ApiError> {
    let mut examination = Examination::new(state, caller);
    let mut chunks = received.chunks();
    while let Some(rows) = chunks.next().await? {
        examination.check(&rows).await?;
        examination.compare(&rows).await?;
    }
    Ok(examination.report(received.survey.rows))
}

/// The rows go into the log in chunks, and only then are they worked off. Whoever was interrupted sends the file
/// again: what is there already is passed over.
async fn take_in(state: &AppState, caller: &Caller, received: &Received, key: &str) -> ApiResult {
    let organization = caller.organization_id;
    let id = Commands::id_of(organization, key, received.sha256());
    let commands = Commands::new(state.bus.clone());
    let is_new = state.bus.load::<Import>(id).await?.state.status() == ImportStatus::None;
    let opened = commands.open(&caller.context, member(caller), id, received.survey.rows).await;
    let mut position = opened.map_err(failed)?.receipt.position;
    let mut examination = Examination::new(state, caller);
    if state.bus.load::<Import>(id).await?.state.status() == ImportStatus::Receiving {
        let mut chunks = received.chunks();
        while let Some(rows) = chunks.next().await? {
            examination.compare(&rows).await?;
            commands.receive(&caller.context, organization, id, rows).await.map_err(failed)?;
        }
        let started = commands.start(&caller.context, organization, id).await;
        position = started.map_err(failed)?.receipt.position;
    }
    let loaded = state.bus.load::<Import>(id).await?;
    let view = ImportView {
        warnings: Some(examination.warnings()),
        ..ImportView::of_written(id, &loaded.state, loaded.version)
    };
    let answer = if is_new { Answer::created(view) } else { Answer::ok(view) };
    answer.position(position).version(loaded.version).respond()
}

/// Ends an import: rows that were not worked off yet are left. The posts that were written stay.
#[utoipa::path(
    post, path = "/posts/imports/{id}/cancel", tag = "posts", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The import", body = Success<ImportView>)),
)]
pub(super) async fn cancel(state: web::Data<AppState>, caller: Caller, id: web::Path<ImportId>) -> ApiResult {
    let commands = Commands::new(state.bus.clone());
    let outcome = commands.cancel(&caller.context, member(&caller), *id).await.map_err(failed)?;
    let loaded = state.bus.load::<Import>(*id).await?;
    Answer::ok(ImportView::of_written(*id, &loaded.state, loaded.version))
        .position(outcome.receipt.position)
        .version(loaded.version)
        .respond()
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ImportsQuery {
    /// From 1.
    page: Option<u64>,
    /// At most 100; 20 if it is left out.
    per_page: Option<u64>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ImportRowsQuery {
    /// `failed` or `written`; both if it is left out.
    #[serde(default)]
    #[param(inline)]
    rows: RowsWanted,
    /// Of the rows, from 1.
    page: Option<u64>,
    /// At most 100; 20 if it is left out.
    per_page: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RowsWanted {
    #[default]
    All,
    Failed,
    Written,
}

/// The organization's imports, the newest first.
#[utoipa::path(
    get, path = "/posts/imports", tag = "posts", params(ImportsQuery),
    responses((status = 200, description = "A page of imports", body = Success<Vec<ImportView>>)),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<ImportsQuery>,
) -> ApiResult {
    let paging = paging(query.page, query.per_page)?;
    let reader = state.reader_for::<Imports>(&caller).await?;
    let (found, total) = imports::list(reader.pool(), caller.organization_id, paging).await?;
    let views: Vec<ImportView> = found.into_iter().map(ImportView::from).collect();
    Answer::ok(views).page(Page::of(total, paging.page, paging.per_page)).respond()
}

/// How far an import is, and what became of its rows.
#[utoipa::path(
    get, path = "/posts/imports/{id}", tag = "posts", params(("id" = Uuid, Path), ImportRowsQuery),
    responses((status = 200, description = "The import, with a page of its rows", body = Success<ImportDetail>)),
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<ImportId>,
    Query(query): Query<ImportRowsQuery>,
) -> ApiResult {
    let paging = paging(query.page, query.per_page)?;
    let outcomes = match query.rows {
        RowsWanted::All => Outcomes::All,
        RowsWanted::Failed => Outcomes::Failed,
        RowsWanted::Written => Outcomes::Written,
    };
    let reader = state.reader_for::<Imports>(&caller).await?;
    let found = imports::get(reader.pool(), caller.organization_id, *id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("import"))?;
    let (rows, total) = imports::rows(reader.pool(), *id, outcomes, paging).await?;
    let version = found.version;
    let detail = ImportDetail::of(found, rows);
    Answer::ok(detail).page(Page::of(total, paging.page, paging.per_page)).version(version).respond()
}
