//! `social/:provider`: channels whose owner lets us in at the platform itself.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, http::StatusCode, web};
use annals_commands::{bus::Context, publishing::channels::NewChannel};
use annals_domain::publishing::Integration;
use annals_eventstore::{Actor, ActorKind};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::{IntoParams, ToSchema};

use super::{
    channels::{commands, connect_form, label},
    failed,
    views::ChannelView,
};
use crate::{
    http::{Anonymous, Answer, ApiError, ApiResult, Caller, Query, answer::Success, landing, routes},
    state::AppState,
};

/// Characters of what another server sends back.
const ANSWER_CHARS_MAX: usize = 8_192;

/// Where the channel's owner goes to let us in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthorizationView {
    /// To be opened in a browser; the platform sends it back here, and the channel is connected.
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

/// What a platform sends the browser back with (RFC 6749, section 4.1.2).
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct CallbackQuery {
    pub code: Option<String>,
    pub state: Option<String>,
    /// `access_denied` if the person said no.
    pub error: Option<String>,
    pub error_description: Option<String>,
}

impl CallbackQuery {
    /// The code and the state.
    ///
    /// # Errors
    /// 400 in the other server's words if it says no, or by the name of what is missing.
    pub(crate) fn answer(self) -> Result<(String, String), ApiError> {
        if let Some(error) = self.error {
            let said = self.error_description.unwrap_or(error);
            let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "AUTHORIZATION_DENIED", said));
        }
        let given = |name: &str, value: Option<String>| {
            let value = value.filter(|value| !value.is_empty() && value.len() <= ANSWER_CHARS_MAX);
            value.ok_or_else(|| ApiError::field(name, "is what the other server has to send back"))
        };
        Ok((given("code", self.code)?, given("state", self.state)?))
    }
}

/// Where the owner of an account goes to let us in; the platform's fields (such as a server) are given in the
/// query. Nothing is recorded before they come back.
#[utoipa::path(
    get, path = "/social/{provider}", tag = "integrations", params(("provider" = String, Path)),
    responses((status = 200, description = "Where to go", body = Success<AuthorizationView>)),
)]
pub(super) async fn begin(
    state: web::Data<AppState>,
    caller: Caller,
    provider: web::Path<String>,
    Query(fields): Query<BTreeMap<String, String>>,
) -> ApiResult {
    Answer::ok(begun(&state, &caller, provider.into_inner(), fields).await?).respond()
}

/// Where the owner of an account on `platform` goes, with what was given in a query.
pub(crate) async fn begun(
    state: &AppState,
    caller: &Caller,
    platform: String,
    fields: BTreeMap<String, String>,
) -> Result<AuthorizationView, ApiError> {
    let mut fields: Map<String, Value> =
        fields.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
    let name = fields.remove("name");
    let name = label("name", name.as_ref().and_then(Value::as_str))?;
    let info = state.platforms.get(&platform).map(|provider| provider.info());
    let Some(info) = info else { return Err(ApiError::not_found("platform")) };
    let Some(asked) = info.connect.browser_fields() else {
        let message = format!("{} is connected with POST /integrations/connect", info.name);
        return Err(ApiError::conflict("NO_AUTHORIZATION", message));
    };
    let channel = NewChannel {
        organization: caller.organization_id,
        by: caller.user_id,
        platform,
        name,
        credentials: connect_form("", asked, fields)?,
    };
    authorize(state, channel).await
}

/// Prepares what the owner needs to let us in.
pub(super) async fn authorize(state: &AppState, channel: NewChannel) -> Result<AuthorizationView, ApiError> {
    let redirect_uri = callback_url(state, &format!("/social/{}/callback", channel.platform))?;
    let begun = commands(state).begin_authorization(channel, redirect_uri).await.map_err(failed)?;
    Ok(AuthorizationView { url: begun.url.into(), expires_at: begun.expires_at })
}

/// An address of ours that other servers send browsers to.
pub(crate) fn callback_url(state: &AppState, path: &str) -> Result<Url, ApiError> {
    let base = state.config.public_url.as_str().trim_end_matches('/');
    let url = format!("{base}{}{path}", routes::PREFIX);
    url.parse().map_err(|error: url::ParseError| ApiError::internal(&error))
}

/// Where the platform sends the owner back to: the channel is connected for whoever began, if they still may.
/// A browser gets a page, a program JSON.
#[utoipa::path(
    get, path = "/social/{provider}/callback", tag = "integrations",
    params(("provider" = String, Path), CallbackQuery),
    responses((status = 201, description = "The channel", body = Success<ChannelView>)),
)]
pub(super) async fn callback(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    provider: web::Path<String>,
    Query(query): Query<CallbackQuery>,
) -> ApiResult {
    let completed = complete(&state, &caller, &provider, query).await;
    match completed {
        Ok((view, _)) if landing::wants_page(&request) => {
            let sentence = format!("{} is connected. You can close this page.", view.name);
            Ok(landing::page(StatusCode::CREATED, "Connected", &sentence))
        }
        Err(error) if landing::wants_page(&request) => Ok(landing::failure("Not connected", &error)),
        Ok((view, position)) => {
            let version = view.version;
            Answer::created(view).position(position).version(version).respond()
        }
        Err(error) => Err(error),
    }
}

async fn complete(
    state: &AppState,
    caller: &Anonymous,
    provider: &str,
    query: CallbackQuery,
) -> Result<(ChannelView, u64), ApiError> {
    let (code, sealed) = query.answer()?;
    let commands = commands(state);
    let authorization = commands.pending(&sealed)?;
    let pending = &authorization.content;
    if pending.platform != provider {
        return Err(ApiError::field("state", "is of another platform: begin again"));
    }
    let role = state.directory.membership(pending.organization, pending.by).await?;
    let organization = pending.organization.to_string();
    if !role.is_some_and(|role| state.rights.allows(role, &organization, "integration", "create")) {
        return Err(ApiError::forbidden("you may no longer connect channels of this organization"));
    }
    let context = Context {
        actor: Actor { kind: ActorKind::User, id: Some(pending.by.to_string()) },
        organization_id: Some(pending.organization.uuid()),
        client_subject: Some(format!("user:{}", pending.by)),
        ..caller.context.clone()
    };
    let by = pending.by;
    let outcome = commands.complete_authorization(&context, authorization, code).await.map_err(failed)?;
    let Some(id) = outcome.value else { return Err(ApiError::not_found("channel")) };
    state.own_writes.record(by, outcome.receipt.position);
    let loaded = state.bus.load::<Integration>(id).await?;
    Ok((ChannelView::of(id, &loaded.state, loaded.version), outcome.receipt.position))
}

/// For [`super::channels::connect`]: what a caller gave as JSON.
pub(super) fn as_answer(view: AuthorizationView) -> ApiResult {
    Answer::ok(view).respond()
}
