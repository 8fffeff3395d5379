//! The bytes of a file, for anyone who has its address: platforms and feed readers have to fetch it.

use std::ops::Range;

use actix_web::{
    HttpRequest, HttpResponse,
    body::SizedStream,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use annals_commands::{
    ports::files::FilesError,
    publishing::media::{ORIGINAL, key},
};
use annals_domain::{
    kernel::MediaId,
    publishing::{MediaAsset, media::StoredFile},
};
use futures::TryStreamExt;

use super::upload::store_unavailable;
use crate::{
    http::{Anonymous, ApiError, ApiResult},
    state::AppState,
};

/// Other bytes have another address.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// A file's bytes, or a range of them.
#[utoipa::path(
    get, path = "/media/{id}/{token}/{file}", tag = "media",
    params(
        ("id" = Uuid, Path),
        ("token" = String, Path, description = "What makes the address unguessable"),
        ("file" = String, Path, description = "`original.png`, or a variant's name with its extension"),
    ),
    responses(
        (status = 200, description = "The bytes, for ever the same", body = String, content_type = "application/octet-stream"),
        (status = 206, description = "The range that was asked for", body = String, content_type = "application/octet-stream"),
        (status = 404, description = "There is no such file, or it was deleted"),
        (status = 416, description = "The file has no such range"),
    ),
)]
pub(crate) async fn file(
    state: web::Data<AppState>,
    _: Anonymous,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
) -> ApiResult {
    let (id, token, name) = path.into_inner();
    let missing = || ApiError::not_found("file");
    let id: MediaId = id.parse().map_err(|_| missing())?;
    if !state.media.commands.is_token(id, &token) {
        return Err(missing());
    }
    let asset = state.bus.load::<MediaAsset>(id).await?.state;
    let (variant, extension) = name.rsplit_once('.').ok_or_else(missing)?;
    let file = find(&asset, variant).filter(|file| file.media_type.extension() == extension);
    let file = file.ok_or_else(missing)?;
    let etag = format!("\"{}\"", file.sha256);
    let range = asked(request.headers(), &etag, file.size_bytes)?;
    let key = key(asset.organization(), id, variant, file.media_type);
    let bytes = match state.media.commands.files().open(&key, range.clone()).await {
        Ok(bytes) => bytes,
        Err(FilesError::NotFound(_)) => return Err(missing()),
        Err(error) => return Err(store_unavailable(&error)),
    };
    let mut response = HttpResponse::Ok();
    let mut length = file.size_bytes;
    if let Some(range) = range {
        length = range.end - range.start;
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size_bytes);
        response.status(StatusCode::PARTIAL_CONTENT).insert_header((header::CONTENT_RANGE, content_range));
    }
    Ok(response
        .insert_header((header::CONTENT_TYPE, file.media_type.as_str()))
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header((header::ETAG, etag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        // Pages of other origins show it; compressed it is already.
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .body(SizedStream::new(length, bytes.map_err(std::io::Error::other))))
}

fn find<'a>(asset: &'a MediaAsset, variant: &str) -> Option<&'a StoredFile> {
    if !asset.exists() {
        return None;
    }
    if variant == ORIGINAL {
        return asset.file();
    }
    asset.variants().iter().find(|made| made.name == variant).map(|made| &made.file)
}

/// The range that is asked for (RFC 9110, 14.2), if it is one and of these bytes; several at once get all.
fn asked(headers: &HeaderMap, etag: &str, size: u64) -> Result<Option<Range<u64>>, ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|known| known != etag) {
        return Ok(None);
    }
    let Some((first, last)) =
        text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.trim().split_once('-'))
    else {
        return Ok(None);
    };
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => number(suffix).map(|count| size.saturating_sub(count)..size),
        (first, "") => number(first).map(|first| first..size),
        (first, last) => number(first)
            .zip(number(last))
            .filter(|(first, last)| first <= last)
            .map(|(first, last)| first..size.min(last.saturating_add(1))),
    };
    match range {
        Some(range) if range.start < range.end => Ok(Some(range)),
        Some(_) => Err(ApiError::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "RANGE_NOT_SATISFIABLE",
            format!("the file has {size} bytes"),
        )),
        // What can't be read is as if it were not there.
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<Option<Range<u64>>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, text.parse().expect("is a header's value"));
        asked(&headers, "\"e\"", 100).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn one_range_is_answered_and_anything_else_gets_all() {
        assert_eq!(range("bytes=0-0"), Ok(Some(0..1)));
        assert_eq!(range("bytes=90-"), Ok(Some(90..100)));
        assert_eq!(range("bytes=-10"), Ok(Some(90..100)));
        assert_eq!(range("bytes=50-5000"), Ok(Some(50..100)));
        assert_eq!(range("bytes=-5000"), Ok(Some(0..100)));
        for all in ["bytes=0-1,5-6", "bytes=5-4", "lines=0-1", "bytes=x-"] {
            assert_eq!(range(all), Ok(None), "{all}");
        }
        for none in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(range(none), Err(416), "{none}");
        }
    }

    #[test]
    fn a_range_of_other_bytes_is_not_answered() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=0-9".parse().expect("a value"));
        headers.insert(header::IF_RANGE, "\"other\"".parse().expect("a value"));
        assert_eq!(asked(&headers, "\"e\"", 100).ok(), Some(None));
        headers.insert(header::IF_RANGE, "\"e\"".parse().expect("a value"));
        assert_eq!(asked(&headers, "\"e\"", 100).ok(), Some(Some(0..10)));
    }
}
