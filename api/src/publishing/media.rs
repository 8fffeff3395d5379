//! `/media`: an organization's library of files.

pub(super) mod serve;
pub(crate) mod upload;

use std::{path::Path, sync::Arc};

use actix_web::web;
use annals_adapters::{
    media::{Ffmpeg, ImageWorkshop, Inspector, PixelLimits, Spool},
    net::HttpClient,
};
use annals_commands::{
    bus::CommandBus,
    ports::files::Files,
    publishing::{Media as Commands, MediaLimits, media::ORIGINAL},
};
use annals_domain::{
    kernel::MediaId,
    publishing::media::{MediaKind, StoredFile},
};
use annals_projections::publishing::{
    Media,
    media::{self, MediaFile, MediaFilter},
    posts::Paging,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{failed, input::member};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, Page, Query, answer::Success},
    state::AppState,
};

const PER_PAGE: u64 = 20;
const PER_PAGE_MAX: u64 = 100;
const PAGE_MAX: u64 = 100_000;
/// Characters of a name to search for.
const SEARCH_CHARS_MAX: usize = 200;

/// What takes files in on this node.
#[derive(Clone)]
pub struct MediaDesk {
    pub commands: Commands,
    spool: Spool,
    inspector: Inspector,
    limits: KindLimits,
    pixels: PixelLimits,
    ffmpeg: Option<Ffmpeg>,
    client: HttpClient,
}

/// Bytes of one file, by its kind.
#[derive(Clone, Copy, Debug)]
pub struct KindLimits {
    pub image: u64,
    pub video: u64,
    pub document: u64,
}

impl KindLimits {
    fn of(self, kind: MediaKind) -> u64 {
        match kind {
            MediaKind::Image => self.image,
            MediaKind::Video => self.video,
            MediaKind::Document => self.document,
        }
    }

    fn largest(self) -> u64 {
        self.image.max(self.video).max(self.document)
    }
}

/// What may be taken in.
#[derive(Clone, Copy, Debug)]
pub struct DeskLimits {
    pub kinds: KindLimits,
    pub library: MediaLimits,
    pub pixels: PixelLimits,
}

impl Default for DeskLimits {
    /// Those of an installation without configuration.
    fn default() -> Self {
        Self::from(&crate::config::Config::default().media)
    }
}

impl From<&crate::config::Media> for DeskLimits {
    fn from(media: &crate::config::Media) -> Self {
        let bytes_max = media.organization_bytes_max;
        Self {
            kinds: KindLimits {
                image: media.image_bytes_max,
                video: media.video_bytes_max,
                document: media.document_bytes_max,
            },
            library: MediaLimits { organization_bytes_max: (bytes_max > 0).then_some(bytes_max) },
            pixels: PixelLimits { pixels_max: media.image_pixels_max },
        }
    }
}

impl MediaDesk {
    /// `uploads` is the folder for what is coming in; `client` fetches what users name.
    ///
    /// # Errors
    /// If that folder can't be made.
    pub fn open(
        bus: CommandBus,
        files: Arc<dyn Files>,
        uploads: &Path,
        client: HttpClient,
        limits: DeskLimits,
    ) -> std::io::Result<Self> {
        Ok(Self {
            commands: Commands::new(bus, files, limits.library),
            spool: Spool::open(uploads)?,
            inspector: Inspector::new(limits.pixels),
            limits: limits.kinds,
            pixels: limits.pixels,
            ffmpeg: None,
            client,
        })
    }

    /// Where files lie while they come in.
    pub(super) fn spool(&self) -> &Spool {
        &self.spool
    }

    /// With what makes posters and MP4s of videos.
    #[must_use]
    pub fn with_ffmpeg(self, ffmpeg: Option<Ffmpeg>) -> Self {
        Self { ffmpeg, ..self }
    }

    /// What makes smaller ones of images on this node, and what videos need.
    pub fn workshop(&self) -> ImageWorkshop {
        ImageWorkshop::new(self.spool.clone(), self.pixels).with_ffmpeg(self.ffmpeg.clone())
    }
}

/// A file of the library.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MediaFileView {
    pub id: Uuid,
    /// What it was called where it came from; none once who uploaded it was forgotten.
    pub name: Option<String>,
    /// `image`, `video` or `document`.
    pub kind: &'static str,
    pub media_type: &'static str,
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Pixels, as it is shown.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub duration_ms: Option<u64>,
    /// Whether its variants are made: `pending`, `done` or `failed`. Videos stay `pending` where there is no ffmpeg.
    pub processing: String,
    /// Why none could be made; the file itself can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_error: Option<String>,
    /// For anyone who has it; it does not change and can't be guessed.
    pub url: String,
    /// What was made of it: smaller ones; of a video a `poster` and, where it is none that everything plays, an MP4.
    pub variants: Vec<VariantView>,
    /// Posts that are not finished and show it: it can't be deleted as long as there are any.
    pub used_by: Vec<Uuid>,
    pub uploaded_by: Uuid,
    pub uploaded_at: DateTime<Utc>,
    pub version: u64,
}

/// A smaller one of an image, or a video's poster.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VariantView {
    pub name: String,
    pub media_type: &'static str,
    pub size_bytes: u64,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub url: String,
}

