//! Many who listen cost little, and one who does not keep up costs nothing.

use std::time::{Duration, Instant};

use annals_tests::{Api, Server, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stream::{Events, draft, listeners};

const IDLE_LISTENERS: usize = 1_000;
const IDLE_BYTES_MAX: u64 = 50 * 1024 * 1024;

/// Resident memory of the server's process, in bytes.
fn resident(server: &Server) -> u64 {
    let pid = server.pid().expect("runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("is there");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("is a number");
    kilobytes * 1024
}

/// Opens a stream and does not read it.
async fn open(server: &Server, token: &str, query: &str) -> TcpStream {
    let address = server.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.expect("connects");
    let request = format!(
        "GET /api/v1/live?{query} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sends");
    stream
}

async fn token(api: &Api, email: &str) -> String {
    let body = serde_json::json!({"email": email, "password": annals_tests::PASSWORD});
    api.post("auth/login", body).await.expect(StatusCode::OK).text_at("/data/accessToken")
}

#[tokio::test]
async fn a_thousand_idle_listeners_cost_under_fifty_megabytes() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    raised.expect("as many files as the system allows");
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let token = token(&server.api(), &ada.email).await;
    // What the first ones cost, they cost once.
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(open(&server, &token, "type=publishing").await);
    }
    listeners(&server, 50).await;
    let before = resident(&server);
    for _ in 0..IDLE_LISTENERS {
        streams.push(open(&server, &token, "type=publishing").await);
    }
    listeners(&server, IDLE_LISTENERS + 50).await;
    let more = resident(&server).saturating_sub(before);
    assert!(more < IDLE_BYTES_MAX, "{IDLE_LISTENERS} idle listeners cost {} KiB", more / 1024);

    // And each of them still hears.
    let position = draft(&ada.api, "Hello").await;
    let wanted = format!("id: {position}\n");
    for stream in &mut streams {
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(&wanted) {
            let mut buffer = [0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut buffer)).await;
            let read = read.expect("something comes").expect("is read");
            assert!(read > 0, "the stream goes on");
            heard.extend_from_slice(&buffer[..read]);
        }
    }
    drop(streams);
    listeners(&server, 0).await;
}

/// Events that nobody else is interested in: more than sockets and queues hold.
async fn noise(server: &Server, events: i64) {
    let pool = &server.database().expect("has a database").pool;
    let mut transaction = pool.begin().await.expect("begins");
    let head: i64 = sqlx::query_scalar("SELECT position FROM log_head FOR UPDATE")
        .fetch_one(&mut *transaction)
        .await
        .expect("is locked");
    sqlx::query(
        "INSERT INTO events
         SELECT $1 + n, gen_random_uuid(), 'test.noise', gen_random_uuid()::text, 1, 'test.noise.made', '1',
                json_build_object('text', repeat('x', 2000)),
                json_build_object('correlation_id', gen_random_uuid(), 'command', 'Test', 'source', 'API',
                                  'actor', json_build_object('type', 'user', 'id', '1')),
                greatest(clock_timestamp(), (SELECT recorded_at FROM log_head))
         FROM generate_series(1, $2) AS n",
    )
    .bind(head)
    .bind(events)
    .execute(&mut *transaction)
    .await
    .expect("is written");
    sqlx::query("UPDATE log_head SET position = position + $1, recorded_at = clock_timestamp()")
        .bind(events)
        .execute(&mut *transaction)
        .await
        .expect("moves");
    transaction.commit().await.expect("commits");
}

#[tokio::test]
async fn who_does_not_keep_up_is_told_where_to_go_on_and_let_go() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    noise(&server, 10_000).await;
    let head = draft(&root.api, "The last").await;
    let token = token(&server.api(), &root.email).await;
    let mut slow = open(&server, &token, "after=0").await;
    listeners(&server, 1).await;
    // Nobody reads: it is let go although its connection stands.
    listeners(&server, 0).await;
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), async {
        while !text.windows(7).any(|part| part == b"\r\n0\r\n\r\n") {
            if slow.read_buf(&mut text).await.expect("is read") == 0 {
                break;
            }
        }
    });
    read.await.expect("what waited is sent, and the end");
    let text = String::from_utf8_lossy(&text);
    let last = text.rfind("event: resume").expect("the last word is where to go on");
    let after = text[last..].split_once("\"after\":").expect("says after what").1;
    let after: u64 =
        after.split([',', '}']).next().and_then(|text| text.parse().ok()).expect("is a position");
    assert!(text[last..].contains("SLOW"));
    assert!(after > 0 && after < head, "{after} of {head}");
    let mut events = Events::open(&root.api, &format!("live?after={after}")).await;
    let expected: Vec<u64> = (after + 1..=after + 100).collect();
    assert_eq!(events.positions(100).await, expected, "nothing is left out");
}

#[tokio::test]
async fn a_node_that_stops_sends_its_listeners_on() {
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let events = Events::open(&ada.api, "live").await;
    let started = Instant::now();
    let stopping = tokio::spawn(async move {
        assert!(server.stop().await, "it stops by itself");
    });
    let last = events.last_word().await;
    assert_eq!((last.name.as_str(), &last.data["reason"]), ("resume", &serde_json::json!("UNAVAILABLE")));
    stopping.await.expect("stops");
    assert!(started.elapsed() < Duration::from_secs(15), "nobody is waited for: {:?}", started.elapsed());
}
