//! The server itself, over TCP, with a real Postgres behind it.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{http::Method, web};
use annals_adapters::{
    files::StoredFiles,
    net::{HttpClient, OutboundPolicy},
};
use annals_commands::{
    bus::CommandBus,
    identity::{ExternalSignIn, Identity, IdentityOptions, PasswordHasher},
    ports::{clock::SystemClock, sign_in::SignInProviders, social::Platforms},
};
use annals_domain::kernel::Role;
use annals_eventstore::{
    EventStore, Filter, StoreOptions, UnparsedEvent,
    notary::{Notary, NotaryKey},
    testing::{self, TestDatabase},
};
use annals_projections::{Projection, ProjectionError, Projector, Reader};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinHandle,
};

use super::{ServerOptions, start_with};
use crate::{
    http::{
        Access, Anonymous, Answer, ApiResult, Body, Caller, Routes,
        config::{HttpConfig, Rate, RateLimitPolicy},
        routes::LimitClass,
        tests::support::{People, config, token},
        tokens::Tokens,
    },
    operations::Operations,
    publishing::{DeskLimits, MediaDesk},
    read_models,
    rights::Rights,
    state::{AppState, Edge},
};

/// A running node, stopped by its handle.
struct Node {
    url: String,
    address: SocketAddr,
    state: AppState,
    handle: actix_web::dev::ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    _uploads: tempfile::TempDir,
}

