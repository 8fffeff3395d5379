//! `/integrations`: platforms, channels, customers.

use actix_web::web;
use annals_commands::{
    bus::Outcome,
    ports::social::{ConnectMethod, CredentialField, PlatformInfo, PlatformMedia, SettingField},
    publishing::channels::{ChannelChange, Channels as Commands, NewChannel},
};
use annals_domain::{
    kernel::IntegrationId,
    publishing::{Integration, integration::Label},
};
use annals_projections::publishing::{Channels, channels};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    failed,
    social::{self, AuthorizationView},
    views::ChannelView,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, FieldError, answer::Success},
    state::AppState,
};

/// Characters of one credential.
const CREDENTIAL_CHARS_MAX: usize = 4_096;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ConnectBody {
    /// One of `GET /integrations`' platforms.
    #[schema(example = "feed")]
    pub platform: String,
    /// The platform's name for the account if it is left out.
    pub name: Option<String>,
    /// The fields that the platform asks for.
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RenameBody {
    pub name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct GroupBody {
    /// Null: in no group.
    pub group: Option<String>,
    /// Whose channel it is, if it is somebody else's.
    pub customer: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelList {
    pub platforms: Vec<PlatformView>,
    pub connected: Vec<ChannelView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlatformView {
    pub identifier: &'static str,
    pub name: &'static str,
    /// How it is connected: `{"method": "none"}`, `{"method": "credentials", "fields": […]}`, or
    /// `{"method": "oauth2", "fields": […]}`, where the answer says where to go. Credentials with `browser` can
    /// be had that way too: `GET /social/{provider}`.
    #[schema(value_type = Object)]
    pub connect: ConnectMethod,
    /// Characters of a post, as the platform counts them.
    pub max_length: usize,
    /// Parts of a thread, the first included.
    pub max_thread_parts: usize,
    /// What of a part's files it takes; null: none.
    #[schema(value_type = Option<Object>)]
    pub media: Option<PlatformMedia>,
    /// What a post may be told in its `integrations`' `settings`.
    #[schema(value_type = Vec<Object>)]
    pub settings: Vec<SettingField>,
}

impl From<&PlatformInfo> for PlatformView {
    fn from(info: &PlatformInfo) -> Self {
        Self {
            identifier: info.identifier,
            name: info.name,
            connect: info.connect.clone(),
            max_length: info.limits.text_chars_max,
            max_thread_parts: info.limits.thread_parts_max,
            media: info.limits.media.clone(),
            settings: info.settings.clone(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomerView {
    pub name: String,
    /// How many channels are theirs.
    pub channels: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DisconnectedChannel {
    pub id: Uuid,
    /// `disconnected`: its credentials are destroyed.
    pub status: &'static str,
}

/// Connects a channel: signs in at the platform and keeps what later calls need, sealed. Where the owner has to
/// let us in at the platform itself, the answer is 200 and says where they go.
#[utoipa::path(
    post, path = "/integrations/connect", tag = "integrations", request_body = ConnectBody,
    responses(
        (status = 201, description = "The channel", body = Success<ChannelView>),
        (status = 200, description = "Where its owner lets us in", body = Success<AuthorizationView>),
    ),
)]
pub(super) async fn connect(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<ConnectBody>,
) -> ApiResult {
    let name = label("name", body.name.as_deref())?;
    let info = state.platforms.get(&body.platform).map(|provider| provider.info());
    let Some(info) = info else {
        return Err(ApiError::field(
            "platform",
            "is no platform of this installation: see GET /integrations",
        ));
    };
    let in_browser = matches!(info.connect, ConnectMethod::OAuth2 { .. });
    let given = body.credentials.unwrap_or_default();
    let credentials = connect_form("credentials.", info.connect.fields(), given)?;
    let channel = NewChannel {
        organization: caller.organization_id,
        by: caller.user_id,
        platform: body.platform,
        name,
        credentials,
    };
    if in_browser {
        return social::as_answer(social::authorize(&state, channel).await?);
    }
    let outcome = commands(&state).connect(&caller.context, channel).await.map_err(failed)?;
    let Some(id) = outcome.value else { return Err(ApiError::not_found("channel")) };
    let loaded = state.bus.load::<Integration>(id).await?;
    Answer::created(ChannelView::of(id, &loaded.state, loaded.version))
        .position(outcome.receipt.position)
        .version(loaded.version)
        .respond()
}

/// Gives a channel another name.
#[utoipa::path(
    put, path = "/integrations/{id}", tag = "integrations", request_body = RenameBody,
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The channel", body = Success<ChannelView>)),
)]
pub(super) async fn rename(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
    Body(body): Body<RenameBody>,
) -> ApiResult {
    let name = Label::parse(&body.name).map_err(|why| ApiError::field("name", why))?;
    change(&state, &caller, *id, ChannelChange::Rename(name)).await
}

/// Puts a channel into a group, and says whose it is.
#[utoipa::path(
    put, path = "/integrations/{id}/group", tag = "integrations", request_body = GroupBody,
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The channel", body = Success<ChannelView>)),
)]
pub(super) async fn group(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
    Body(body): Body<GroupBody>,
) -> ApiResult {
    let group = label("group", body.group.as_deref())?;
    let customer = label("customer", body.customer.as_deref())?;
    change(&state, &caller, *id, ChannelChange::Group { group, customer }).await
}

/// Asks the platform for new credentials at once. Where it refuses for good, the answer is 409 and the channel's
/// owner has to connect it again; its posts wait for that.
#[utoipa::path(
    post, path = "/integrations/{id}/refresh", tag = "integrations", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The channel", body = Success<ChannelView>)),
)]
pub(super) async fn refresh(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
) -> ApiResult {
    commands(&state).refresh(&caller.context, caller.organization_id, *id).await.map_err(failed)?;
    let loaded = state.bus.load::<Integration>(*id).await?;
    Answer::ok(ChannelView::of(*id, &loaded.state, loaded.version)).version(loaded.version).respond()
}

/// Switches a channel on again.
#[utoipa::path(
    post, path = "/integrations/{id}/enable", tag = "integrations", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The channel", body = Success<ChannelView>)),
)]
pub(super) async fn enable(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
) -> ApiResult {
    change(&state, &caller, *id, ChannelChange::Enable).await
}

