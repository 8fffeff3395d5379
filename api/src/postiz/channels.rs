//! Channels and whose they are.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use annals_commands::ports::social::{SettingField, SettingKind};
use annals_domain::kernel::IntegrationId;
use annals_projections::publishing::{
    Channels,
    channels::{self, Channel},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::failure::Refusal;
use crate::{
    http::{ApiError, ApiResult, Body, Caller},
    publishing::social,
    state::AppState,
};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChannelEntry {
    id: Uuid,
    name: String,
    /// The platform.
    identifier: String,
    picture: Option<String>,
    disabled: bool,
    /// The account's name on the platform.
    profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Group>,
}

/// A customer: Postiz calls the channels of one a group. Its name is its id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Group {
    id: String,
    name: String,
}

impl Group {
    fn of(name: String) -> Self {
        Self { id: name.clone(), name }
    }
}

impl From<Channel> for ChannelEntry {
    fn from(channel: Channel) -> Self {
        Self {
            id: channel.id,
            disabled: channel.status != "connected",
            profile: channel.handle.unwrap_or_else(|| channel.name.clone()),
            name: channel.name,
            identifier: channel.platform,
            picture: channel.picture,
            customer: channel.customer.map(Group::of),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ChannelsQuery {
    /// Only this customer's.
    group: Option<String>,
}

/// A platform's settings as a JSON Schema.
fn schema_of(fields: &[SettingField]) -> Map<String, Value> {
    let language = json!({"type": "string", "pattern": "^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"});
    let property = |field: &SettingField| {
        let mut schema = match &field.kind {
            SettingKind::Choice { values } => json!({"type": "string", "enum": values}),
            SettingKind::Choices { values } => {
                json!({"type": "array", "items": {"type": "string", "enum": values}, "uniqueItems": true})
            }
            SettingKind::Text { chars_max } => {
                json!({"type": "string", "minLength": 1, "maxLength": chars_max})
            }
            SettingKind::Flag => json!({"type": "boolean"}),
            SettingKind::Language => language.clone(),
            SettingKind::Languages { count_max } => {
                json!({"type": "array", "items": language, "maxItems": count_max, "uniqueItems": true})
            }
        };
        schema["title"] = json!(field.label);
        (field.name.to_string(), schema)
    };
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    let schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    schema.as_object().cloned().unwrap_or_default()
}

/// The organization's channels.
#[utoipa::path(
    get, path = "/public/v1/integrations", tag = "postiz", params(ChannelsQuery),
    responses((status = 200, description = "By name", body = Vec<ChannelEntry>)),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    query: web::Query<ChannelsQuery>,
) -> ApiResult {
    let group = query.group.as_deref().filter(|group| !group.is_empty());
    let channels = of_organization(&state, &caller).await?.into_iter();
    let wanted = channels.filter(|channel| group.is_none() || channel.customer.as_deref() == group);
    Ok(HttpResponse::Ok().json(wanted.map(ChannelEntry::from).collect::<Vec<_>>()))
}

/// Whose channels the organization looks after.
#[utoipa::path(
    get, path = "/public/v1/groups", tag = "postiz",
    responses((status = 200, description = "By name", body = Vec<Group>)),
)]
pub(super) async fn groups(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<Channels>(&caller).await?;
    let customers = channels::customers(reader.pool(), caller.organization_id).await?;
    let groups: Vec<Group> = customers.into_iter().map(|customer| Group::of(customer.name)).collect();
    Ok(HttpResponse::Ok().json(groups))
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Connected {
    connected: bool,
}

/// Whether the key holds.
#[utoipa::path(
    get, path = "/public/v1/is-connected", tag = "postiz",
    responses((status = 200, description = "It does", body = Connected)),
)]
pub(super) async fn is_connected(_: Caller) -> ApiResult {
    Ok(HttpResponse::Ok().json(Connected { connected: true }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Output<T> {
    output: T,
}

/// What a channel's platform asks of a post.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelRules {
    /// In words.
    rules: String,
    /// Characters of a text, as the platform counts them.
    max_length: usize,
    /// Settings of a post that the platform takes, as a JSON Schema.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// What `integration-trigger` could do: nothing.
    #[schema(value_type = Vec<Object>)]
    tools: Vec<Value>,
}

/// What a channel's platform asks of a post.
#[utoipa::path(
    get, path = "/public/v1/integration-settings/{id}", tag = "postiz", params(("id" = Uuid, Path)),
    responses((status = 200, description = "Its rules", body = Output<ChannelRules>)),
)]
pub(super) async fn settings(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
) -> ApiResult {
    let channel = one(&state, &caller, *id).await?;
    let provider = state.platforms.get(&channel.platform);
    let info = provider.ok_or_else(|| ApiError::not_found("platform any more"))?.info();
    let (length, parts) = (info.limits.text_chars_max, info.limits.thread_parts_max);
    let rules =
        format!("{}: a text has at most {length} characters, a thread at most {parts} parts", info.name);
    let settings = schema_of(&info.settings);
    let output = ChannelRules { rules, max_length: length, settings, tools: Vec::new() };
    Ok(HttpResponse::Ok().json(Output { output }))
}

/// Where a browser goes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Address {
    url: String,
}

/// Where the owner of an account goes to let us in; the platform's fields, such as a server, are given in the
/// query, and what else stands there is not looked at.
#[utoipa::path(
    get, path = "/public/v1/social/{provider}", tag = "postiz", params(("provider" = String, Path)),
    responses((status = 200, description = "Where to go", body = Address)),
)]
pub(super) async fn authorize(
    state: web::Data<AppState>,
    caller: Caller,
    provider: web::Path<String>,
    query: web::Query<BTreeMap<String, String>>,
) -> ApiResult {
    let info = state.platforms.get(&provider).map(|provider| provider.info());
    let asked = info.and_then(|info| info.connect.browser_fields()).unwrap_or_default();
    let mut fields = query.into_inner();
    fields.retain(|name, value| !value.is_empty() && asked.iter().any(|field| field.name == name));
    let begun = social::begun(&state, &caller, provider.into_inner(), fields).await?;
    Ok(HttpResponse::Ok().json(Address { url: begun.url }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TriggerBody {
    method_name: String,
}

/// Calls a tool of a channel's platform; no platform has any, and the answer says so.
#[utoipa::path(
    post, path = "/public/v1/integration-trigger/{id}", tag = "postiz", request_body = TriggerBody,
    params(("id" = Uuid, Path)),
    responses((status = 400, description = "There is no such tool", body = Refusal)),
)]
pub(super) async fn trigger(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
    Body(body): Body<TriggerBody>,
) -> ApiResult {
    let channel = one(&state, &caller, *id).await?;
    let message = format!("{:?} is no tool of {}: it has none", body.method_name, channel.platform);
    Err(ApiError::field("methodName", message))
}

/// All that were not disconnected.
pub(super) async fn of_organization(state: &AppState, caller: &Caller) -> Result<Vec<Channel>, ApiError> {
    let reader = state.reader_for::<Channels>(caller).await?;
    Ok(channels::list(reader.pool(), caller.organization_id).await?)
}

async fn one(state: &AppState, caller: &Caller, id: IntegrationId) -> Result<Channel, ApiError> {
    let reader = state.reader_for::<Channels>(caller).await?;
    let found = channels::get(reader.pool(), caller.organization_id, id).await?;
    found.ok_or_else(|| ApiError::not_found("integration"))
}
