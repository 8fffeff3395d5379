//! Uploading, listing, deleting; once per content; within limits.

use std::{path::Path, time::Duration};

use annals_tests::{Server, Settings, StatusCode, eventually};

use crate::support::{SQUARES, image, path_of, upload, video};

/// Files under a folder, however deep.
fn count(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let paths = entries.map(|entry| entry.expect("is read").path());
    paths.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn a_file_is_told_by_its_bytes_kept_once_and_listed() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let answer =
        upload(&ada.api, "holiday/squares.PNG", "image/png", SQUARES).await.expect(StatusCode::CREATED);
    assert_eq!(answer.at("/data/name"), "squares.PNG");
    assert_eq!(answer.at("/data/kind"), "image");
    assert_eq!(answer.at("/data/mediaType"), "image/png");
    assert_eq!((answer.at("/data/width"), answer.at("/data/height")), (&1200.into(), &800.into()));
    assert_eq!(answer.at("/data/sizeBytes"), SQUARES.len());
    let id = answer.text_at("/data/id");
    // The same bytes, whatever they are called now.
    let again =
        upload(&ada.api, "copy.png", "application/octet-stream", SQUARES).await.expect(StatusCode::OK);
    assert_eq!(again.text_at("/data/id"), id);
    assert_eq!(count(&server.data().join("files")), 1);
    // Another organization has its own.
    let bob = server.api().register("Bob").await;
    let other = upload(&bob.api, "squares.png", "image/png", SQUARES).await.expect(StatusCode::CREATED);
    assert_ne!(other.text_at("/data/id"), id);
    bob.api.get(&format!("media/{id}")).await.expect(StatusCode::NOT_FOUND);
    bob.api.delete(&format!("media/{id}")).await.expect(StatusCode::NOT_FOUND);

    upload(&ada.api, "clip.mp4", "video/mp4", &video("a")).await.expect(StatusCode::CREATED);
    let page = ada.api.get("media?perPage=1").await.expect(StatusCode::OK);
    assert_eq!((page.at("/meta/total"), page.at("/data/0/kind")), (&2.into(), &"video".into()));
    let images = ada.api.get("media?kind=image&q=SQUARE").await.expect(StatusCode::OK);
    assert_eq!((images.at("/meta/total"), images.at("/data/0/id")), (&1.into(), &id.as_str().into()));
    ada.api.get("media?kind=sound").await.expect_field(StatusCode::BAD_REQUEST, "kind");
    ada.api.get("media?perPage=101").await.expect_field(StatusCode::BAD_REQUEST, "perPage");
}

#[tokio::test]
async fn a_deleted_file_goes_with_its_bytes_and_can_come_again() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let answer = upload(&ada.api, "a.png", "image/png", SQUARES).await.expect(StatusCode::CREATED);
    let (id, url) = (answer.text_at("/data/id"), path_of(&answer.text_at("/data/url")));
    // A member deletes what is their own, a viewer nothing, an admin everything.
    let own = upload(&ada.member("user").await, "b.png", "image/png", &image("b")).await;
    let own = own.expect(StatusCode::CREATED).text_at("/data/id");
    let user = ada.member("viewer").await;
    user.get(&format!("media/{id}")).await.expect(StatusCode::OK);
    user.delete(&format!("media/{id}")).await.expect(StatusCode::FORBIDDEN);
    upload(&user, "c.png", "image/png", &image("c")).await.expect(StatusCode::FORBIDDEN);
    ada.api.delete(&format!("media/{own}")).await.expect(StatusCode::OK);

    ada.api.delete(&format!("media/{id}")).await.expect(StatusCode::OK);
    ada.api.get(&format!("media/{id}")).await.expect(StatusCode::NOT_FOUND);
    server.api().get(&url).await.expect(StatusCode::NOT_FOUND);
    let files = server.data().join("files");
    let gone = async || (count(&files) == 0).then_some(());
    eventually("the bytes are gone", Duration::from_secs(20), gone).await;
    let again = upload(&ada.api, "a.png", "image/png", SQUARES).await.expect(StatusCode::CREATED);
    assert_ne!(again.text_at("/data/id"), id);
}

#[tokio::test]
async fn an_organization_keeps_no_more_than_its_limit_to_the_byte() {
    let one = image("1").len();
    let settings = Settings::default()
        .variable("ANNALS_MEDIA_ORGANIZATION_BYTES_MAX", 2 * one)
        .variable("ANNALS_MEDIA_IMAGE_BYTES_MAX", one + 1);
    let server = Server::start_with(settings).await;
    let api = server.api().register("Ada").await.api;
    let first = upload(&api, "1.png", "image/png", &image("1")).await.expect(StatusCode::CREATED);
    upload(&api, "2.png", "image/png", &image("2")).await.expect(StatusCode::CREATED);
    let full =
        upload(&api, "3.png", "image/png", &image("3")).await.expect_field(StatusCode::CONFLICT, "file");
    assert_eq!(full.at("/code"), "MEDIA_LIBRARY_FULL");
    assert_eq!(count(&server.data().join("files")), 2, "what was refused is not kept");
    let large = upload(&api, "4.png", "image/png", &image("4444")).await;
    assert_eq!(large.expect_field(StatusCode::PAYLOAD_TOO_LARGE, "file").at("/code"), "FILE_TOO_LARGE");
    api.delete(&format!("media/{}", first.text_at("/data/id"))).await.expect(StatusCode::OK);
    upload(&api, "3.png", "image/png", &image("3")).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn the_same_key_with_other_bytes_is_another_request() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let keyed = api.with_header("Idempotency-Key", "upload-1");
    let first = upload(&keyed, "a.png", "image/png", &image("a")).await.expect(StatusCode::CREATED);
    let again = upload(&keyed, "a.png", "image/png", &image("a")).await.expect(StatusCode::OK);
    assert_eq!(again.text_at("/data/id"), first.text_at("/data/id"));
    upload(&keyed, "a.png", "image/png", &image("b")).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(count(&server.data().join("files")), 1);
}

#[tokio::test]
async fn what_a_killed_program_left_in_the_store_is_swept_and_nothing_else() {
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let url = upload(&ada.api, "a.png", "image/png", SQUARES).await.expect(StatusCode::CREATED);
    let url = path_of(&url.text_at("/data/url"));
    let folder = server.data().join("files/media").join(&ada.organization_id);
    let [old, young] = ["01980000-0000-7000-8000-000000000001", "01980000-0000-7000-8000-000000000002"]
        .map(|id| folder.join(id).join("original.png"));
    for orphan in [&old, &young] {
        std::fs::create_dir_all(orphan.parent().expect("has a folder")).expect("makes it");
        std::fs::write(orphan, SQUARES).expect("writes");
    }
    let known = folder.join(url.split('/').nth(2).expect("an id")).join("original.png");
    let before = std::time::SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    for aged in [&old, &known] {
        let file = std::fs::File::options().write(true).open(aged).expect("is there");
        file.set_modified(before).expect("ages");
    }
    server.restart().await;
    let swept = async || (!old.exists()).then_some(());
    eventually("the orphan is swept", Duration::from_secs(30), swept).await;
    assert!(young.exists() && known.exists());
    server.api().get(&url).await.expect(StatusCode::OK);
}