/// Switches a channel off: what is due on it fails until it is on again.
#[utoipa::path(
    post, path = "/integrations/{id}/disable", tag = "integrations", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The channel", body = Success<ChannelView>)),
)]
pub(super) async fn disable(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
) -> ApiResult {
    change(&state, &caller, *id, ChannelChange::Disable).await
}

/// Disconnects a channel and destroys its credentials. What it published stays on the platform.
#[utoipa::path(
    delete, path = "/integrations/{id}", tag = "integrations", params(("id" = Uuid, Path)),
    responses((status = 200, description = "It is disconnected", body = Success<DisconnectedChannel>)),
)]
pub(super) async fn disconnect(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
) -> ApiResult {
    let outcome =
        commands(&state).disconnect(&caller.context, caller.organization_id, *id).await.map_err(failed)?;
    Answer::ok(DisconnectedChannel { id: id.uuid(), status: "disconnected" })
        .position(outcome.receipt.position)
        .respond()
}

/// The platforms of this installation and the organization's channels.
#[utoipa::path(
    get, path = "/integrations", tag = "integrations",
    responses((status = 200, description = "Platforms and channels", body = Success<ChannelList>)),
)]
pub(super) async fn list(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    Answer::ok(listed(&state, &caller).await?).respond()
}

/// The platforms of this installation and the caller's organization's channels.
pub(crate) async fn listed(state: &AppState, caller: &Caller) -> Result<ChannelList, ApiError> {
    let reader = state.reader_for::<Channels>(caller).await?;
    let connected = channels::list(reader.pool(), caller.organization_id).await?;
    Ok(ChannelList {
        platforms: state.platforms.list().into_iter().map(PlatformView::from).collect(),
        connected: connected.into_iter().map(ChannelView::from).collect(),
    })
}

