//! `/feeds`: what a feed channel published, for readers that others wrote. Open to anyone.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap},
    web,
};
use annals_adapters::feed::{
    ATOM_MEDIA_TYPE, FeedAttachment, FeedDocument, FeedItem as DocumentItem, JSON_FEED_MEDIA_TYPE, atom,
    json_feed,
};
use annals_commands::publishing::media::ORIGINAL;
use annals_domain::kernel::IntegrationId;
use annals_projections::publishing::{
    Channels, Media, Posts, Tags,
    feeds::{self, Feed, FeedItem, FeedMedia, Items},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::media;
use crate::{
    http::{Anonymous, ApiError, ApiResult},
    state::AppState,
};

/// Readers poll; what is a minute old is new enough for those in between.
const CACHE_CONTROL: &str = "public, max-age=60";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Atom,
    Json,
}

/// A feed: `{id}.atom`, `{id}.json`, or `{id}` as `Accept` asks, Atom by default.
#[utoipa::path(
    get, path = "/feeds/{feed}", tag = "feeds",
    params(("feed" = String, Path, description = "The channel's id, with `.atom` or `.json` behind it or without")),
    responses(
        (status = 200, description = "Atom 1.0 or JSON Feed 1.1", body = String, content_type = "application/atom+xml"),
        (status = 304, description = "Not changed since the ETag in `If-None-Match`"),
        (status = 404, description = "There is no such feed"),
    ),
)]
pub(super) async fn feed(
    state: web::Data<AppState>,
    anonymous: Anonymous,
    request: HttpRequest,
    name: web::Path<String>,
) -> ApiResult {
    let (id, format) = match name.rsplit_once('.') {
        Some((id, "atom")) => (id, Format::Atom),
        Some((id, "json")) => (id, Format::Json),
        _ => (name.as_str(), accepted(request.headers())),
    };
    let feed = find(&state, &anonymous, id, Items::Newest).await?;
    let document = document(&state, feed);
    let (body, media_type) = match format {
        Format::Atom => (atom(&document), ATOM_MEDIA_TYPE),
        Format::Json => (json_feed(&document), JSON_FEED_MEDIA_TYPE),
    };
    Ok(respond(body, media_type))
}

/// One item of a feed, as a page to read.
#[utoipa::path(
    get, path = "/feeds/{feed}/items/{item}", tag = "feeds",
    params(("feed" = Uuid, Path), ("item" = Uuid, Path)),
    responses(
        (status = 200, description = "The item; as JSON Feed of one item if `Accept` asks for JSON", body = String, content_type = "text/html"),
        (status = 404, description = "There is no such item"),
    ),
)]
pub(super) async fn item(
    state: web::Data<AppState>,
    anonymous: Anonymous,
    request: HttpRequest,
    path: web::Path<(String, Uuid)>,
) -> ApiResult {
    let (id, item) = path.into_inner();
    let feed = find(&state, &anonymous, &id, Items::One(item.urn().to_string())).await?;
    let Some(found) = feed.items.first().cloned() else { return Err(ApiError::not_found("item")) };
    if accepted(request.headers()) == Format::Json {
        return Ok(respond(json_feed(&document(&state, feed)), JSON_FEED_MEDIA_TYPE));
    }
    Ok(respond(page(&feed.title, &found), "text/html; charset=utf-8"))
}

async fn find(state: &AppState, anonymous: &Anonymous, id: &str, items: Items) -> Result<Feed, ApiError> {
    let id: IntegrationId = id.parse().map_err(|_| ApiError::not_found("feed"))?;
    state.reader_for::<Channels>(anonymous).await?;
    state.reader_for::<Tags>(anonymous).await?;
    state.reader_for::<Media>(anonymous).await?;
    let reader = state.reader_for::<Posts>(anonymous).await?;
    feeds::get(reader.pool(), id, items).await?.ok_or_else(|| ApiError::not_found("feed"))
}

fn document(state: &AppState, feed: Feed) -> FeedDocument {
    let base = state.config.public_url.as_str().trim_end_matches('/');
    let url = feed.url.unwrap_or_else(|| format!("{base}/feeds/{}", feed.id));
    let updated = feed.items.iter().map(|item| item.published_at).max().unwrap_or(feed.connected_at);
    let items = feed
        .items
        .into_iter()
        .map(|item| DocumentItem {
            url: item.url.clone().unwrap_or_else(|| url.clone()),
            content_text: item.parts.join("\n\n"),
            id: item.remote_id,
            published: item.published_at,
            updated: item.published_at,
            tags: item.tags,
            attachments: item.media.into_iter().map(|shown| attachment(state, shown)).collect(),
        })
        .collect();
    FeedDocument { title: feed.title, url, id: feed.id.uuid().urn().to_string(), updated, items }
}

fn attachment(state: &AppState, shown: FeedMedia) -> FeedAttachment {
    FeedAttachment {
        url: media::url(state, shown.id, ORIGINAL, &shown.file),
        media_type: shown.file.media_type.as_str().to_string(),
        size_bytes: shown.file.size_bytes,
        alt_text: shown.alt,
        duration_ms: shown.file.duration_ms,
    }
}

/// JSON for who names it before any XML, Atom for all others.
fn accepted(headers: &HeaderMap) -> Format {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = accept
        .split(',')
        .map(|part| part.split(';').next().unwrap_or_default().trim())
        .find(|media| media.contains("json") || media.contains("xml"));
    match first {
        Some(media) if media.contains("json") => Format::Json,
        _ => Format::Atom,
    }
}

fn respond(body: String, media_type: &str) -> HttpResponse {
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, media_type))
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header((header::VARY, "Accept"))
        .body(body)
}

/// A page that loads nothing and runs nothing.
fn page(title: &str, item: &FeedItem) -> String {
    let title = escaped(title);
    let at = item.published_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let paragraphs: String = item
        .parts
        .iter()
        .flat_map(|part| part.split("\n\n"))
        .filter(|paragraph| !paragraph.trim().is_empty())
        .map(|paragraph| format!("<p>{}</p>\n", escaped(paragraph.trim()).replace('\n', "<br>\n")))
        .collect();
    format!(
        "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n</head>\n\
         <body>\n<article>\n<header><h1>{title}</h1><time datetime=\"{at}\">{at}</time></header>\n\
         {paragraphs}</article>\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_for(accept: &str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().expect("is a header's value"));
        accepted(&headers)
    }

    #[test]
    fn who_asks_for_json_first_gets_json_and_all_others_atom() {
        assert_eq!(format_for("application/feed+json"), Format::Json);
        assert_eq!(format_for("application/json, */*;q=0.5"), Format::Json);
        assert_eq!(format_for("application/atom+xml, application/feed+json"), Format::Atom);
        assert_eq!(format_for("text/html,application/xhtml+xml,*/*"), Format::Atom);
        assert_eq!(format_for("*/*"), Format::Atom);
        assert_eq!(accepted(&HeaderMap::new()), Format::Atom);
    }

    #[test]
    fn a_page_shows_text_and_never_markup() {
        let item = FeedItem {
            remote_id: "urn:uuid:1".into(),
            url: None,
            parts: vec!["<script>alert(1)</script>\nnext\n\n\"more\"".into()],
            tags: Vec::new(),
            media: Vec::new(),
            published_at: chrono::DateTime::UNIX_EPOCH,
        };
        let page = page("A & B", &item);
        assert!(page.contains("<p>&lt;script&gt;alert(1)&lt;/script&gt;<br>\nnext</p>"), "{page}");
        assert!(page.contains("<title>A &amp; B</title>"), "{page}");
        assert!(!page.contains("<script>"));
    }
}
