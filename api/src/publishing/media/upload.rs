//! Files on their way in: read as they come, told apart, looked through, and only then taken.

use std::{path::Path, time::Duration};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
    web,
};
use annals_adapters::{
    media::{BadFile, SpoolError, Spooled, Spooling, is_named_as, sniff},
    net::{Deadline, HttpRequest as OutboundRequest},
};
use annals_commands::{
    bus::CommandError,
    ports::files::FilesError,
    publishing::media::{Arrived, MediaError},
};
use annals_domain::publishing::media::{FileName, MediaKind, MediaOrigin, MediaType, StoredFile};
use futures::StreamExt;
use reqwest::header::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{MediaDesk, MediaFileView, find};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, FieldError, answer::Success},
    publishing::{failed, input::member},
    state::AppState,
};

pub(crate) const FIELD: &str = "file";
/// A sender that is silent for so long has gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// What is fetched from an address is there by then: within the time of a request.
const FETCHED_WITHIN: Duration = Duration::from_secs(20);
/// What a file is called that came without a name.
const UNNAMED: &str = "file";

/// What the form has, for the document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read from the form as it comes")]
pub(crate) struct UploadForm {
    /// PNG, JPEG, GIF, WebP, MP4, MOV, AVI or PDF.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct FromUrlBody {
    /// `https`, at a public address.
    #[schema(example = "https://example.org/cat.png")]
    pub url: String,
    /// What to call it; what the address ends with if it is left out.
    pub name: Option<String>,
}

/// Takes a file into the library. The same bytes are kept once: 200 with what there is already.
#[utoipa::path(
    post, path = "/media/upload", tag = "media",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The file", body = Success<MediaFileView>),
        (status = 200, description = "The organization has these bytes already", body = Success<MediaFileView>),
        (status = 413, description = "Larger than its kind may be"),
        (status = 415, description = "Not of a type that the library takes"),
    ),
)]
pub(crate) async fn upload(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    answer(uploaded(&state, caller, &request, payload).await?)
}

/// Takes the file of a multipart form into the caller's organization's library.
pub(crate) async fn uploaded(
    state: &AppState,
    caller: Caller,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Kept, ApiError> {
    let form = Multipart::new(request.headers(), payload);
    let incoming = receive(&state.media, form).await?;
    take_in(state, caller, incoming, MediaOrigin::Upload).await
}

/// Fetches a file from a public address into the library.
#[utoipa::path(
    post, path = "/media/upload-from-url", tag = "media", request_body = FromUrlBody,
    responses(
        (status = 201, description = "The file", body = Success<MediaFileView>),
        (status = 200, description = "The organization has these bytes already", body = Success<MediaFileView>),
    ),
)]
pub(crate) async fn upload_from_url(
    state: web::Data<AppState>,
    caller: Caller,
    Body(body): Body<FromUrlBody>,
) -> ApiResult {
    answer(fetched(&state, caller, &body).await?)
}

/// Fetches a file from a public address into the caller's organization's library.
pub(crate) async fn fetched(state: &AppState, caller: Caller, body: &FromUrlBody) -> Result<Kept, ApiError> {
    let incoming = fetch(&state.media, body).await?;
    take_in(state, caller, incoming, MediaOrigin::Url).await
}

/// A file of the library that was just sent.
pub(crate) struct Kept {
    pub(crate) file: MediaFileView,
    /// False where the organization had these bytes already.
    pub(crate) is_new: bool,
    pub(crate) position: u64,
}

fn answer(kept: Kept) -> ApiResult {
    let Kept { file, is_new, position } = kept;
    let answer = if is_new { Answer::created(file) } else { Answer::ok(file) };
    answer.position(position).respond()
}

