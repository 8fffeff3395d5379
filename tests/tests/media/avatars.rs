//! Pictures of people.

use std::time::Duration;

use annals_tests::{Answer, Api, Method, Server, StatusCode, eventually};
use serde_json::json;

use crate::support::{SQUARES, form, image, part, path_of, video};

async fn put(api: &Api, name: &str, media_type: &str, bytes: &[u8]) -> Answer {
    let kind = "multipart/form-data; boundary=----annals-tests";
    let body = form(&[part("file", name, media_type, bytes)]);
    Api::send(api.request(Method::PUT, "users/avatar").header("content-type", kind).body(body)).await
}

#[tokio::test]
async fn an_image_becomes_a_square_that_everybody_sees() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let set = put(&ada.api, "me.png", "image/png", SQUARES).await.expect(StatusCode::OK);
    let url = set.text_at("/data/avatarUrl");
    let again = put(&ada.api, "me.png", "image/png", SQUARES).await.expect(StatusCode::OK);
    assert_eq!(again.text_at("/data/avatarUrl"), url, "the same picture has the same address");
    let anyone = server.api();
    let read = anyone.request(Method::GET, &path_of(&url)).send().await.expect("answers");
    assert_eq!(
        (read.status(), &read.headers()["content-type"]),
        (StatusCode::OK, &"image/jpeg".parse().expect("a value"))
    );
    assert_eq!(read.headers()["x-content-type-options"], "nosniff");
    let bytes = read.bytes().await.expect("bytes");
    // The start of a frame (SOF0) has height and width.
    let frame = bytes.windows(2).position(|two| two == [0xff, 0xc0]).expect("is a JPEG") + 5;
    let side = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    assert_eq!((side(frame), side(frame + 2)), (512, 512));

    let me = ada.api.get("auth/me").await.expect(StatusCode::OK);
    assert!(me.text.contains(&url), "{}", me.text);
    let members =
        ada.api.get(&format!("agencies/{}/members", ada.organization_id)).await.expect(StatusCode::OK);
    assert!(members.text.contains(&url), "{}", members.text);

    let other = put(&ada.api, "me.png", "image/png", &image("other")).await.expect(StatusCode::OK);
    assert_eq!(other.text_at("/data/avatarUrl"), url, "what stands behind an image's end is no part of it");
    let gone = ada.api.delete("users/avatar").await.expect(StatusCode::OK);
    assert_eq!(gone.at("/data/avatarUrl"), &json!(null));
    anyone.get(&path_of(&url)).await.expect(StatusCode::NOT_FOUND);
    let folder = server.data().join("files/avatars").join(&ada.user_id);
    assert_eq!(std::fs::read_dir(&folder).map_or(0, Iterator::count), 0, "nor in the store");
}

#[tokio::test]
async fn a_forgotten_persons_picture_is_gone() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let url =
        put(&ada.api, "me.png", "image/png", SQUARES).await.expect(StatusCode::OK).text_at("/data/avatarUrl");
    let folder = server.data().join("files/avatars").join(&ada.user_id);
    assert_eq!(std::fs::read_dir(&folder).map_or(0, Iterator::count), 1);
    let sent = ada.api.request(Method::DELETE, "users/account").json(&json!({"password": ada.password}));
    Api::send(sent).await.expect(StatusCode::OK);
    server.api().get(&path_of(&url)).await.expect(StatusCode::NOT_FOUND);
    eventually("the file is removed", Duration::from_secs(30), || async {
        (std::fs::read_dir(&folder).map_or(0, Iterator::count) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_an_image_that_can_be_decoded_is_taken_and_only_ones_own_address_answers() {
    let server = Server::start().await;
    let (ada, bob) = (server.api().register("Ada").await, server.api().register("Bob").await);
    let film = put(&ada.api, "me.mp4", "video/mp4", &video("me")).await;
    assert_eq!(film.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE).at("/errors/0/field"), "file");
    let cut = put(&ada.api, "me.png", "image/png", &SQUARES[..SQUARES.len() / 2]).await;
    cut.expect_field(StatusCode::BAD_REQUEST, "file");
    put(&ada.api, "me.png", "image/png", b"").await.expect_field(StatusCode::BAD_REQUEST, "file");
    put(&ada.api, "me.pdf", "application/pdf", SQUARES).await.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let nothing = ada.api.put("users/avatar", json!({})).await;
    assert_eq!(nothing.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", nothing.text);
    put(&server.api(), "me.png", "image/png", SQUARES).await.expect(StatusCode::UNAUTHORIZED);

    let url =
        put(&ada.api, "me.png", "image/png", SQUARES).await.expect(StatusCode::OK).text_at("/data/avatarUrl");
    let path = path_of(&url);
    let anyone = server.api();
    anyone.get(&path.replace(&ada.user_id, &bob.user_id)).await.expect(StatusCode::NOT_FOUND);
    anyone.get(&path.replace(".jpg", ".png")).await.expect(StatusCode::NOT_FOUND);
    anyone.get(&format!("/avatars/{}/..%2F..%2Fsecrets", ada.user_id)).await.expect(StatusCode::NOT_FOUND);
    // An address elsewhere still may be one's picture, and ours is not shown any more then.
    let elsewhere = json!({"avatarUrl": "https://example.org/ada.png"});
    ada.api.patch("users/profile", elsewhere).await.expect(StatusCode::OK);
    anyone.get(&path).await.expect(StatusCode::NOT_FOUND);
}