async fn node(database: &TestDatabase, config: HttpConfig) -> Node {
    let options = StoreOptions::new(testing::master_key());
    let store = EventStore::open(database.pool.clone(), options).await.expect("opens");
    let pool = Some(database.pool.clone());
    let rights = Rights::built_in().await.expect("is valid");
    let tokens = Tokens::new(&[7; 32], &[]);
    let people = Arc::new(People::with(Role::Owner));
    let edge = Edge::new(config, rights, tokens, people, Arc::new(SystemClock), pool);
    let bus = CommandBus::new(store, Arc::new(SystemClock));
    let key = NotaryKey::new(&[7; 32], None).expect("is a key");
    let uploads = tempfile::tempdir().expect("a folder");
    let files = StoredFiles::in_folder(&uploads.path().join("files")).expect("opens");
    let client = HttpClient::new(OutboundPolicy::default()).expect("makes a client");
    let media = MediaDesk::open(bus.clone(), Arc::new(files), uploads.path(), client, DeskLimits::default())
        .expect("opens");
    let identity = Identity::new(bus.clone(), PasswordHasher::new(1), IdentityOptions::default());
    let state = AppState {
        sign_in: ExternalSignIn::new(identity.clone(), SignInProviders::default()),
        media,
        notary: Notary::new(database.pool.clone(), key),
        operations: Operations::new(bus.clone(), read_models::projector(bus.store().clone()).admin()),
        identity,
        bus,
        reader: Reader::new(database.pool.clone()),
        platforms: Platforms::default(),
        samples: crate::console::samples::Samples::default(),
        edge: Arc::new(edge),
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("is bound");
    let options = ServerOptions { workers: 2, shutdown_timeout: Duration::from_secs(10) };
    let server = start_with(state.clone(), listener, options, routes).expect("starts");
    let handle = server.handle();
    Node {
        url: format!("http://{address}"),
        address,
        state,
        handle,
        serving: tokio::spawn(server),
        _uploads: uploads,
    }
}

impl Node {
    async fn stop(self) {
        self.handle.stop(false).await;
        self.serving.await.expect("does not panic").expect("ends well");
        self.state.bus.store().close().await;
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
}

fn routes() -> Routes {
    let mut routes = super::routes();
    routes.command(Method::POST, "/test/guess", Access::Anonymous, guess).limit(LimitClass::Auth);
    routes.command(Method::POST, "/test/things", Access::Right("post", "create"), create);
    routes.query("/test/slow", Access::Anonymous, slow);
    routes.query("/test/counted", Access::Right("post", "read"), counted);
    routes
}

async fn guess(_: Anonymous) -> ApiResult {
    Answer::ok("counted").respond()
}

async fn create(_: Caller, body: Body<Thing>) -> ApiResult {
    Answer::created(body.name.len()).respond()
}

static ENTERED: Semaphore = Semaphore::const_new(0);
static MAY_END: Semaphore = Semaphore::const_new(0);

async fn slow(_: Anonymous) -> ApiResult {
    ENTERED.add_permits(1);
    let _permit = MAY_END.acquire().await;
    Answer::ok("finished").respond()
}

async fn counted(caller: Caller, state: web::Data<AppState>) -> ApiResult {
    let reader = state.reader_for::<Counted>(&caller).await?;
    let count: i64 =
        sqlx::query_scalar("select count(*) from read.counted_v1").fetch_one(reader.pool()).await?;
    Answer::ok(count).respond()
}

/// A read model of nothing in particular.
struct Counted;

#[async_trait::async_trait]
impl Projection for Counted {
    const NAME: &'static str = "counted";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["counted"];
    const CREATE: &'static str = "create table counted (position bigint primary key)";

    fn filter(&self) -> Filter {
        Filter::default()
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        for event in events {
            let position = i64::try_from(event.position).expect("fits");
            let insert = sqlx::query("insert into counted values ($1) on conflict do nothing").bind(position);
            insert.execute(&mut *tables).await?;
        }
        Ok(())
    }
}

async fn json_of(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().await.expect("is JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_with_its_database_and_says_what_is_missing_without() {
    let database = testing::database().await;
    let node = node(&database, config()).await;
    let ready =
        async || json_of(reqwest::get(format!("{}/health/ready", node.url)).await.expect("answers")).await;
    let (status, body) = ready().await;
    assert_eq!((status, &body["code"]), (503, &json!("NOT_READY")), "no read model was ever built: {body}");
    let stop = tokio_util::sync::CancellationToken::new();
    let projector = crate::read_models::projector(node.state.bus.store().clone());
    let tasks = projector.start(stop.clone()).await.expect("starts");
    let built = async {
        while ready().await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), built).await.expect("is built");
    let (_, body) = ready().await;
    assert_eq!(body["data"]["status"], "ready", "{body}");
    assert!(
        body["data"]["projections"].as_array().expect("a list").iter().all(|one| one["ok"] == true),
        "{body}"
    );
    stop.cancel();
    tasks.wait().await;
    assert_eq!(body["data"]["database"]["ok"], true);
    assert_eq!(body["data"]["migrations"]["ok"], true);
    database.pool.close().await;
    let (status, body) = ready().await;
    assert_eq!((status, &body["code"]), (503, &json!("NOT_READY")), "{body}");
    assert_eq!(
        body["data"]["database"],
        json!({
            "ok": false, "detail": "does not answer", "durationMs": body["data"]["database"]["durationMs"],
        })
    );
    let live = reqwest::get(format!("{}/health/live", node.url)).await.expect("answers");
    assert_eq!(live.status().as_u16(), 200, "it is alive all the same");
    let head =
        reqwest::Client::new().head(format!("{}/health/live", node.url)).send().await.expect("answers");
    assert_eq!(head.status().as_u16(), 200);
    assert!(head.bytes().await.expect("ends").is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_by_method_route_pattern_and_status() {
    let database = testing::database().await;
    let node = node(&database, config()).await;
    let get = async |path: &str| reqwest::get(format!("{}{path}", node.url)).await.expect("answers");
    get("/api/v1/invented/by/a/scanner").await;
    get("/health/live").await;
    let text = get("/metrics").await.text().await.expect("is text");
    for line in [
        r#"http_requests_total{method="GET",route="/health/live",status="200"}"#,
        r#"http_requests_total{method="GET",route="unmatched",status="404"}"#,
        r#"http_request_duration_seconds_bucket{method="GET",route="/health/live",status="200",le="0.005"}"#,
        r#"annals_pool_connections{pool="log",state="idle"}"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(!text.contains("scanner"), "labels do not grow with what callers invent");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_limited_across_nodes_and_by_address() {
    let database = testing::database().await;
    let policy = RateLimitPolicy { auth: vec![Rate::per_minute(3)], ..RateLimitPolicy::default() };
    let proxied = HttpConfig {
        rate_limits: policy,
        trusted_proxies: vec!["127.0.0.0/8".parse().expect("a net")],
        ..config()
    };
    let (one, other) = (node(&database, proxied.clone()).await, node(&database, proxied).await);
    let client = reqwest::Client::new();
    let guess = async |node: &Node, from: &'static str| {
        let request = client.post(format!("{}/api/v1/test/guess", node.url)).header("x-forwarded-for", from);
        request.send().await.expect("answers")
    };
    for node in [&one, &other, &one] {
        assert_eq!(guess(node, "203.0.113.7").await.status().as_u16(), 200);
    }
    let over = guess(&other, "203.0.113.7").await;
    let wait: u64 = over.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((50..=60).contains(&wait), "{wait}");
    assert_eq!(json_of(over).await.1["code"], "RATE_LIMIT_EXCEEDED");
    assert_eq!(
        guess(&other, "203.0.113.8").await.status().as_u16(),
        200,
        "another address is another guesser"
    );
    // A minute later: the window slides.
    sqlx::query(
        "update http.recent_calls set calls = array(select call - interval '61 s' from unnest(calls) call)",
    )
    .execute(&database.pool)
    .await
    .expect("moves the past away");
    assert_eq!(guess(&one, "203.0.113.7").await.status().as_u16(), 200);
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_guesses_at_once_are_no_more_than_twenty_in_a_row() {
    let database = testing::database().await;
    let policy = RateLimitPolicy { auth: vec![Rate::per_minute(5)], ..RateLimitPolicy::default() };
    let node = node(&database, HttpConfig { rate_limits: policy, ..config() }).await;
    let client = reqwest::Client::new();
    let guesses = (0..20).map(|_| client.post(format!("{}/api/v1/test/guess", node.url)).send());
    let answers = futures::future::join_all(guesses).await;
    let statuses: Vec<u16> =
        answers.into_iter().map(|answer| answer.expect("answers").status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 15, "{statuses:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_finished_when_the_server_stops() {
    let database = testing::database().await;
    let node = node(&database, config()).await;
    let url = format!("{}/api/v1/test/slow", node.url);
    let waiting = tokio::spawn(async move { reqwest::get(url).await });
    ENTERED.acquire().await.expect("the handler runs").forget();
    let stopping = tokio::spawn({
        let handle = node.handle.clone();
        async move { handle.stop(true).await }
    });
    // No new connection is taken while the old one is served.
    let refused = async {
        while TcpStream::connect(node.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused).await.expect("the door closes at once");
    MAY_END.add_permits(1);
    let answer = waiting.await.expect("does not panic").expect("is answered");
    assert_eq!(answer.status().as_u16(), 200);
    stopping.await.expect("stops");
    node.serving.await.expect("does not panic").expect("ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_big_is_told_so_and_one_that_never_comes_is_given_up() {
    let database = testing::database().await;
    let impatient = HttpConfig { body_timeout: Duration::from_millis(200), ..config() };
    let node = node(&database, impatient).await;
    let token = token(&node.state.edge);
    let huge = vec![b' '; 8 * 1024 * 1024];
    let send = async |body: reqwest::Body| {
        let request = reqwest::Client::new().post(format!("{}/api/v1/test/things", node.url));
        request.bearer_auth(&token).header("content-type", "application/json").body(body).send().await
    };
    let (status, body) = json_of(send(huge.clone().into()).await.expect("is answered")).await;
    assert_eq!((status, &body["code"]), (413, &json!("PAYLOAD_TOO_LARGE")));
    // Without a length, in chunks: found out on the way.
    let chunks = futures::stream::iter(
        huge.chunks(64 * 1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    );
    let chunked = send(reqwest::Body::wrap_stream(chunks)).await.expect("is answered");
    assert_eq!(chunked.status().as_u16(), 413);
    let mut stalled = TcpStream::connect(node.address).await.expect("connects");
    let head = format!(
        "POST /api/v1/test/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
    );
    stalled.write_all(head.as_bytes()).await.expect("is sent");
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(5), stalled.read(&mut answer)).await;
    let read = read.expect("is given up").expect("is answered");
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("BODY_TOO_SLOW"), "{answer}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_waits_for_its_read_model_and_says_how_far_it_is() {
    let database = testing::database().await;
    let quick = HttpConfig { read_after_wait: Duration::from_millis(200), ..config() };
    let node = node(&database, quick).await;
    let token = token(&node.state.edge);
    let ask = async |after: &'static str| {
        let request =
            reqwest::Client::new().get(format!("{}/api/v1/test/counted", node.url)).bearer_auth(&token);
        let response = request.header("annals-after", after).send().await.expect("answers");
        let retry =
            response.headers().get("retry-after").map(|value| value.to_str().expect("text").to_string());
        let (status, body) = json_of(response).await;
        (status, body["code"].clone(), retry)
    };
    assert_eq!(ask("0").await, (503, json!("READ_MODEL_BUILDING"), Some("2".into())));
    let stop = tokio_util::sync::CancellationToken::new();
    let store = node.state.bus.store().clone();
    let tasks = Projector::new(store).with(Counted).start(stop.clone()).await.expect("starts");
    let built = async {
        while ask("0").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), built).await.expect("is built");
    assert_eq!(ask("999").await, (503, json!("READ_MODEL_BEHIND"), Some("1".into())));
    // What a user wrote themselves is waited for, and not insisted on.
    node.state.own_writes.record(crate::http::tests::support::ADA, 999);
    let own = reqwest::Client::new().get(format!("{}/api/v1/test/counted", node.url)).bearer_auth(&token);
    assert_eq!(own.send().await.expect("answers").status().as_u16(), 200);
    stop.cancel();
    tasks.wait().await;
    node.stop().await;
}
