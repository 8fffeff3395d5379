//! Atom 1.0, RFC 4287.

use atom_syndication::{Category, Content, Entry, Feed, Generator, Link, Person, Text};

use super::{FeedAttachment, FeedDocument, FeedItem, headline, html::html, xml_text};

pub const ATOM_MEDIA_TYPE: &str = "application/atom+xml; charset=utf-8";

/// The document as Atom.
pub fn atom(document: &FeedDocument) -> String {
    let title = xml_text(&document.title);
    let feed = Feed {
        title: Text::plain(title.clone()),
        id: document.id.clone(),
        updated: document.updated.fixed_offset(),
        // A feed has an author unless each entry has (RFC 4287, 4.1.1).
        authors: vec![Person { name: title, uri: Some(document.url.clone()), ..Person::default() }],
        generator: Some(Generator { value: "Annals".to_string(), ..Generator::default() }),
        links: vec![
            link("self", format!("{}.atom", document.url), Some("application/atom+xml")),
            link("alternate", document.url.clone(), Some("text/html")),
            link("alternate", format!("{}.json", document.url), Some("application/feed+json")),
        ],
        entries: document.items.iter().map(entry).collect(),
        ..Feed::default()
    };
    let bytes = feed.write_to(Vec::new()).expect("writing to memory does not fail");
    String::from_utf8(bytes).expect("XML made of strings is UTF-8")
}

fn entry(item: &FeedItem) -> Entry {
    let text = xml_text(&item.content_text);
    Entry {
        title: Text::plain(headline(&text)),
        id: item.id.clone(),
        updated: item.updated.fixed_offset(),
        published: Some(item.published.fixed_offset()),
        links: std::iter::once(link("alternate", item.url.clone(), None))
            .chain(item.attachments.iter().map(enclosure))
            .collect(),
        categories: item
            .tags
            .iter()
            .map(|tag| Category { term: xml_text(tag), ..Category::default() })
            .collect(),
        content: Some(Content {
            value: Some(html(&text)),
            content_type: Some("html".to_string()),
            ..Content::default()
        }),
        ..Entry::default()
    }
}

/// RFC 4287, 4.2.7.2.
fn enclosure(file: &FeedAttachment) -> Link {
    Link {
        length: Some(file.size_bytes.to_string()),
        title: file.alt_text.as_deref().map(xml_text),
        ..link("enclosure", file.url.clone(), Some(&file.media_type))
    }
}

fn link(rel: &str, href: String, mime_type: Option<&str>) -> Link {
    Link { href, rel: rel.to_string(), mime_type: mime_type.map(str::to_string), ..Link::default() }
}
