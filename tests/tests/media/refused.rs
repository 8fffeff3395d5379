//! What is no file of the library: nothing of it is kept.

use annals_tests::{Server, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{SQUARES, image, part, send_form, send_raw, upload, video};

#[tokio::test]
async fn lies_bombs_and_halves_are_refused_and_nothing_is_kept() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let mut bomb = SQUARES.to_vec();
    bomb[16..24].copy_from_slice(&[0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff]);
    let cases: [(&str, &str, &[u8], u16); 8] = [
        ("page.html", "text/html", b"<!doctype html><script>alert(1)</script>", 415),
        ("vector.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        ("page.png", "image/png", b"<!doctype html><script>alert(1)</script>", 415),
        ("photo.jpg", "image/jpeg", SQUARES, 415),
        ("photo.png", "text/html", SQUARES, 415),
        ("half.png", "image/png", &SQUARES[..SQUARES.len() / 2], 400),
        ("bomb.png", "image/png", &bomb, 400),
        ("empty.png", "image/png", b"", 400),
    ];
    for (name, media_type, bytes, status) in cases {
        let status = StatusCode::from_u16(status).expect("is one");
        upload(&api, name, media_type, bytes).await.expect_field(status, "file");
    }
    let clip = video("clip");
    upload(&api, "half.mp4", "video/mp4", &clip[..clip.len() - 1])
        .await
        .expect_field(StatusCode::BAD_REQUEST, "file");
    // A form that ends before it should, one without a file, with two, with something else.
    let whole = part("file", "a.png", "image/png", &image("cut"));
    let cut = send_raw(&api, whole[..whole.len() / 2].to_vec()).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(cut.at("/code"), "BODY_CUT_OFF");
    send_form(&api, &[]).await.expect(StatusCode::BAD_REQUEST);
    send_form(&api, &[whole.clone(), whole.clone()]).await.expect_field(StatusCode::BAD_REQUEST, "file");
    send_form(&api, &[part("alt", "", "text/plain", b"x")])
        .await
        .expect_field(StatusCode::BAD_REQUEST, "alt");
    api.post("media/upload", json!({"file": "x"})).await.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);

    assert_eq!(api.get("media").await.expect(StatusCode::OK).at("/meta/total"), 0);
    let kept = |folder: &str| std::fs::read_dir(server.data().join(folder)).expect("is there").count();
    assert_eq!((kept("uploads"), kept("files")), (0, 0));
}

/// A server that serves one file, at an address that is not public.
async fn file_server(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let address = listener.local_addr().expect("is bound");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            drop(socket.read(&mut request).await);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                bytes.len()
            );
            drop(socket.write_all(&[head.as_bytes(), bytes].concat()).await);
        }
    });
    format!("http://{address}/pictures/squares.png?size=large")
}

#[tokio::test]
async fn what_is_fetched_comes_from_public_addresses_only_unless_configured() {
    let url = file_server(SQUARES).await;
    // The tests' own servers may reach this machine; one as it comes may not.
    let strict =
        annals_tests::Settings::default().variable("ANNALS_OUTBOUND_ALLOW_NETWORKS", "203.0.113.0/24");
    let server = Server::start_with(strict).await;
    let api = server.api().register("Ada").await.api;
    for refused in [url.as_str(), "https://127.0.0.1/a.png", "file:///etc/passwd", "no url"] {
        let answer = api.post("media/upload-from-url", json!({"url": refused})).await;
        answer.expect_field(StatusCode::BAD_REQUEST, "url");
    }
    let trusting = Server::start().await;
    let api = trusting.api().register("Ada").await.api;
    let fetched = api.post("media/upload-from-url", json!({"url": url})).await.expect(StatusCode::CREATED);
    assert_eq!((fetched.at("/data/name"), fetched.at("/data/width")), (&"squares.png".into(), &1200.into()));
}
