//! What anyone may read.

use annals_tests::{Api, Method, Server, StatusCode};
use serde_json::json;

use crate::support::{feed_channel, now, until, write};

#[tokio::test]
async fn a_published_post_is_in_atom_and_json_feed_for_any_reader() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News & <more>").await;
    let mut body = now("Hello <world> & all\n\nhttps://example.org/?a=1&b=2", &[&channel]);
    body["thread"] = json!(["and a second part"]);
    body["tags"] = json!(["Launch"]);
    let post = write(&ada.api, body).await;
    let published = until(&ada.api, &post, "published").await;
    let url = published.text_at("/data/integrations/0/url");

    let anyone = server.api();
    for (path, kind) in [
        (format!("/feeds/{channel}.atom"), feed_rs::model::FeedType::Atom),
        (format!("/feeds/{channel}.json"), feed_rs::model::FeedType::JSON),
        (format!("/feeds/{channel}"), feed_rs::model::FeedType::Atom),
    ] {
        let answer = anyone.get(&path).await.expect(StatusCode::OK);
        let feed = feed_rs::parser::parse(answer.text.as_bytes()).expect("a feed reader reads it");
        assert_eq!(feed.feed_type, kind, "{path}");
        assert_eq!(feed.title.map(|title| title.content).as_deref(), Some("News & <more>"));
        assert_eq!(feed.entries.len(), 1);
        assert_eq!(feed.entries[0].links[0].href, url);
        assert_eq!(feed.entries[0].categories[0].term, "Launch");

        let etag = answer.headers["etag"].to_str().expect("is text").to_string();
        let again = anyone.with_header("If-None-Match", &etag).get(&path).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
    }
    let json = anyone.with_header("Accept", "application/feed+json").get(&format!("/feeds/{channel}")).await;
    assert_eq!(json.at("/version"), "https://jsonfeed.org/version/1.1");
    assert_eq!(
        json.at("/items/0/content_text"),
        "Hello <world> & all\n\nhttps://example.org/?a=1&b=2\n\nand a second part"
    );

    let path = url.strip_prefix(&server.url()).expect("the item is served here");
    let page = anyone.get(path).await.expect(StatusCode::OK);
    assert!(page.text.contains("<p>Hello &lt;world&gt; &amp; all</p>"), "{}", page.text);
    let head = Api::send(anyone.request(Method::HEAD, &format!("/feeds/{channel}.atom"))).await;
    assert_eq!(head.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_feed_is_not_found() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let anyone = server.api();
    let unknown = "0198e000-0000-7000-8000-000000000042";
    for path in [
        "/feeds/nonsense".to_string(),
        format!("/feeds/{channel}.rss"),
        format!("/feeds/{unknown}.atom"),
        format!("/feeds/{channel}/items/{unknown}"),
        format!("/feeds/{channel}/items/nonsense"),
    ] {
        anyone.get(&path).await.expect(StatusCode::NOT_FOUND);
    }
    // Nobody in particular says with `Annals-After` what they want to see.
    let path = format!("/feeds/{channel}.atom");
    let seen = ada.api.get("activity").await.at("/data/0/position").to_string();
    anyone.with_header("Annals-After", seen).get(&path).await.expect(StatusCode::OK);
    let gone = ada.api.delete(&format!("integrations/{channel}")).await.expect(StatusCode::OK);
    let after = anyone.with_header("Annals-After", gone.position());
    after.get(&path).await.expect(StatusCode::NOT_FOUND);
}
