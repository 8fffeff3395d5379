//! `settings/api-keys`.

use actix_web::web;
use annals_commands::identity::{CreateApiKey, CreatedApiKey, Done};
use annals_domain::{
    identity::{ApiKeyName, Scope},
    kernel::{ApiKeyId, InvalidText},
};
use annals_projections::identity::{
    ApiKeys,
    api_keys::{self, ApiKeyRow},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    faults::Faults,
    views::{IdView, done},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ApiKeyBody {
    #[schema(example = "CI")]
    name: String,
    /// `post:read`, `post:*`, `post`; empty or left out: all that you may do.
    #[serde(default)]
    scopes: Vec<String>,
}

/// A new key. `key` is shown this once: only its SHA-256 is kept.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedKeyView {
    id: Uuid,
    #[schema(example = "ak_01980000000070008000000000000005_…")]
    key: String,
    name: String,
    scopes: Vec<String>,
    is_active: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKeyView {
    id: Uuid,
    name: Option<String>,
    scopes: Vec<String>,
    is_active: bool,
    created_at: DateTime<Utc>,
    /// To the hour.
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<ApiKeyRow> for ApiKeyView {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            is_active: row.is_active,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// Your keys in this organization, revoked ones included.
#[utoipa::path(get, path = "/settings/api-keys", tag = "settings",
    responses((status = 200, description = "At most 200, active ones first", body = Success<Vec<ApiKeyView>>)))]
pub(crate) async fn list(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<ApiKeys>(&caller).await?;
    let rows = api_keys::list(reader, caller.user_id.uuid(), caller.organization_id.uuid()).await?;
    Answer::ok(rows.into_iter().map(ApiKeyView::from).collect::<Vec<_>>()).respond()
}

/// A new key for what you may do in this organization, cut to its scopes.
#[utoipa::path(post, path = "/settings/api-keys", tag = "settings", request_body = ApiKeyBody,
    responses((status = 201, description = "Created; the key is shown this once", body = Success<CreatedKeyView>)))]
pub(crate) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<ApiKeyBody>,
) -> ApiResult {
    let created = make(&state, &caller, &body.name, &body.scopes).await?;
    let view = CreatedKeyView {
        id: created.value.api_key_id.uuid(),
        key: created.value.key,
        name: body.name.trim().to_string(),
        scopes: body.scopes,
        is_active: true,
    };
    Answer::created(view).position(created.position).respond()
}

/// Makes a key of the caller's, checked as both doors ask for it.
pub(crate) async fn make(
    state: &AppState,
    caller: &Caller,
    name: &str,
    scopes: &[String],
) -> Result<Done<CreatedApiKey>, ApiError> {
    // A key that could make keys could make one with more scopes than its own.
    if caller.session_id().is_none() {
        return Err(ApiError::forbidden("an API key can't make keys; sign in"));
    }
    let mut faults = Faults::default();
    let name = faults.check("name", ApiKeyName::parse(name));
    if scopes.len() > Scope::PER_KEY_MAX {
        let fault = format!("must have at most {} entries", Scope::PER_KEY_MAX);
        return Err(ApiError::field("scopes", fault));
    }
    let mut known_scopes = Vec::with_capacity(scopes.len());
    for (index, text) in scopes.iter().enumerate() {
        let known = Scope::parse(text).and_then(|scope| match state.rights.is_scope(text) {
            true => Ok(scope),
            false => Err(InvalidText::new("is no right of the policy")),
        });
        known_scopes.extend(faults.check(&format!("scopes[{index}]"), known));
    }
    let Some(name) = name else { return Err(faults.refused()) };
    faults.done()?;
    let command = CreateApiKey {
        user_id: caller.user_id,
        organization_id: caller.organization_id,
        name,
        scopes: known_scopes,
    };
    Ok(state.identity.create_api_key(&caller.context, command).await?)
}

/// Revokes a key of yours: it is refused from now on.
#[utoipa::path(delete, path = "/settings/api-keys/{id}", tag = "settings", params(("id" = Uuid, Path)),
    responses((status = 200, description = "Revoked", body = Success<IdView>)))]
pub(crate) async fn revoke(state: web::Data<AppState>, caller: Caller, id: web::Path<ApiKeyId>) -> ApiResult {
    let revoked =
        state.identity.revoke_api_key(&caller.context, caller.user_id, caller.organization_id, *id).await?;
    done(IdView { id: id.uuid() }, revoked.position, 0)
}
