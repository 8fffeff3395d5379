//! `/notifications/preferences`: of which kinds a person wants to be told, by which ways.

use std::collections::BTreeMap;

use actix_web::web;
use annals_commands::engagement::Notifications as Commands;
use annals_domain::engagement::{Inbox, NotificationKind, WaysChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::inbox_of;
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, FieldError, answer::Success},
    state::AppState,
};

/// By which ways you are told of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WaysView {
    /// In the list of notifications and live.
    pub(crate) in_app: bool,
    pub(crate) email: bool,
}

/// A change of one kind; what is left out stays.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct WaysBody {
    pub(crate) in_app: Option<bool>,
    pub(crate) email: Option<bool>,
}

/// By which ways you are told of each kind, in this organization.
#[utoipa::path(
    get, path = "/notifications/preferences", tag = "notifications",
    responses((status = 200, description = "By kind", body = Success<BTreeMap<String, WaysView>>)),
)]
pub(super) async fn show(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    Answer::ok(current(&state, &caller).await?).respond()
}

/// Changes by which ways you are told of the kinds that are named.
#[utoipa::path(
    patch, path = "/notifications/preferences", tag = "notifications",
    request_body(content = BTreeMap<String, WaysBody>, example = json!({"post_published": {"inApp": true}})),
    responses((status = 200, description = "By kind", body = Success<BTreeMap<String, WaysView>>)),
)]
pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<BTreeMap<String, WaysBody>>,
) -> ApiResult {
    let mut changes = BTreeMap::new();
    let mut errors = Vec::new();
    for (name, WaysBody { in_app, email }) in body {
        match name.parse::<NotificationKind>() {
            Ok(kind) => drop(changes.insert(kind, WaysChange { in_app, email })),
            Err(unknown) => errors.push(FieldError::new(name, unknown)),
        }
    }
    if !errors.is_empty() {
        return Err(ApiError::validation(errors));
    }
    let position = prefer(&state, &caller, changes).await?;
    Answer::ok(current(&state, &caller).await?).position(position).respond()
}

/// The position of what was recorded.
pub(crate) async fn prefer(
    state: &AppState,
    caller: &Caller,
    changes: BTreeMap<NotificationKind, WaysChange>,
) -> Result<u64, ApiError> {
    let commands = Commands::new(state.bus.clone());
    let outcome = commands.prefer(&caller.context, inbox_of(caller), changes).await?;
    Ok(outcome.receipt.position)
}

/// All kinds with what holds for the caller now.
pub(crate) async fn current(
    state: &AppState,
    caller: &Caller,
) -> Result<BTreeMap<NotificationKind, WaysView>, ApiError> {
    let inbox = state.bus.load::<Inbox>(inbox_of(caller)).await?.state;
    let ways = |kind: NotificationKind| {
        let ways = inbox.ways(kind);
        (kind, WaysView { in_app: ways.in_app, email: ways.email })
    };
    Ok(NotificationKind::ALL.into_iter().map(ways).collect())
}
