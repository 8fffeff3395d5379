//! JSON Feed 1.1 (jsonfeed.org/version/1.1).

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::{FeedAttachment, FeedDocument, FeedItem, html::html};

pub const JSON_FEED_MEDIA_TYPE: &str = "application/feed+json; charset=utf-8";

#[derive(Serialize)]
struct Feed<'d> {
    version: &'static str,
    title: &'d str,
    home_page_url: &'d str,
    feed_url: String,
    authors: [Author<'d>; 1],
    items: Vec<Item<'d>>,
}

#[derive(Serialize)]
struct Author<'d> {
    name: &'d str,
    url: &'d str,
}

#[derive(Serialize)]
struct Item<'d> {
    id: &'d str,
    url: &'d str,
    content_text: &'d str,
    content_html: String,
    date_published: String,
    date_modified: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'d [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment<'d>>,
}

#[derive(Serialize)]
struct Attachment<'d> {
    url: &'d str,
    mime_type: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'d str>,
    size_in_bytes: u64,
    /// Whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_in_seconds: Option<u64>,
}

/// The document as JSON Feed. Its items have no title: those of short posts have none by the specification.
pub fn json_feed(document: &FeedDocument) -> String {
    let feed = Feed {
        version: "https://jsonfeed.org/version/1.1",
        title: &document.title,
        home_page_url: &document.url,
        feed_url: format!("{}.json", document.url),
        authors: [Author { name: &document.title, url: &document.url }],
        items: document.items.iter().map(item).collect(),
    };
    serde_json::to_string(&feed).expect("strings serialize")
}

fn item(item: &FeedItem) -> Item<'_> {
    Item {
        id: &item.id,
        url: &item.url,
        content_text: &item.content_text,
        content_html: html(&item.content_text),
        date_published: rfc3339(item.published),
        date_modified: rfc3339(item.updated),
        tags: &item.tags,
        attachments: item.attachments.iter().map(attachment).collect(),
    }
}

fn attachment(file: &FeedAttachment) -> Attachment<'_> {
    Attachment {
        url: &file.url,
        mime_type: &file.media_type,
        title: file.alt_text.as_deref(),
        size_in_bytes: file.size_bytes,
        duration_in_seconds: file.duration_ms.map(|duration| duration / 1000),
    }
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
