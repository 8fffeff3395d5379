//! Files for posts.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{ApiResult, Body, Caller, answer::POSITION_HEADER},
    publishing::media::upload::{FromUrlBody, Kept, UploadForm, fetched, uploaded},
    state::AppState,
};

/// The variant that lists show.
const THUMBNAIL: &str = "thumbnail";

/// A file, to be named in a post's `image`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Uploaded {
    id: Uuid,
    name: String,
    original_name: String,
    /// Where anyone reads it.
    path: String,
    /// Made after a moment: null at first.
    thumbnail: Option<String>,
    alt: Option<String>,
}

/// Takes a file into the media library. The same bytes are kept once.
#[utoipa::path(
    post, path = "/public/v1/upload", tag = "postiz",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "The file", body = Uploaded)),
)]
pub(super) async fn upload(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    Ok(answer(uploaded(&state, caller, &request, payload).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct UrlBody {
    url: String,
}

/// Fetches a file from a public address into the media library.
#[utoipa::path(
    post, path = "/public/v1/upload-from-url", tag = "postiz", request_body = UrlBody,
    responses((status = 201, description = "The file", body = Uploaded)),
)]
pub(super) async fn upload_from_url(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<UrlBody>,
) -> ApiResult {
    let body = FromUrlBody { url: body.url, name: None };
    Ok(answer(fetched(&state, caller, &body).await?))
}

fn answer(kept: Kept) -> HttpResponse {
    let file = kept.file;
    let name = file.name.unwrap_or_default();
    let thumbnail = file.variants.into_iter().find(|variant| variant.name == THUMBNAIL);
    HttpResponse::Created().insert_header((POSITION_HEADER, kept.position.to_string())).json(Uploaded {
        id: file.id,
        name: name.clone(),
        original_name: name,
        path: file.url,
        thumbnail: thumbnail.map(|variant| variant.url),
        alt: None,
    })
}