/// Takes the image of a multipart form to look at it; it is gone when the answer is dropped.
pub(crate) async fn receive_picture(
    desk: &MediaDesk,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Incoming, ApiError> {
    let incoming = receive(desk, Multipart::new(request.headers(), payload)).await?;
    if incoming.kind.kind() != MediaKind::Image {
        let message = format!("must be an image; by its first bytes it is {}", incoming.kind.as_str());
        return Err(unsupported(message));
    }
    Ok(incoming)
}

impl Incoming {
    pub(crate) fn kind(&self) -> MediaType {
        self.kind
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn sha256(&self) -> &str {
        &self.file.sha256
    }
}

/// A whole file, and what its sender says of it.
pub(crate) struct Incoming {
    name: FileName,
    kind: MediaType,
    file: Spooled,
}

/// What is said of a file before its bytes.
struct Said {
    name: FileName,
    media_type: Option<String>,
}

async fn receive(desk: &MediaDesk, mut form: Multipart) -> Result<Incoming, ApiError> {
    let mut incoming = None;
    while let Some(field) = next(form.next()).await? {
        let field = field.map_err(broken_form)?;
        let name = field.name().unwrap_or_default().to_string();
        if name != FIELD {
            return Err(ApiError::field(name, "is not a known field"));
        }
        if incoming.is_some() {
            return Err(ApiError::field(FIELD, "must be given once"));
        }
        incoming = Some(receive_file(desk, field).await?);
    }
    incoming.ok_or_else(|| ApiError::field(FIELD, "is required: send a multipart form with it"))
}

async fn receive_file(desk: &MediaDesk, mut field: Field) -> Result<Incoming, ApiError> {
    let given = field.content_disposition().and_then(|disposition| disposition.get_filename());
    let name = FileName::parse(given.unwrap_or(UNNAMED))
        .map_err(|why| ApiError::field(FIELD, format!("has a name that can't be taken: it {why}")))?;
    let said = Said { name, media_type: field.content_type().map(ToString::to_string) };
    let mut spooling = desk.spool.begin(desk.limits.largest()).map_err(not_spooled)?;
    let mut kind = None;
    while let Some(bytes) = next(field.next()).await? {
        let bytes = bytes.map_err(broken_form)?;
        spooling.write(&bytes).await.map_err(not_spooled)?;
        if kind.is_none() && spooling.has_head() {
            kind = Some(tell(desk, &mut spooling, &said)?);
        }
    }
    whole(desk, spooling, kind, said).await
}

async fn fetch(desk: &MediaDesk, body: &FromUrlBody) -> Result<Incoming, ApiError> {
    const URL: &str = "url";
    let url: Url = body.url.parse().map_err(|_| ApiError::field(URL, "must be a URL"))?;
    let last = url.path_segments().and_then(Iterator::last).filter(|last| !last.is_empty());
    let name = match (&body.name, last) {
        (Some(name), _) => FileName::parse(name).map_err(|why| ApiError::field("name", why))?,
        (None, last) => FileName::parse(last.unwrap_or(UNNAMED))
            .or_else(|_| FileName::parse(UNNAMED))
            .map_err(|why| ApiError::field(URL, why))?,
    };
    let failed =
        |error: annals_adapters::net::NetError| ApiError::field(URL, format!("can't be fetched: {error}"));
    let request = OutboundRequest {
        method: reqwest::Method::GET,
        url,
        headers: HeaderMap::new(),
        body: None,
        deadline: Deadline::within(FETCHED_WITHIN),
    };
    let mut answer = desk.client.open(request).await.map_err(failed)?;
    if !answer.status.is_success() {
        return Err(ApiError::field(URL, format!("answers {}", answer.status)));
    }
    let media_type = answer.headers.get(header::CONTENT_TYPE.as_str());
    let media_type = media_type.and_then(|value| value.to_str().ok()).map(str::to_string);
    let said = Said { name, media_type };
    let mut spooling = desk.spool.begin(desk.limits.largest()).map_err(not_spooled)?;
    let mut kind = None;
    while let Some(bytes) = answer.chunk().await.map_err(failed)? {
        spooling.write(&bytes).await.map_err(not_spooled)?;
        if kind.is_none() && spooling.has_head() {
            kind = Some(tell(desk, &mut spooling, &said)?);
        }
    }
    whole(desk, spooling, kind, said).await
}

/// What it is, by its first bytes; from here on its kind's bound holds.
fn tell(desk: &MediaDesk, spooling: &mut Spooling, said: &Said) -> Result<MediaType, ApiError> {
    let known = "PNG, JPEG, GIF, WebP, MP4, MOV, AVI or PDF";
    let kind = sniff(spooling.head())
        .ok_or_else(|| unsupported(format!("must be {known}; by its first bytes it is none of them")))?;
    if !is_named_as(kind, said.media_type.as_deref(), said.name.extension().as_deref()) {
        return Err(unsupported(format!(
            "is {} by its bytes, and something else by its name or declared type",
            kind.as_str()
        )));
    }
    spooling.bound(desk.limits.of(kind.kind())).map_err(not_spooled)?;
    Ok(kind)
}

fn unsupported(message: String) -> ApiError {
    ApiError {
        errors: vec![FieldError { field: FIELD.to_string(), message: message.clone() }],
        ..ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_FILE_TYPE",
            format!("{FIELD} {message}"),
        )
    }
}

async fn whole(
    desk: &MediaDesk,
    mut spooling: Spooling,
    kind: Option<MediaType>,
    said: Said,
) -> Result<Incoming, ApiError> {
    if spooling.head().is_empty() {
        return Err(ApiError::field(FIELD, "must not be empty"));
    }
    let kind = match kind {
        Some(kind) => kind,
        None => tell(desk, &mut spooling, &said)?,
    };
    let file = spooling.finish().await.map_err(not_spooled)?;
    Ok(Incoming { name: said.name, kind, file })
}

async fn take_in(
    state: &AppState,
    mut caller: Caller,
    incoming: Incoming,
    origin: MediaOrigin,
) -> Result<Kept, ApiError> {
    let Incoming { name, kind, file } = incoming;
    // The gate did not see the bytes: the same key with other bytes is another request.
    if let Some(idempotency) = &mut caller.context.idempotency {
        idempotency.request.extend_from_slice(format!("{}\n{}", file.sha256, name.as_str()).as_bytes());
    }
    let looked = state.media.inspector.inspect(kind, file.path()).await;
    let size = looked.map_err(|BadFile(why)| ApiError::field(FIELD, why))?;
    let arrived = Arrived {
        name,
        file: StoredFile {
            media_type: kind,
            size_bytes: file.size_bytes,
            sha256: file.sha256.clone(),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            duration_ms: None,
        },
        origin,
        path: file.path().to_path_buf(),
    };
    let taken = state.media.commands.take_in(&caller.context, member(&caller), arrived).await;
    let outcome = taken.map_err(not_taken)?;
    let Some(taken) = outcome.value else { return Err(ApiError::not_found("media")) };
    let position = outcome.receipt.position;
    let file = find(state, &caller.having_written(position), taken.id).await?;
    Ok(Kept { file, is_new: taken.is_new, position })
}

/// The next part of a form, unless its sender has gone silent.
async fn next<T>(part: impl Future<Output = T>) -> Result<T, ApiError> {
    tokio::time::timeout(SILENCE_MAX, part).await.map_err(|_| {
        ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "BODY_TOO_SLOW",
            "the file did not go on coming in; nothing was kept",
        )
    })
}

