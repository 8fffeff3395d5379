//! The client against servers on loopback that behave badly, with DNS that lies.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use annals_commands::ports::social::FailureClass;
use parking_lot::Mutex;
use reqwest::{
    Method, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// What a server does once it has read a request's head.
#[derive(Clone)]
enum Behaviour {
    Answer(String),
    Hang,
    HangUp,
    Endless,
}

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counted, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, behaviour.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, connections, requests }
    }

    async fn answering(head: &str, body: &str) -> Self {
        let length = body.len();
        Self::start(Behaviour::Answer(format!(
            "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )))
        .await
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    seen.lock().push(String::from_utf8_lossy(&head).to_lowercase());
    match behaviour {
        Behaviour::Answer(text) => drop(stream.write_all(text.as_bytes()).await),
        Behaviour::Hang => std::future::pending().await,
        Behaviour::HangUp => {}
        Behaviour::Endless => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 64 * 1024]).await;
            }
        }
    }
}

/// DNS from a table, counting how often it was asked.
#[derive(Default)]
struct TableDns {
    table: HashMap<&'static str, Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl TableDns {
    fn of<const N: usize>(entries: [(&'static str, &str); N]) -> Arc<Self> {
        let table = entries
            .into_iter()
            .map(|(name, addresses)| (name, addresses.split(' ').map(|a| a.parse().unwrap()).collect()))
            .collect();
        Arc::new(Self { table, asked: AtomicUsize::new(0) })
    }
}

impl Resolve for TableDns {
    fn resolve(&self, name: Name) -> Resolving {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.table.get(name.as_str()).cloned();
        Box::pin(async move {
            let found = found.ok_or("no such name")?;
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

fn policy(hosts: &[String]) -> OutboundPolicy {
    let allow_hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    OutboundPolicy { allow_hosts, ..OutboundPolicy::default() }
}

fn client(hosts: &[String], dns: &Arc<TableDns>) -> HttpClient {
    HttpClient::with_resolver(policy(hosts), Arc::clone(dns) as _).unwrap()
}

fn request(method: Method, url: &str) -> HttpRequest {
    HttpRequest {
        method,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: None,
        deadline: Deadline::within(Duration::from_secs(10)),
    }
}

async fn get(client: &HttpClient, url: &str) -> Result<HttpResponse, NetError> {
    client.send(request(Method::GET, url)).await
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_never_connected_to() {
    let server = Server::answering("200 OK", "secret").await;
    let dns = TableDns::of([
        ("four.test", "127.0.0.1"),
        ("six.test", "::1 ::ffff:127.0.0.1 64:ff9b::7f00:1"),
        ("lan.test", "10.0.0.1 192.168.0.1 169.254.169.254 fd00::1"),
    ]);
    let client = client(&[], &dns);
    for name in ["four.test", "six.test", "lan.test"] {
        let answer = get(&client, &format!("https://{name}:{}/", server.port())).await;
        let error = answer.unwrap_err();
        assert!(matches!(&error, NetError::Forbidden(ForbiddenUrl::PrivateAddress(host)) if host == name));
        assert_eq!(error.class(Effect::Write), FailureClass::Disconnected);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_literal_private_address_is_never_connected_to() {
    let server = Server::answering("200 OK", "secret").await;
    let client = HttpClient::new(OutboundPolicy::public_only()).unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"] {
        let answer = get(&client, &format!("https://{host}:{}/", server.port())).await;
        assert!(matches!(answer, Err(NetError::Forbidden(ForbiddenUrl::PrivateAddress(_)))), "{host}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn of_mixed_answers_only_the_public_addresses_are_kept() {
    let dns = TableDns::of([("mixed.test", "127.0.0.1 8.8.8.8 fd00::1 2606:4700::1111")]);
    let guarded = resolver::GuardedResolver::new(dns, Arc::new(policy(&[])));
    let kept: Vec<_> = guarded.resolve("mixed.test".parse().unwrap()).await.unwrap().collect();
    let kept: Vec<_> = kept.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(kept, ["8.8.8.8", "2606:4700::1111"]);
}

#[tokio::test]
async fn the_checked_addresses_are_the_ones_connected_to() {
    let server = Server::answering("200 OK", "hello").await;
    let dns = TableDns::of([("pds.test", "127.0.0.1")]);
    let client = client(&[format!("pds.test:{}", server.port())], &dns);
    let answer = get(&client, &format!("http://pds.test:{}/", server.port())).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, b"hello".as_slice()));
    assert_eq!((dns.asked.load(Ordering::SeqCst), server.connections()), (1, 1), "resolved once, used once");
}

#[tokio::test]
async fn plain_http_goes_to_allowed_networks_only() {
    let server = Server::answering("200 OK", "hello").await;
    let dns = TableDns::of([
        ("inside.test", "127.0.0.1 10.0.0.1"),
        ("outside.test", "8.8.8.8"),
        ("both.test", "127.0.0.1 8.8.8.8"),
        ("elsewhere.test", "10.0.0.1"),
    ]);
    let policy =
        OutboundPolicy { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], ..OutboundPolicy::default() };
    let client = HttpClient::with_resolver(policy, dns).unwrap();
    let url = |name: &str| format!("http://{name}:{}/", server.port());
    assert_eq!(get(&client, &url("inside.test")).await.unwrap().body, b"hello");
    let unknown = get(&client, &url("unknown.test")).await;
    assert!(matches!(unknown, Err(NetError::NotReached(_))), "DNS that fails is no reason to give up");
    for name in ["outside.test", "both.test", "elsewhere.test"] {
        let error = get(&client, &url(name)).await.unwrap_err();
        assert!(matches!(error, NetError::Forbidden(ForbiddenUrl::Scheme)), "{name}: {error:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_followed() {
    let inner = Server::answering("200 OK", "secret").await;
    let dns = TableDns::of([("front.test", "127.0.0.1"), ("evil.test", "127.0.0.1")]);
    for target in ["https://127.0.0.1", "https://0x7f.1", "https://[::1]", "https://evil.test"] {
        let front =
            Server::answering(&format!("302 Found\r\nlocation: {target}:{}/", inner.port()), "").await;
        let client = client(&[format!("front.test:{}", front.port())], &dns);
        let error = get(&client, &format!("http://front.test:{}/", front.port())).await.unwrap_err();
        assert!(matches!(error, NetError::Forbidden(ForbiddenUrl::PrivateAddress(_))), "{target}: {error:?}");
        assert_eq!(front.connections(), 1);
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn a_redirect_does_not_leave_https_nor_the_allowed_port() {
    let inner = Server::answering("200 OK", "secret").await;
    let dns = TableDns::of([("front.test", "127.0.0.1"), ("other.test", "8.8.8.8")]);
    for (target, expected) in [
        ("http://other.test/".to_string(), ForbiddenUrl::Scheme),
        ("file:///etc/passwd".to_string(), ForbiddenUrl::NoHost),
        (format!("http://front.test:{}/", inner.port()), ForbiddenUrl::Port(inner.port())),
    ] {
        let front = Server::answering(&format!("301 Moved\r\nlocation: {target}"), "").await;
        let client = client(&[format!("front.test:{}", front.port())], &dns);
        let error = get(&client, &format!("http://front.test:{}/", front.port())).await.unwrap_err();
        assert!(matches!(&error, NetError::Forbidden(why) if *why == expected), "{target}: {error:?}");
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn credentials_stay_with_the_origin_they_were_meant_for() {
    let inner = Server::answering("200 OK", "").await;
    let front =
        Server::answering(&format!("307 Moved\r\nlocation: http://b.test:{}/x", inner.port()), "").await;
    let dns = TableDns::of([("a.test", "127.0.0.1"), ("b.test", "127.0.0.1")]);
    let client = client(&["a.test".to_string(), "b.test".to_string()], &dns);
    let mut call = request(Method::GET, &format!("http://a.test:{}/", front.port()));
    call.headers.insert("authorization", HeaderValue::from_static("Bearer token"));
    assert_eq!(client.send(call).await.unwrap().status, StatusCode::OK);
    assert!(front.requests.lock()[0].contains("bearer token"));
    assert!(!inner.requests.lock()[0].contains("bearer token"));
}

#[tokio::test]
async fn a_write_is_not_redirected() {
    let inner = Server::answering("200 OK", "").await;
    let front =
        Server::answering(&format!("307 Moved\r\nlocation: http://a.test:{}/", inner.port()), "").await;
    let dns = TableDns::of([("a.test", "127.0.0.1")]);
    let client = client(&["a.test".to_string()], &dns);
    let url = format!("http://a.test:{}/", front.port());
    assert_eq!(client.send(request(Method::POST, &url)).await.unwrap().status.as_u16(), 307);
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn redirects_in_circles_end() {
    let server = Server::answering("302 Found\r\nlocation: /again", "").await;
    let dns = TableDns::of([("a.test", "127.0.0.1")]);
    let client = client(&["a.test".to_string()], &dns);
    let answer = get(&client, &format!("http://a.test:{}/", server.port())).await;
    assert!(matches!(answer, Err(NetError::BadRedirect)));
    assert_eq!(server.connections(), 6);
}

#[tokio::test]
async fn what_was_surely_not_sent_can_be_tried_again() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let dns = TableDns::of([("a.test", "127.0.0.1")]);
    let client = client(&["a.test".to_string()], &dns);
    for url in [format!("http://a.test:{free}/"), "https://unknown.test/".to_string()] {
        let error = client.send(request(Method::POST, &url)).await.unwrap_err();
        assert!(matches!(error, NetError::NotReached(_)), "{url}: {error:?}");
        assert_eq!(error.class(Effect::Write), FailureClass::Retry);
    }
    let mut late = request(Method::POST, &format!("http://a.test:{free}/"));
    late.deadline = Deadline::within(Duration::ZERO);
    assert_eq!(client.send(late).await.unwrap_err().class(Effect::Write), FailureClass::Retry);
}

#[tokio::test]
async fn a_failed_tls_handshake_has_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    let dns = TableDns::of([("a.test", "127.0.0.1")]);
    let client = client(&["a.test".to_string()], &dns);
    let error = client.send(request(Method::POST, &format!("https://a.test:{port}/"))).await.unwrap_err();
    assert!(matches!(error, NetError::NotReached(_)), "{error:?}");
    assert_eq!(error.class(Effect::Write), FailureClass::Retry);
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_unknown() {
    let dns = TableDns::of([("a.test", "127.0.0.1")]);
    let client = client(&["a.test".to_string()], &dns);
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_string();
    for behaviour in [Behaviour::Hang, Behaviour::HangUp, Behaviour::Answer(cut)] {
        let server = Server::start(behaviour).await;
        let mut call = request(Method::POST, &format!("http://a.test:{}/", server.port()));
        call.deadline = Deadline::within(Duration::from_millis(500));
        let error = client.send(call).await.unwrap_err();
        assert!(matches!(error, NetError::Broken(_)), "{error:?}");
        assert_eq!(error.class(Effect::Write), FailureClass::OutcomeUnknown);
        assert_eq!(error.class(Effect::Read), FailureClass::Retry);
        assert_eq!(server.requests.lock().len(), 1, "sent once, not again by the client itself");
    }
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let dns = TableDns::of([("a.test", "127.0.0.1")]);
    let client = client(&["a.test".to_string()], &dns);
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_string();
    for behaviour in [Behaviour::Endless, Behaviour::Answer(announced)] {
        let server = Server::start(behaviour).await;
        let answer = get(&client, &format!("http://a.test:{}/", server.port())).await;
        assert!(matches!(answer, Err(NetError::TooLarge { .. })), "{answer:?}");
    }
}

fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
    let entry = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    entries.iter().map(entry).collect()
}

#[test]
fn a_status_says_whether_the_other_side_acted() {
    let class = |status: u16, entries: &[(&'static str, &str)], effect| {
        class_of_status(StatusCode::from_u16(status).unwrap(), &headers(entries), effect)
    };
    assert_eq!(class(200, &[], Effect::Write), None);
    assert_eq!(class(429, &[], Effect::Write), Some(FailureClass::Retry));
    assert_eq!(class(503, &[("retry-after", "5")], Effect::Write), Some(FailureClass::Retry));
    for status in [408, 500, 502, 503, 504] {
        assert_eq!(class(status, &[], Effect::Write), Some(FailureClass::OutcomeUnknown), "{status}");
        assert_eq!(class(status, &[], Effect::Read), Some(FailureClass::Retry), "{status}");
    }
    for status in [301, 401, 403] {
        assert_eq!(class(status, &[], Effect::Write), Some(FailureClass::Disconnected), "{status}");
    }
    for status in [400, 404, 413, 422] {
        assert_eq!(class(status, &[], Effect::Write), Some(FailureClass::BadContent), "{status}");
    }
}

#[test]
fn when_to_come_back() {
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    let wait = |entries: &[(&'static str, &str)]| retry_after(&headers(entries), now).map(|d| d.as_secs());
    assert_eq!(wait(&[("retry-after", "120")]), Some(120));
    assert_eq!(wait(&[("retry-after", "Fri, 02 Jan 2026 03:05:05 GMT")]), Some(60));
    assert_eq!(wait(&[("retry-after", "Fri, 02 Jan 2026 03:00:00 GMT")]), Some(0));
    assert_eq!(wait(&[("retry-after", "99999999")]), Some(86400));
    assert_eq!(wait(&[("retry-after", "soon")]), None);
    assert_eq!(wait(&[("ratelimit-reset", "1767323075")]), Some(30));
    assert_eq!(wait(&[]), None);
}
