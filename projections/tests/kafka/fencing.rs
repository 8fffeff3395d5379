//! Two relays of one prefix: Kafka lets only the newer one write.

use std::time::Duration;

use annals_projections::relay::RelayState;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, Executor, PgConnection};

use crate::{
    broker::broker,
    kills::spawn,
    support::{CONTEXTS, Log, Running, assert_exactly_once, open},
};

/// The nodes' lock is out of the picture: each has a copy of the log in a database of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_relay_fences_the_first_which_says_so_and_writes_no_more() {
    let Some((broker, _up)) = broker().await else { return };
    let (log, settings) = (Log::new().await, broker.settings());
    log.seed(2_000).await;
    // Made first: it cuts the log's connections.
    let copy = Copy::of(&log).await;
    let copied = open(&copy.url).await;
    let first = Running::start(&log.store, &settings);
    first.caught_up(&log.store).await;
    let second = Running::start(&copied, &settings);
    second.until("the second to run", |state| matches!(state, RelayState::Running { epoch: 2, .. })).await;

    // Only the first one's log goes on: what it may not write is missing in Kafka.
    log.seed(300).await;
    let halted = first.until("the first to halt", |state| matches!(state, RelayState::Halted { .. })).await;
    let RelayState::Halted { why } = halted else { panic!("{halted:?}") };
    assert!(why.contains("taken over") && why.contains("fenced"), "{why}");
    assert_eq!(assert_exactly_once(&broker, &settings.prefix, 1, 2_000), 2_000);
    second.stop().await;
    first.stop().await;
    copied.close().await;
    copied.pool().close().await;
    copy.drop().await;
}

/// The worst case: the older one sleeps in mid-transaction, and wakes up when the newer one is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_slept_in_mid_transaction_can_not_commit_it_after_another_took_over() {
    let Some((broker, _up)) = broker().await else { return };
    let (log, settings) = (Log::new().await, broker.settings());
    log.seed(60_000).await;
    let copy = Copy::of(&log).await;
    let copied = open(&copy.url).await;
    let topics = CONTEXTS.map(|context| settings.topic(context));
    let mut sleeper = spawn(&log, &settings);
    while !topics.iter().any(|topic| broker.is_open(topic)) {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let pid = Pid::from_child(&sleeper);
    kill_process(pid, Signal::STOP).unwrap();
    assert!(topics.iter().any(|topic| broker.is_open(topic)), "it sleeps within a transaction");
    let second = Running::start(&copied, &settings);
    second.caught_up(&copied).await;
    kill_process(pid, Signal::CONT).unwrap();
    // Long enough for it to find out; what it does until then must not show.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(assert_exactly_once(&broker, &settings.prefix, 1, 60_000), 60_000);
    second.stop().await;
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    copied.close().await;
    copied.pool().close().await;
    copy.drop().await;
}

/// A copy of a log's database.
struct Copy {
    url: String,
    name: String,
}

impl Copy {
    /// Cuts the connections of the database that is copied; pools and followers open new ones.
    async fn of(log: &Log) -> Self {
        let (_, template) = log.database.url.rsplit_once('/').unwrap();
        let template = template.split('?').next().unwrap();
        let name = format!("{template}_copy");
        let mut admin =
            PgConnection::connect(&std::env::var("ANNALS_TEST_DATABASE_URL").unwrap()).await.unwrap();
        admin.execute(format!("ALTER DATABASE {template} ALLOW_CONNECTIONS false").as_str()).await.unwrap();
        admin
            .execute(
                format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'"
                )
                .as_str(),
            )
            .await
            .unwrap();
        loop {
            let made = admin.execute(format!("CREATE DATABASE {name} TEMPLATE {template}").as_str()).await;
            if made.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        admin.execute(format!("ALTER DATABASE {template} ALLOW_CONNECTIONS true").as_str()).await.unwrap();
        admin.close().await.unwrap();
        let url = log.database.url.replace(template, &name);
        Self { url, name }
    }

    async fn drop(self) {
        let mut admin =
            PgConnection::connect(&std::env::var("ANNALS_TEST_DATABASE_URL").unwrap()).await.unwrap();
        admin.execute(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name).as_str()).await.unwrap();
    }
}
