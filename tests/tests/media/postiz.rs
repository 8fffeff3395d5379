//! Files through Postiz's public API, as its clients send them.

use annals_tests::{Server, StatusCode};
use serde_json::json;

use crate::support::{form, image, part, path_of, send_raw_to};

#[tokio::test]
async fn a_file_that_was_uploaded_is_the_image_of_a_post_and_its_first_comment() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let channel = ada.post("integrations/connect", json!({"platform": "feed", "name": "News"})).await;
    let channel = channel.expect(StatusCode::CREATED).text_at("/data/id");
    let key = ada.post("settings/api-keys", json!({"name": "n8n", "scopes": []})).await;
    let key = key.expect(StatusCode::CREATED).text_at("/data/key");
    let client = server.api().with_header("Authorization", &key);

    let sent = form(&[part("file", "cat.png", "image/png", &image("of postiz"))]);
    let file = send_raw_to(&client, "/public/v1/upload", sent).await.expect(StatusCode::CREATED);
    assert_eq!(file.at("/originalName"), "cat.png");
    let read = server.api().get(&path_of(&file.text_at("/path"))).await.expect(StatusCode::OK);
    assert_eq!(read.headers["content-type"], "image/png");

    let image = json!([{"id": file.at("/id"), "path": file.at("/path"), "alt": "A cat"}]);
    let post = json!({
        "type": "draft", "date": "", "tags": [],
        "posts": [{"integration": {"id": channel}, "value": [
            {"content": "Look", "image": image}, {"content": "Again", "image": image, "delay": 2}]}],
    });
    let written = client.post("/public/v1/posts", post).await.expect(StatusCode::CREATED);
    let post = written.text_at("/0/postId");
    let post = post.split('_').next().expect("has a first part");
    let shown =
        ada.with_header("Annals-After", written.headers["annals-position"].to_str().expect("is text"));
    let shown = shown.get(&format!("posts/{post}")).await.expect(StatusCode::OK);
    assert_eq!(shown.at("/data/media/0/id"), file.at("/id"));
    assert_eq!(shown.at("/data/media/0/alt"), "A cat");
    assert_eq!(shown.at("/data/thread/0/media/0/id"), file.at("/id"));
    assert_eq!(shown.at("/data/thread/0/delaySeconds"), 120);

    let nowhere = json!({"url": "http://127.0.0.1:1/cat.png"});
    let refused = client.post("/public/v1/upload-from-url", nowhere).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(refused.at("/name"), "url", "a private address: {}", refused.text);
}
