//! A file that a post still needs stays.

use std::time::Duration;

use annals_tests::{Api, Server, StatusCode, eventually};
use serde_json::{Value, json};

use crate::support::{image, path_of, upload};

fn draft(media: &[&str]) -> Value {
    let media: Vec<_> = media.iter().map(|id| json!({"id": id, "alt": "Squares"})).collect();
    json!({"content": "Look", "media": media, "type": "draft"})
}

async fn picture(api: &Api, mark: &str) -> String {
    let answer = upload(api, "a.png", "image/png", &image(mark)).await;
    answer.expect(StatusCode::CREATED).text_at("/data/id")
}

async fn delete_when_free(api: &Api, id: &str) {
    eventually("the file is let go", Duration::from_secs(30), || async {
        (api.delete(&format!("media/{id}")).await.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_of_an_unfinished_post_can_not_be_deleted() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let (first, second) = (picture(&api, "1").await, picture(&api, "2").await);
    let post = api.post("posts", draft(&[&first])).await.expect(StatusCode::CREATED).text_at("/data/id");
    let refused = api.delete(&format!("media/{first}")).await.expect(StatusCode::CONFLICT);
    assert_eq!(refused.at("/code"), "MEDIA_IN_USE");
    assert!(refused.text_at("/message").contains(&post), "{}", refused.text);
    assert_eq!(api.get(&format!("media/{first}")).await.at("/data/usedBy/0"), post.as_str());
    // A reply's file is held as well.
    let reply = json!({"content": "And this", "media": [{"id": second}]});
    api.post(&format!("posts/{post}/comments"), reply).await.expect(StatusCode::CREATED);
    api.delete(&format!("media/{second}")).await.expect(StatusCode::CONFLICT);
    // Another in its place lets it go at once.
    api.put(&format!("posts/{post}"), draft(&[&second])).await.expect(StatusCode::OK);
    api.delete(&format!("media/{first}")).await.expect(StatusCode::OK);
    api.delete(&format!("media/{second}")).await.expect(StatusCode::CONFLICT);
    api.delete(&format!("posts/{post}")).await.expect(StatusCode::OK);
    delete_when_free(&api, &second).await;
}

#[tokio::test]
async fn a_published_post_lets_its_files_go() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = api.post("integrations/connect", json!({"platform": "feed", "name": "News"})).await;
    let channel = channel.expect(StatusCode::CREATED).text_at("/data/id");
    let file = picture(&api, "1").await;
    let mut post = draft(&[&file]);
    (post["type"], post["integrations"]) = (json!("now"), json!([{"id": channel}]));
    api.post("posts", post).await.expect(StatusCode::CREATED);
    // What it shows is in the feed, at an address that readers can fetch.
    let item = eventually("it is published", Duration::from_secs(30), || async {
        let feed = api.get(&format!("/feeds/{channel}.json")).await.expect(StatusCode::OK);
        feed.at("/items/0").is_object().then(|| feed.at("/items/0/attachments/0").clone())
    })
    .await;
    assert_eq!((&item["mime_type"], &item["title"]), (&json!("image/png"), &json!("Squares")));
    let address = path_of(item["url"].as_str().expect("an address"));
    let fetched = server.api().get(&address).await.expect(StatusCode::OK);
    assert_eq!(fetched.headers["content-length"], item["size_in_bytes"].to_string());
    let atom = api.get(&format!("/feeds/{channel}.atom")).await.expect(StatusCode::OK).text;
    let feed = feed_rs::parser::parse(atom.as_bytes()).expect("is a feed");
    let enclosure = feed.entries[0].links.iter().find(|link| link.rel.as_deref() == Some("enclosure"));
    let enclosure = enclosure.expect("it has one");
    assert_eq!((enclosure.media_type.as_deref(), enclosure.href.contains(&file)), (Some("image/png"), true));
    delete_when_free(&api, &file).await;
}

#[tokio::test]
async fn a_post_shows_only_files_of_its_organization_that_are_there() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let theirs = picture(&server.api().register("Bob").await.api, "1").await;
    let (mine, gone) = (picture(&api, "2").await, picture(&api, "3").await);
    api.delete(&format!("media/{gone}")).await.expect(StatusCode::OK);
    for wrong in [theirs.as_str(), &gone, "01980000-0000-7000-8000-000000000000"] {
        let answer = api.post("posts", draft(&[&mine, wrong])).await;
        answer.expect_field(StatusCode::BAD_REQUEST, "media[1].id");
    }
    api.delete(&format!("media/{mine}")).await.expect(StatusCode::OK);
}
