//! Feeds for readers that others wrote: Atom (RFC 4287) and JSON Feed 1.1.

mod atom;
mod html;
mod json;
#[cfg(test)]
mod tests;

pub use atom::{ATOM_MEDIA_TYPE, atom};
use chrono::{DateTime, Utc};
pub use json::{JSON_FEED_MEDIA_TYPE, json_feed};

/// A feed as both formats need it. The same document renders to the same bytes, so that a digest of them
/// can serve as an ETag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedDocument {
    pub title: String,
    /// The channel's page; `.atom` and `.json` behind it are the feed itself.
    pub url: String,
    /// Never changes, such as `urn:uuid:…`.
    pub id: String,
    /// When an item was last added or changed.
    pub updated: DateTime<Utc>,
    /// The newest first, as readers expect it.
    pub items: Vec<FeedItem>,
}

/// One published post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedItem {
    /// Never changes: readers show an item with a new id as a new one.
    pub id: String,
    pub url: String,
    /// As it was written: neither HTML nor escaped.
    pub content_text: String,
    pub published: DateTime<Utc>,
    pub updated: DateTime<Utc>,
    pub tags: Vec<String>,
    pub attachments: Vec<FeedAttachment>,
}

/// A file of an item: an enclosure in Atom, an attachment in JSON Feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedAttachment {
    pub url: String,
    pub media_type: String,
    pub size_bytes: u64,
    /// What it shows, for those who can't see it.
    pub alt_text: Option<String>,
    pub duration_ms: Option<u64>,
}

/// The characters of an entry's title, which is the beginning of its text.
const TITLE_CHARS_MAX: usize = 80;

/// The first line that says something, shortened at a word.
fn headline(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("Untitled");
    if line.chars().count() <= TITLE_CHARS_MAX {
        return line.to_string();
    }
    let mut short = String::new();
    for word in unicode_segmentation::UnicodeSegmentation::split_word_bounds(line) {
        if short.chars().count() + word.chars().count() >= TITLE_CHARS_MAX {
            break;
        }
        short.push_str(word);
    }
    if short.trim().is_empty() {
        short = line.chars().take(TITLE_CHARS_MAX - 1).collect();
    }
    format!("{}…", short.trim_end())
}

/// Without the characters that XML 1.0 can't express in any form.
fn xml_text(text: &str) -> String {
    let expressible = |c: &char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars().filter(expressible).collect()
}
