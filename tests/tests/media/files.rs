//! The bytes of files, for anyone who has their address; in a folder and in a real bucket.

use std::path::PathBuf;

use annals_tests::{Api, Method, ObjectStore, Server, Settings, StatusCode};
use sha2::{Digest, Sha256};

use crate::support::{SQUARES, path_of, upload, video};

async fn bytes(api: &Api, path: &str) -> Vec<u8> {
    let response = api.request(Method::GET, path).send().await.expect("answers");
    assert_eq!(response.status(), StatusCode::OK);
    response.bytes().await.expect("reads").to_vec()
}

#[tokio::test]
async fn a_files_address_is_for_anyone_and_can_not_be_guessed() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let answer = upload(&ada.api, "a.png", "image/png", SQUARES).await.expect(StatusCode::CREATED);
    let path = path_of(&answer.text_at("/data/url"));
    let anyone = server.api();
    assert!(bytes(&anyone, &path).await == SQUARES);
    let whole = Api::send(anyone.request(Method::HEAD, &path)).await.expect(StatusCode::OK);
    let header =
        |name: &str| whole.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("content-type"), "image/png");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-length"), SQUARES.len().to_string());
    assert!(header("cache-control").contains("immutable"));
    let etag = header("etag").to_string();
    let known = Api::send(anyone.request(Method::GET, &path).header("if-none-match", &etag)).await;
    known.expect(StatusCode::NOT_MODIFIED);

    let ranged =
        anyone.request(Method::GET, &path).header("range", "bytes=1-3").send().await.expect("answers");
    assert_eq!(ranged.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(ranged.headers()["content-range"], format!("bytes 1-3/{}", SQUARES.len()));
    assert_eq!(ranged.bytes().await.expect("reads").as_ref(), b"PNG");
    let past = anyone.request(Method::GET, &path).header("range", format!("bytes={}-", SQUARES.len()));
    Api::send(past).await.expect(StatusCode::RANGE_NOT_SATISFIABLE);

    // Another token, another name, another file's token.
    let other = upload(&ada.api, "b.mp4", "video/mp4", &video("b")).await.expect(StatusCode::CREATED);
    let other = path_of(&other.text_at("/data/url"));
    let (mine, theirs): (Vec<_>, Vec<_>) = (path.split('/').collect(), other.split('/').collect());
    for wrong in [
        format!("/media/{}/AAAAAAAAAAAAAAAAAAAAAA/original.png", mine[2]),
        format!("/media/{}/{}/original.png", mine[2], theirs[3]),
        format!("/media/{}/{}/original.jpg", mine[2], mine[3]),
        format!("/media/{}/{}/large.png", mine[2], mine[3]),
        format!("/media/{}/{}/..%2Foriginal.png", mine[2], mine[3]),
    ] {
        anyone.get(&wrong).await.expect(StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn files_are_kept_in_a_bucket_of_a_real_server() {
    let Some(store) = ObjectStore::start("files_are_kept_in_a_bucket_of_a_real_server", "media") else {
        return;
    };
    let settings = store.variables().iter().fold(
        Settings::default().variable("ANNALS_MEDIA_STORAGE_URL", "s3://media/annals"),
        |settings, (name, value)| settings.variable(name, value),
    );
    let server = Server::start_with(settings).await;
    let ada = server.api().register("Ada").await;
    // Of three parts, so that it goes up in several requests.
    let large = video(&"annals ".repeat(2_500_000));
    let answer = upload(&ada.api, "clip.mp4", "video/mp4", &large).await.expect(StatusCode::CREATED);
    assert_eq!(answer.text_at("/data/sha256"), hex::encode(Sha256::digest(&large)));
    let (id, path) = (answer.text_at("/data/id"), path_of(&answer.text_at("/data/url")));
    let object: PathBuf =
        store.folder().join(format!("media/annals/media/{}/{id}/original.mp4", ada.organization_id));
    assert_eq!(std::fs::metadata(&object).expect("lies in the bucket").len(), large.len() as u64);
    assert!(bytes(&server.api(), &path).await == large);
    let end = format!("bytes={}-", large.len() - 7);
    let ranged = server.api().request(Method::GET, &path).header("range", end).send().await.expect("answers");
    assert_eq!(ranged.bytes().await.expect("reads").as_ref(), b"annals ");
    ada.api.delete(&format!("media/{id}")).await.expect(StatusCode::OK);
    let gone = async || (!object.exists()).then_some(());
    annals_tests::eventually("it is gone", std::time::Duration::from_secs(20), gone).await;
}
