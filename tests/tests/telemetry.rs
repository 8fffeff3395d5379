//! What leaves the process about itself: traces to a collector, when one is configured.

use std::time::Duration;

use annals_tests::{Server, Settings, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

/// Takes what an OpenTelemetry collector takes over HTTP, and passes on each request's bytes.
async fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let (send, receive) = mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let send = send.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !is_whole(&request)
                    && connection.read_buf(&mut request).await.is_ok_and(|read| read > 0)
                {}
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                connection.write_all(answer).await.expect("the exporter waits for it");
                send.send(request).await.expect("the test listens");
            });
        }
    });
    (url, receive)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let start = request.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    request.len() >= start + length
}

#[tokio::test]
async fn requests_are_traced_to_the_configured_collector_under_the_callers_trace() {
    let (url, mut requests) = collector().await;
    let settings = Settings::default()
        .variable("ANNALS_TELEMETRY_OTLP_ENDPOINT", url)
        .variable("ANNALS_TELEMETRY_SERVICE_NAME", "annals-under-test");
    let mut server = Server::start_with(settings).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    server
        .api()
        .with_header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .get("/health/live")
        .await
        .expect(StatusCode::OK);
    // A clean stop sends what is left.
    assert!(server.stop().await);
    let trace = hex::decode(trace).expect("is hex");
    let found = async {
        while let Some(request) = requests.recv().await {
            assert!(request.starts_with(b"POST /v1/traces "), "{}", String::from_utf8_lossy(&request));
            let has = |what: &[u8]| request.windows(what.len()).any(|window| window == what);
            if has(&trace) && has(b"annals-under-test") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found)
        .await
        .expect("the span arrives, in the caller's trace");
}
