//! Smaller ones of an image, made after the upload.

use std::time::Duration;

use annals_tests::{Server, StatusCode, eventually};

use crate::support::{SQUARES, path_of, upload};

#[tokio::test]
async fn an_image_gets_smaller_ones_that_anyone_with_their_address_reads() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let uploaded = upload(&api, "squares.png", "image/png", SQUARES).await.expect(StatusCode::CREATED);
    let id = uploaded.text_at("/data/id");
    let shown = eventually("the variants are made", Duration::from_secs(60), || async {
        let answer = api.get(&format!("media/{id}")).await.expect(StatusCode::OK);
        answer.at("/data/variants/0").is_object().then_some(answer)
    })
    .await;
    let sizes: Vec<_> = shown
        .at("/data/variants")
        .as_array()
        .expect("a list")
        .iter()
        .map(|variant| {
            (variant["name"].as_str().expect("a name"), variant["width"].as_u64(), variant["height"].as_u64())
        })
        .collect();
    assert_eq!(sizes, [("thumbnail", Some(320), Some(213)), ("medium", Some(1024), Some(683))]);
    let thumbnail =
        server.api().get(&path_of(&shown.text_at("/data/variants/0/url"))).await.expect(StatusCode::OK);
    assert_eq!(thumbnail.headers["content-type"], "image/jpeg");
    assert_eq!(thumbnail.headers["content-length"], shown.at("/data/variants/0/sizeBytes").to_string());
}
