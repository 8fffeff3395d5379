//! `users/avatar`: a person's picture, and its bytes for anyone who has its address.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use annals_adapters::media::BadFile;
use annals_commands::{
    identity::avatars::{AvatarError, Avatars, NewAvatar, key},
    ports::files::{FileBytes, FilesError},
};
use annals_domain::{
    identity::{PictureUrl, User},
    kernel::UserId,
    publishing::media::{MediaKind, MediaType},
};
use futures::TryStreamExt;
use utoipa::ToSchema;

use super::views::{UserView, done};
use crate::{
    http::{Anonymous, ApiError, ApiResult, Caller, answer::Success},
    publishing::media::upload::{FIELD, receive_picture, store_unavailable},
    state::AppState,
};

/// Nobody's page is stale for long, and a forgotten person's picture is soon gone from caches.
const CACHE_CONTROL: &str = "public, max-age=86400";

/// What the form has, for the document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read from the form as it comes")]
pub(crate) struct AvatarForm {
    /// PNG, JPEG, GIF or WebP.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Makes an image your picture: its middle, as a square of at most 512 pixels, without what a camera noted.
#[utoipa::path(put, path = "/users/avatar", tag = "users",
    request_body(content = AvatarForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "You, with `avatarUrl`", body = Success<UserView>),
        (status = 413, description = "Larger than an image may be"),
        (status = 415, description = "No image that is taken"),
    ))]
pub(crate) async fn put(
    state: web::Data<AppState>,
    mut caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let file = receive_picture(&state.media, &request, payload).await?;
    // The gate did not see the bytes: the same key with other bytes is another request.
    if let Some(idempotency) = &mut caller.context.idempotency {
        idempotency.request.extend_from_slice(file.sha256().as_bytes());
    }
    let square = state.media.workshop().square(file.kind(), file.path()).await;
    let (square, media_type) = square.map_err(|BadFile(why)| ApiError::field(FIELD, why))?;
    let avatar = NewAvatar { path: square.path(), media_type, sha256: &square.sha256 };
    let avatars = avatars(&state);
    let url = address(&state, caller.user_id, &avatars.name(caller.user_id, &avatar));
    let url = PictureUrl::parse(&url).map_err(|why| ApiError::field(FIELD, why))?;
    let set = avatars.set(&caller.context, caller.user_id, &avatar, url).await;
    let changed = set.map_err(|error| match error {
        AvatarError::Command(error) => error.into(),
        AvatarError::Files(error) => store_unavailable(&error),
    })?;
    shown(&state, &caller, changed.position, changed.version).await
}

/// Takes your picture away.
#[utoipa::path(delete, path = "/users/avatar", tag = "users",
    responses((status = 200, description = "You, without one", body = Success<UserView>)))]
pub(crate) async fn delete(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let changed = avatars(&state).clear(&caller.context, caller.user_id).await?;
    shown(&state, &caller, changed.position, changed.version).await
}

/// A person's picture.
#[utoipa::path(
    get, path = "/avatars/{user}/{file}", tag = "users",
    params(("user" = Uuid, Path), ("file" = String, Path, description = "As `avatarUrl` has it")),
    responses(
        (status = 200, description = "The bytes", body = String, content_type = "application/octet-stream"),
        (status = 404, description = "It is nobody's picture any more"),
    ),
)]
pub(crate) async fn file(
    state: web::Data<AppState>,
    _: Anonymous,
    path: web::Path<(String, String)>,
) -> ApiResult {
    let (user, name) = path.into_inner();
    let missing = || ApiError::not_found("picture");
    let user: UserId = user.parse().map_err(|_| missing())?;
    let avatars = avatars(&state);
    if avatars.current(user).await?.as_deref() != Some(name.as_str()) {
        return Err(missing());
    }
    let media_type = MediaType::ALL.into_iter().find(|media_type| {
        media_type.kind() == MediaKind::Image && name.ends_with(&format!(".{}", media_type.extension()))
    });
    let media_type = media_type.ok_or_else(missing)?;
    let bytes = match read(&avatars, &key(user, &name)).await {
        Ok(bytes) => bytes,
        Err(FilesError::NotFound(_)) => return Err(missing()),
        Err(error) => return Err(store_unavailable(&error)),
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, media_type.as_str()))
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header((header::ETAG, format!("\"{name}\"")))
        // Pages of other origins show it; compressed it is already.
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .body(bytes))
}

/// All of it: a square of 512 pixels is small.
async fn read(avatars: &Avatars, key: &str) -> Result<Vec<u8>, FilesError> {
    let parts: FileBytes = avatars.files().open(key, None).await?;
    parts
        .try_fold(Vec::new(), |mut bytes, part| async move {
            bytes.extend_from_slice(&part);
            Ok(bytes)
        })
        .await
}

fn avatars(state: &AppState) -> Avatars {
    let files = state.media.commands.files();
    Avatars::new(state.identity.clone(), state.bus.clone(), std::sync::Arc::clone(files))
}

fn address(state: &AppState, user: UserId, name: &str) -> String {
    let base = state.config.public_url.as_str().trim_end_matches('/');
    format!("{base}/avatars/{user}/{name}")
}

async fn shown(state: &AppState, caller: &Caller, position: u64, version: u64) -> ApiResult {
    let user = state.bus.load::<User>(caller.user_id).await?.state;
    done(UserView::of(caller.user_id, &user, state.clock.now()), position, version)
}
