//! `users/profile`, `users/settings`, `users/account`.

use actix_web::web;
use annals_commands::bus::CommandError;
use annals_domain::identity::Locale;
use annals_domain::{
    Refusal, RefusalKind,
    identity::{CompanyName, PersonName, PhoneNumber, PictureUrl, Profile, User, UserSettings},
    kernel::{InvalidText, TimeZone},
};
use annals_projections::identity::{Users, users};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    faults::Faults,
    views::{IdView, UserView, clear_refresh_cookie, done},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

/// A whole profile: what is left out is taken away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ProfileBody {
    #[schema(example = "Ada Lovelace")]
    name: String,
    company: Option<String>,
    phone: Option<String>,
    avatar_url: Option<String>,
}

/// Parts of a profile: what is left out stays, `null` takes away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ProfilePatch {
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    company: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    avatar_url: Option<Option<String>>,
}

/// Tells `null` from left out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Parts of the settings; of `preferences` too, where `null` takes a key away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SettingsPatch {
    #[schema(example = "Europe/Berlin")]
    timezone: Option<String>,
    #[schema(example = "de")]
    locale: Option<String>,
    #[schema(value_type = Option<Object>)]
    preferences: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsView {
    timezone: String,
    locale: String,
    #[schema(value_type = Object)]
    preferences: Map<String, Value>,
}

/// Your profile.
#[utoipa::path(get, path = "/users/profile", tag = "users",
    responses((status = 200, description = "You", body = Success<UserView>)))]
pub(crate) async fn profile(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<Users>(&caller).await?;
    let row = users::find(reader, caller.user_id.uuid()).await?;
    let row = row.ok_or_else(|| ApiError::not_found("user"))?;
    let version = u64::try_from(row.version).unwrap_or_default();
    Answer::ok(UserView::read(row, state.clock.now())).version(version).respond()
}

/// Your settings.
#[utoipa::path(get, path = "/users/settings", tag = "users",
    responses((status = 200, description = "Time zone, language, preferences", body = Success<SettingsView>)))]
pub(crate) async fn settings(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let reader = state.reader_for::<Users>(&caller).await?;
    let row = users::find(reader, caller.user_id.uuid()).await?;
    let row = row.ok_or_else(|| ApiError::not_found("user"))?;
    let version = u64::try_from(row.version).unwrap_or_default();
    let UserView { timezone, locale, preferences, .. } = UserView::read(row, state.clock.now());
    Answer::ok(SettingsView { timezone, locale, preferences }).version(version).respond()
}

/// Replaces your profile.
#[utoipa::path(put, path = "/users/profile", tag = "users", request_body = ProfileBody,
    responses((status = 200, description = "Changed", body = Success<UserView>)))]
pub(crate) async fn put_profile(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<ProfileBody>,
) -> ApiResult {
    let mut faults = Faults::default();
    let name = faults.check("name", PersonName::parse(&body.name));
    let company = faults.check_optional("company", body.company.as_deref(), CompanyName::parse);
    let phone = faults.check_optional("phone", body.phone.as_deref(), PhoneNumber::parse);
    let avatar_url = faults.check_optional("avatarUrl", body.avatar_url.as_deref(), PictureUrl::parse);
    let Some(name) = name else { return Err(faults.refused()) };
    faults.done()?;
    let profile = Profile { name, company, phone, avatar_url };
    change_profile(&state, &caller, move |_| Ok(profile.clone())).await
}

/// Changes parts of your profile.
#[utoipa::path(patch, path = "/users/profile", tag = "users", request_body = ProfilePatch,
    responses((status = 200, description = "Changed", body = Success<UserView>)))]
pub(crate) async fn patch_profile(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<ProfilePatch>,
) -> ApiResult {
    let mut faults = Faults::default();
    let name = faults.check_optional("name", body.name.as_deref(), PersonName::parse);
    let company = patched(&mut faults, "company", body.company, CompanyName::parse);
    let phone = patched(&mut faults, "phone", body.phone, PhoneNumber::parse);
    let avatar_url = patched(&mut faults, "avatarUrl", body.avatar_url, PictureUrl::parse);
    faults.done()?;
    change_profile(&state, &caller, move |before| {
        Ok(Profile {
            name: name.clone().unwrap_or(before.name),
            company: company.clone().unwrap_or(before.company),
            phone: phone.clone().unwrap_or(before.phone),
            avatar_url: avatar_url.clone().unwrap_or(before.avatar_url),
        })
    })
    .await
}

fn patched<T>(
    faults: &mut Faults,
    field: &str,
    change: Option<Option<String>>,
    parse: impl Fn(&str) -> Result<T, InvalidText>,
) -> Option<Option<T>> {
    change.map(|text| faults.check_optional(field, text.as_deref(), parse))
}

async fn change_profile(
    state: &AppState,
    caller: &Caller,
    change: impl annals_commands::identity::Change<Profile>,
) -> ApiResult {
    let changed = state.identity.change_profile(&caller.context, caller.user_id, change).await?;
    let user = state.bus.load::<User>(caller.user_id).await?.state;
    done(UserView::of(caller.user_id, &user, state.clock.now()), changed.position, changed.version)
}

/// Changes your time zone, language or preferences.
#[utoipa::path(patch, path = "/users/settings", tag = "users", request_body = SettingsPatch,
    responses((status = 200, description = "Changed", body = Success<SettingsView>)))]
pub(crate) async fn patch_settings(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<SettingsPatch>,
) -> ApiResult {
    let mut faults = Faults::default();
    let timezone = faults.check_optional("timezone", body.timezone.as_deref(), TimeZone::parse);
    let locale = faults.check_optional("locale", body.locale.as_deref(), Locale::parse);
    faults.done()?;
    let changes = body.preferences.unwrap_or_default();
    let change = move |before: UserSettings| {
        let preferences = before.preferences.merged(changes.clone());
        Ok(UserSettings {
            timezone: timezone.clone().unwrap_or(before.timezone),
            locale: locale.clone().unwrap_or(before.locale),
            preferences: preferences.map_err(|fault| CommandError::refused(InvalidPreferences(fault)))?,
        })
    };
    let changed = state.identity.change_settings(&caller.context, caller.user_id, change).await?;
    let settings = state.bus.load::<User>(caller.user_id).await?.state.settings();
    let view = SettingsView {
        timezone: settings.timezone.as_str().to_string(),
        locale: settings.locale.as_str().to_string(),
        preferences: settings.preferences.as_object().clone(),
    };
    done(view, changed.position, changed.version)
}

/// What the preferences would become with the change.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct InvalidPreferences(InvalidText);

impl Refusal for InvalidPreferences {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "VALIDATION_ERROR"
    }

    fn field(&self) -> Option<&str> {
        Some("preferences")
    }
}

/// Deletes your account and forgets you: everything personal is gone within a minute.
#[utoipa::path(delete, path = "/users/account", tag = "users",
    responses(
        (status = 200, description = "Gone", body = Success<IdView>),
        (status = 409, description = "You own an organization with other members: transfer it first",
            body = crate::http::answer::Failure),
    ))]
pub(crate) async fn delete_account(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let gone = state.identity.delete_account(&caller.context, caller.user_id).await?;
    let mut response = done(IdView { id: caller.user_id.uuid() }, gone.position, 0)?;
    clear_refresh_cookie(&state, &mut response)?;
    Ok(response)
}
