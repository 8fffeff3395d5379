//! Both formats, read by a parser that others wrote.

use super::{html::html, *};

const NASTY: &str = "Rock & Roll <script>alert('x')</script> \"quoted\" ]]> \u{8}end\n\
                     see https://example.org/?a=1&b=<2> now\n\nSecond paragraph 🦀";

fn document() -> FeedDocument {
    let at = |text: &str| text.parse().expect("a time");
    FeedDocument {
        title: "Ada & <friends>".to_string(),
        url: "https://annals.example/feeds/42".to_string(),
        id: "urn:uuid:0198e000-0000-7000-8000-000000000042".to_string(),
        updated: at("2026-03-02T10:00:00Z"),
        items: vec![
            FeedItem {
                id: "urn:uuid:b".to_string(),
                url: "https://annals.example/feeds/42/items/b".to_string(),
                content_text: NASTY.to_string(),
                published: at("2026-03-02T09:00:00Z"),
                updated: at("2026-03-02T10:00:00Z"),
                tags: vec!["R&D".to_string(), "news".to_string()],
                attachments: vec![FeedAttachment {
                    url: "https://annals.example/media/1/t/original.mp4".to_string(),
                    media_type: "video/mp4".to_string(),
                    size_bytes: 1_234_567,
                    alt_text: Some("A film & \u{8}more".to_string()),
                    duration_ms: Some(2_900),
                }],
            },
            FeedItem {
                id: "urn:uuid:a".to_string(),
                url: "https://annals.example/feeds/42/items/a".to_string(),
                content_text: "Hello".to_string(),
                published: at("2026-03-01T09:00:00.250Z"),
                updated: at("2026-03-01T09:00:00.250Z"),
                tags: vec![],
                attachments: vec![],
            },
        ],
    }
}

/// What both formats must carry, checked through `feed-rs`.
fn check(rendered: &str, kind: feed_rs::model::FeedType) -> feed_rs::model::Feed {
    let feed = feed_rs::parser::parse(rendered.as_bytes()).expect("a feed reader takes it");
    let wanted = document();
    assert_eq!(feed.feed_type, kind);
    assert_eq!(feed.title.as_ref().map(|title| title.content.as_str()), Some("Ada & <friends>"));
    assert_eq!(feed.authors.len(), 1);
    assert!(feed.links.iter().any(|link| link.href == wanted.url));
    assert_eq!(feed.entries.len(), 2);
    for (entry, item) in feed.entries.iter().zip(&wanted.items) {
        assert_eq!(entry.id, item.id);
        assert!(entry.links.iter().any(|link| link.href == item.url));
        assert_eq!(entry.published, Some(item.published));
        assert_eq!(entry.updated, Some(item.updated));
        let tags: Vec<_> = entry.categories.iter().map(|category| category.term.clone()).collect();
        assert_eq!(tags, item.tags);
    }
    feed
}

#[test]
fn atom_is_read_as_it_was_meant() {
    let rendered = atom(&document());
    let feed = check(&rendered, feed_rs::model::FeedType::Atom);
    assert_eq!(feed.id, document().id);
    assert_eq!(feed.updated, Some(document().updated));
    assert!(feed.links.iter().any(|link| {
        link.rel.as_deref() == Some("self") && link.href == "https://annals.example/feeds/42.atom"
    }));
    let entry = &feed.entries[0];
    let title = entry.title.as_ref().map(|title| title.content.clone()).unwrap_or_default();
    assert_eq!(title, "Rock & Roll <script>alert('x')</script> \"quoted\" ]]> end");
    let content = entry.content.as_ref().expect("content");
    assert_eq!(content.content_type.to_string(), "text/html");
    assert_eq!(content.body.as_deref(), Some(html(&xml_text(NASTY)).as_str()));
}

#[test]
fn json_feed_is_read_as_it_was_meant() {
    let rendered = json_feed(&document());
    check(&rendered, feed_rs::model::FeedType::JSON);
    let value: serde_json::Value = serde_json::from_str(&rendered).expect("JSON");
    assert_eq!(value["version"], "https://jsonfeed.org/version/1.1");
    assert_eq!(value["feed_url"], "https://annals.example/feeds/42.json");
    assert_eq!(value["items"][0]["content_text"], NASTY);
    assert_eq!(value["items"][1]["date_published"], "2026-03-01T09:00:00.250Z");
    assert!(value["items"][1].get("tags").is_none());
}

#[test]
fn markup_in_a_post_stays_text() {
    assert_eq!(
        html("a <b>&amp;</b>\nhttps://x.example/?a=\"b\"&c (https://y.example/)\r\n\r\n\n \nlast"),
        "<p>a &lt;b&gt;&amp;amp;&lt;/b&gt;<br/>\
         <a href=\"https://x.example/?a=&quot;b&quot;&amp;c\">https://x.example/?a=&quot;b&quot;&amp;c</a> \
         (<a href=\"https://y.example/\">https://y.example/</a>)</p><p>last</p>"
    );
    assert_eq!(html("javascript:alert(1)"), "<p>javascript:alert(1)</p>");
    assert_eq!(html(" \n "), "");
}

#[test]
fn an_empty_feed_is_a_feed() {
    let empty = FeedDocument { items: vec![], ..document() };
    for rendered in [atom(&empty), json_feed(&empty)] {
        assert_eq!(feed_rs::parser::parse(rendered.as_bytes()).map(|f| f.entries.len()).ok(), Some(0));
    }
}

#[test]
fn the_same_document_renders_to_the_same_bytes() {
    assert_eq!(atom(&document()), atom(&document()));
    assert_eq!(json_feed(&document()), json_feed(&document()));
}

#[test]
fn headlines_are_cut_at_words() {
    assert_eq!(headline("\n  \n One line \nanother"), "One line");
    assert_eq!(headline(""), "Untitled");
    let long = headline(&"word ".repeat(40));
    assert!(long.ends_with("word…") && long.chars().count() <= 80, "{long}");
    assert_eq!(headline(&"x".repeat(200)).chars().count(), 80);
}

#[test]
fn what_an_item_shows_is_an_enclosure_and_an_attachment() {
    let feed = check(&atom(&document()), feed_rs::model::FeedType::Atom);
    let enclosures: Vec<_> =
        feed.entries[0].links.iter().filter(|link| link.rel.as_deref() == Some("enclosure")).collect();
    assert_eq!(enclosures.len(), 1);
    assert_eq!(enclosures[0].media_type.as_deref(), Some("video/mp4"));
    assert_eq!(enclosures[0].length, Some(1_234_567));
    assert_eq!(enclosures[0].title.as_deref(), Some("A film & more"));
    let json: serde_json::Value = serde_json::from_str(&json_feed(&document())).expect("is JSON");
    let attachment = &json["items"][0]["attachments"][0];
    assert_eq!(
        (&attachment["size_in_bytes"], &attachment["duration_in_seconds"]),
        (&1_234_567.into(), &2.into())
    );
    assert!(json["items"][1].get("attachments").is_none());
}
