//! The network between the store and Postgres breaks just when it matters.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use annals_eventstore::{EventStore, Expected, Idempotency, IdempotencyRef, testing::database};
use serde_json::json;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::gapless_log;
use crate::account::{account, append, deposited, metadata, options};

/// What the proxy does to the next message of a committer's connection, once per count.
#[derive(Default)]
struct Cuts {
    /// The request reaches Postgres, its answer does not come back: it happened.
    answers: AtomicUsize,
    /// The request is cut in the middle: it did not happen.
    requests: AtomicUsize,
    done: AtomicUsize,
}

impl Cuts {
    fn take(&self, from: &AtomicUsize) -> bool {
        let taken = from.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if taken {
            self.done.fetch_add(1, Ordering::SeqCst);
        }
        taken
    }
}

/// A proxy in front of Postgres that breaks the committers' connections on demand.
async fn proxy(server: String, cuts: Arc<Cuts>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, cuts) = (server.clone(), cuts.clone());
            tokio::spawn(
                async move { forward(client, TcpStream::connect(server).await.unwrap(), &cuts).await },
            );
        }
    });
    port
}

async fn forward(mut client: TcpStream, mut server: TcpStream, cuts: &Cuts) {
    let (mut up, mut down) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let (mut committer, mut messages) = (false, 0);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(bytes @ 1..) = read else { return };
                committer |= up[..bytes].windows(16).any(|window| window == b"annals committer");
                messages += 1;
                // The first ones open the session and prepare the statement.
                if committer && messages > 4 && cuts.take(&cuts.requests) {
                    drop(server.write_all(&up[..bytes / 2]).await);
                    return;
                }
                if server.write_all(&up[..bytes]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(bytes @ 1..) = read else { return };
                if committer && messages > 4 && cuts.take(&cuts.answers) {
                    return;
                }
                if client.write_all(&down[..bytes]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_found_out_and_nothing_is_sent_twice() {
    let database = database().await;
    let direct = PgConnectOptions::from_str(&database.url).unwrap();
    let cuts = Arc::new(Cuts::default());
    let port = proxy(format!("{}:{}", direct.get_host(), direct.get_port()), cuts.clone()).await;
    let through = direct.port(port).host("127.0.0.1").disable_statement_logging();
    let pool = PgPoolOptions::new().max_connections(5).connect_with(through).await.unwrap();
    let store = EventStore::open(pool, options()).await.unwrap();
    let keyed = |key: usize, with_event: bool| {
        let events = if with_event { vec![deposited(1), deposited(2)] } else { Vec::new() };
        let mut append = append(account(key), Expected::Exact(0), events);
        append.metadata = metadata().with_client("user:1", &crate::account::client());
        append.idempotency = Some(Idempotency {
            reference: IdempotencyRef {
                scope: "test".to_string(),
                key: key.to_string(),
                request_digest: store.digest(b"r"),
            },
            result: json!({"key": key}),
            shown_once: None,
        });
        append
    };
    let mut number = 0;
    for round in 0..12 {
        match round % 3 {
            0 => cuts.answers.store(1, Ordering::SeqCst),
            1 => cuts.requests.store(1, Ordering::SeqCst),
            _ => {}
        }
        let appends: Vec<_> = (0..8)
            .map(|item| {
                number += 1;
                keyed(number, item % 4 != 3)
            })
            .collect();
        let ids: Vec<_> = appends
            .iter()
            .map(|append| append.streams[0].events.last().map(|event| event.event_id))
            .collect();
        let receipts =
            futures::future::join_all(appends.into_iter().map(|append| store.append(append))).await;
        let log = gapless_log(&store).await;
        for (receipt, id) in receipts.into_iter().zip(ids) {
            let receipt = receipt.expect("what was lost on the way is found or sent again");
            if let Some(id) = id {
                assert_eq!(log.get(&id), Some(&receipt.position));
                assert_eq!(receipt.versions[0].1, 2);
            }
        }
    }
    assert_eq!(cuts.done.load(Ordering::SeqCst), 8, "each cut was made");
    let head = store.head().await.unwrap();
    assert_eq!(head, 12 * 6 * 2, "each append is there once");
}