/// Whose channels the organization looks after.
#[utoipa::path(
    get, path = "/integrations/customers", tag = "integrations",
    responses((status = 200, description = "By name", body = Success<Vec<CustomerView>>)),
)]
pub(super) async fn customers(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<Channels>(&caller).await?;
    let customers = channels::customers(reader.pool(), caller.organization_id).await?;
    let view =
        |customer: channels::Customer| CustomerView { name: customer.name, channels: customer.channels };
    Answer::ok(customers.into_iter().map(view).collect::<Vec<_>>()).respond()
}

/// One channel.
#[utoipa::path(
    get, path = "/integrations/{id}", tag = "integrations", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The channel", body = Success<ChannelView>)),
)]
pub(super) async fn show(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<IntegrationId>,
) -> ApiResult {
    let reader = state.reader_for::<Channels>(&caller).await?;
    let channel = channels::get(reader.pool(), caller.organization_id, *id).await?;
    let channel = channel.ok_or_else(|| ApiError::not_found("channel"))?;
    let version = channel.version;
    Answer::ok(ChannelView::from(channel)).version(version).respond()
}

pub(super) fn commands(state: &AppState) -> Commands {
    Commands::new(state.bus.clone(), state.platforms.clone())
}

async fn change(state: &AppState, caller: &Caller, id: IntegrationId, change: ChannelChange) -> ApiResult {
    let outcome: Outcome<()> =
        commands(state).change(&caller.context, caller.organization_id, id, change).await.map_err(failed)?;
    let loaded = state.bus.load::<Integration>(id).await?;
    Answer::ok(ChannelView::of(id, &loaded.state, loaded.version))
        .position(outcome.receipt.position)
        .version(loaded.version)
        .respond()
}

pub(super) fn label(field: &str, text: Option<&str>) -> Result<Option<Label>, ApiError> {
    text.map(Label::parse).transpose().map_err(|why| ApiError::field(field, why))
}

/// The fields that the platform asks for, and no others; defaults filled in. `prefix` is how faults name them.
pub(super) fn connect_form(
    prefix: &str,
    fields: &[CredentialField],
    mut given: Map<String, Value>,
) -> Result<Value, ApiError> {
    let (mut taken, mut errors) = (Map::new(), Vec::new());
    for field in fields {
        match credential(field, given.remove(field.name)) {
            Ok(Some(text)) => {
                taken.insert(field.name.to_string(), json!(text));
            }
            Ok(None) => {}
            Err(message) => errors.push(FieldError::new(format!("{prefix}{}", field.name), message)),
        }
    }
    errors.extend(
        given.keys().map(|name| FieldError::new(format!("{prefix}{name}"), "is no field of this platform")),
    );
    if errors.is_empty() { Ok(Value::Object(taken)) } else { Err(ApiError::validation(errors)) }
}

fn credential(field: &CredentialField, given: Option<Value>) -> Result<Option<String>, String> {
    match given {
        Some(Value::String(text)) if text.chars().count() > CREDENTIAL_CHARS_MAX => {
            Err(format!("must have at most {CREDENTIAL_CHARS_MAX} characters"))
        }
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        None | Some(Value::Null | Value::String(_)) => match field.default {
            Some(default) => Ok(Some(default.to_string())),
            None if field.required => Err("is required".to_string()),
            None => Ok(None),
        },
        Some(_) => Err("must be a text".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_the_platforms_fields_and_no_others() {
        let field =
            |name, required, default| CredentialField { name, label: name, secret: false, required, default };
        let fields = [field("service", true, Some("https://x")), field("password", true, None)];
        let given = |value: Value| value.as_object().cloned().unwrap_or_default();
        let names = |error: ApiError| error.errors.into_iter().map(|error| error.field).collect::<Vec<_>>();
        let taken = connect_form("credentials.", &fields, given(json!({"password": "p", "service": ""})));
        assert_eq!(taken.ok(), Some(json!({"service": "https://x", "password": "p"})));
        let wrong = connect_form("credentials.", &fields, given(json!({"password": 1, "token": "t"})));
        assert_eq!(
            wrong.map_err(names),
            Err(vec!["credentials.password".into(), "credentials.token".into()])
        );
        let unasked = connect_form("credentials.", &[], given(json!({"password": "p"})));
        assert_eq!(unasked.map_err(names), Err(vec!["credentials.password".to_string()]));
    }
}