fn broken_form(error: MultipartError) -> ApiError {
    match error {
        MultipartError::ContentTypeMissing
        | MultipartError::ContentTypeParse
        | MultipartError::ContentTypeIncompatible
        | MultipartError::BoundaryMissing => ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "the body must be sent as multipart/form-data with a boundary",
        ),
        MultipartError::Incomplete | MultipartError::Payload(_) => ApiError::new(
            StatusCode::BAD_REQUEST,
            "BODY_CUT_OFF",
            "the form did not come in whole; nothing was kept",
        ),
        error => ApiError::field("body", format!("is no multipart form that can be read: {error}")),
    }
}

fn not_spooled(error: SpoolError) -> ApiError {
    match error {
        SpoolError::TooLarge { .. } => {
            let message = error.to_string();
            ApiError {
                errors: vec![FieldError { field: FIELD.to_string(), message: message.clone() }],
                ..ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "FILE_TOO_LARGE", format!("{FIELD} {message}"))
            }
        }
        SpoolError::Disk(cause) => {
            ApiError::unavailable("there is no room to take the file in; try again later", 30)
                .caused_by(&cause)
        }
    }
}

fn not_taken(error: MediaError) -> ApiError {
    match error {
        MediaError::Command(CommandError::Refused(refusal)) => failed(CommandError::Refused(refusal)),
        MediaError::Command(error) => error.into(),
        MediaError::Files(cause) => store_unavailable(&cause),
    }
}

/// The file store is away.
pub(crate) fn store_unavailable(cause: &FilesError) -> ApiError {
    ApiError {
        code: "FILE_STORE_UNAVAILABLE",
        ..ApiError::unavailable("the file store does not answer; try again later", 10)
    }
    .caused_by(cause)
}