impl MediaFileView {
    fn of(state: &AppState, row: MediaFile) -> Self {
        let id = MediaId::new(row.id);
        let file = row.file.0;
        let url = |variant: &str, file: &StoredFile| url(state, id, variant, file);
        Self {
            id: row.id,
            name: row.name,
            kind: file.media_type.kind().as_str(),
            media_type: file.media_type.as_str(),
            size_bytes: file.size_bytes,
            url: url(ORIGINAL, &file),
            variants: row
                .variants
                .0
                .into_iter()
                .map(|variant| VariantView {
                    url: url(&variant.name, &variant.file),
                    name: variant.name,
                    media_type: variant.file.media_type.as_str(),
                    size_bytes: variant.file.size_bytes,
                    width: variant.file.width,
                    height: variant.file.height,
                })
                .collect(),
            sha256: file.sha256,
            width: file.width,
            height: file.height,
            duration_ms: file.duration_ms,
            processing: row.status,
            processing_error: row.status_reason,
            used_by: row.used_by,
            uploaded_by: row.uploaded_by,
            uploaded_at: row.uploaded_at,
            version: row.version,
        }
    }
}

/// Where anyone reads a file, or one of its variants.
pub(super) fn url(state: &AppState, id: MediaId, variant: &str, file: &StoredFile) -> String {
    let base = state.config.public_url.as_str().trim_end_matches('/');
    let token = state.media.commands.token(id);
    format!("{base}/media/{id}/{token}/{variant}.{}", file.media_type.extension())
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedMedia {
    pub id: Uuid,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct MediaQuery {
    /// `image`, `video` or `document`.
    kind: Option<String>,
    /// Anywhere in the name, without regard to case.
    q: Option<String>,
    /// From 1.
    page: Option<u64>,
    /// At most 100; 20 if it is left out.
    per_page: Option<u64>,
}

impl MediaQuery {
    fn filter(&self) -> Result<MediaFilter, ApiError> {
        let kind = |text: &str| {
            let kind = MediaKind::ALL.into_iter().find(|kind| kind.as_str() == text);
            kind.ok_or_else(|| ApiError::field("kind", "must be image, video or document"))
        };
        if self.q.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX) {
            return Err(ApiError::field("q", format!("must have at most {SEARCH_CHARS_MAX} characters")));
        }
        Ok(MediaFilter { kind: self.kind.as_deref().map(kind).transpose()?, name: self.q.clone() })
    }

    fn paging(&self) -> Result<Paging, ApiError> {
        let bounded = |field, value: Option<u64>, default, max| match value.unwrap_or(default) {
            value if (1..=max).contains(&value) => Ok(value),
            _ => Err(ApiError::field(field, format!("must be 1 to {max}"))),
        };
        Ok(Paging {
            page: bounded("page", self.page, 1, PAGE_MAX)?,
            per_page: bounded("perPage", self.per_page, PER_PAGE, PER_PAGE_MAX)?,
        })
    }
}

/// The organization's files, the newest first.
#[utoipa::path(
    get, path = "/media", tag = "media", params(MediaQuery),
    responses((status = 200, description = "A page of files", body = Success<Vec<MediaFileView>>)),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<MediaQuery>,
) -> ApiResult {
    let (filter, paging) = (query.filter()?, query.paging()?);
    let reader = state.reader_for::<Media>(&caller).await?;
    let (rows, total) = media::list(reader.pool(), caller.organization_id, &filter, paging).await?;
    let views: Vec<_> = rows.into_iter().map(|row| MediaFileView::of(&state, row)).collect();
    Answer::ok(views).page(Page::of(total, paging.page, paging.per_page)).respond()
}

/// A file, with the address of its bytes.
#[utoipa::path(
    get, path = "/media/{id}", tag = "media", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The file", body = Success<MediaFileView>)),
)]
pub(super) async fn show(state: web::Data<AppState>, caller: Caller, id: web::Path<MediaId>) -> ApiResult {
    let view = find(&state, &caller, *id).await?;
    let version = view.version;
    Answer::ok(view).version(version).respond()
}

async fn find(state: &AppState, caller: &Caller, id: MediaId) -> Result<MediaFileView, ApiError> {
    let reader = state.reader_for::<Media>(caller).await?;
    let row = media::get(reader.pool(), caller.organization_id, id).await?;
    row.map(|row| MediaFileView::of(state, row)).ok_or_else(|| ApiError::not_found("media"))
}

/// Deletes a file, its variants and their bytes; refused while posts that are not finished show it.
#[utoipa::path(
    delete, path = "/media/{id}", tag = "media", params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "It is deleted", body = Success<DeletedMedia>),
        (status = 409, description = "Posts that are not finished show it; they are named"),
    ),
)]
pub(super) async fn delete(state: web::Data<AppState>, caller: Caller, id: web::Path<MediaId>) -> ApiResult {
    let mut member = member(&caller);
    if caller.may("media", "manage") {
        member.posts = annals_commands::publishing::posts::Whose::Everybodys;
    } else {
        member.posts = annals_commands::publishing::posts::Whose::Own;
    }
    let done = state.media.commands.delete(&caller.context, member, *id).await.map_err(failed)?;
    Answer::ok(DeletedMedia { id: id.uuid() }).position(done.receipt.position).respond()
}
