//! Files to send, and sending them.

pub(crate) use annals_tests::form::{form, part};
use annals_tests::{Answer, Api};

/// 1200 × 800 pixels.
pub(crate) const SQUARES: &[u8] = include_bytes!("../../fixtures/squares.png");

/// A PNG that no other test sends: what stands behind its end is no part of the image.
pub(crate) fn image(mark: &str) -> Vec<u8> {
    [SQUARES, mark.as_bytes()].concat()
}

/// A video of nothing: the boxes that one has.
pub(crate) fn video(mark: &str) -> Vec<u8> {
    let boxed = |name: &[u8], content: &[u8]| {
        let size = u32::try_from(content.len() + 8).expect("is small");
        [&size.to_be_bytes(), name, content].concat()
    };
    [boxed(b"ftyp", b"isom\0\0\x02\0isomiso2mp41"), boxed(b"moov", &[0; 64]), boxed(b"mdat", mark.as_bytes())]
        .concat()
}

pub(crate) async fn send_form(api: &Api, parts: &[Vec<u8>]) -> Answer {
    send_raw(api, form(parts)).await
}

pub(crate) async fn send_raw(api: &Api, body: Vec<u8>) -> Answer {
    send_raw_to(api, "media/upload", body).await
}

pub(crate) async fn send_raw_to(api: &Api, path: &str, body: Vec<u8>) -> Answer {
    api.post_form(path, body).await
}

pub(crate) async fn upload(api: &Api, name: &str, media_type: &str, bytes: &[u8]) -> Answer {
    api.upload(name, media_type, bytes).await
}

/// The path and query of a file's address, as [`Api::get`] takes it.
pub(crate) fn path_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").expect("is a URL");
    rest[rest.find('/').expect("has a path")..].to_string()
}
