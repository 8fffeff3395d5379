//! `kill -9` of a relaying process, again and again.

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use annals_projections::relay::KafkaSettings;
use rand::Rng;

use crate::{
    broker::broker,
    support::{CONTEXTS, Log, Running, assert_exactly_once, open},
};

const URL: &str = "ANNALS_TEST_RELAY_URL";
const PREFIX: &str = "ANNALS_TEST_RELAY_PREFIX";
const KILLS: usize = 16;
const IN_MID_TRANSACTION_MIN: usize = 8;

/// Not a test of its own: the process that tests start and kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the relaying process of other tests"]
async fn relay_until_killed() {
    let (Ok(url), Ok(prefix)) = (std::env::var(URL), std::env::var(PREFIX)) else { return };
    let address = std::env::var("ANNALS_TEST_KAFKA_BROKERS").unwrap();
    let settings = KafkaSettings { prefix, partitions: 3, ..KafkaSettings::new(vec![address]) };
    let store = open(&url).await;
    let _relay = Running::start(&store, &settings);
    std::future::pending::<()>().await;
}

/// The process above, relaying this log.
pub(crate) fn spawn(log: &Log, settings: &KafkaSettings) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kills::relay_until_killed", "--exact", "--ignored", "--nocapture"])
        .env(URL, &log.database.url)
        .env(PREFIX, &settings.prefix)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_in_mid_transaction_again_and_again_sends_every_event_once() {
    let Some((broker, _up)) = broker().await else { return };
    let (log, settings) = (Arc::new(Log::new().await), broker.settings());
    log.seed(120_000).await;
    let writer = log.write();
    let topics = CONTEXTS.map(|context| settings.topic(context));
    let (mut hit, mut missed) = (0, 0);
    for round in 0..KILLS {
        let mut relay = spawn(&log, &settings);
        let started = Instant::now();
        let mut open_before = round == 0;
        // What the last one left open is taken back first; then this one's own transaction is waited for.
        while started.elapsed() < Duration::from_secs(20) {
            let is_open = topics.iter().any(|topic| broker.is_open(topic));
            if is_open && open_before {
                break;
            }
            open_before |= !is_open;
            std::thread::park_timeout(Duration::from_millis(5));
        }
        if rand::rng().random_bool(0.4) {
            let pause = Duration::from_millis(rand::rng().random_range(1..900));
            tokio::time::sleep(pause).await;
        }
        relay.kill().unwrap();
        relay.wait().unwrap();
        // Records that nobody may see yet, of a process that is no more: it died within a transaction.
        match topics.iter().any(|topic| broker.is_open(topic)) {
            true => hit += 1,
            false => missed += 1,
        }
    }
    writer.stop().await;
    let relay = Running::start(&log.store, &settings);
    relay.caught_up(&log.store).await;
    relay.stop().await;

    let head = log.store.head().await.unwrap();
    let committed = assert_exactly_once(&broker, &settings.prefix, 1, head);
    assert_eq!(committed as u64, head);
    let written: usize = topics.iter().map(|topic| broker.records(topic, "read_uncommitted").len()).sum();
    assert!(
        hit >= IN_MID_TRANSACTION_MIN,
        "{hit} of {KILLS} kills fell into a transaction, {missed} did not"
    );
    assert!(written > committed, "transactions were taken back: {written} records were written");
    report(&format!(
        "{KILLS} kills, {hit} of them in mid-transaction; {committed} events once each, {} records taken back",
        written - committed
    ));
}

/// Shown with `--nocapture`.
#[expect(clippy::print_stderr, reason = "the figures of a test")]
fn report(text: &str) {
    eprintln!("{text}");
}
