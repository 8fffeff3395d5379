//! The broker, and consumers that look at it from outside.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Command,
    sync::LazyLock,
    time::{Duration, Instant},
};

use annals_projections::relay::KafkaSettings;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::Headers,
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use uuid::Uuid;

const VARIABLE: &str = "ANNALS_TEST_KAFKA_BROKERS";
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Who takes the broker down does so alone.
static UP: LazyLock<RwLock<()>> = LazyLock::new(RwLock::default);

/// The broker of the test run.
pub(crate) struct Broker {
    pub(crate) address: String,
}

/// What a consumer got.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) value: String,
    pub(crate) timestamp_ms: i64,
}

impl Record {
    pub(crate) fn position(&self) -> u64 {
        self.headers["ce_position"].parse().unwrap()
    }
}

/// The broker to test against, up for as long as the guard lives. Without one: a failure in CI, a
/// named skip elsewhere.
pub(crate) async fn broker() -> Option<(Broker, RwLockReadGuard<'static, ()>)> {
    let broker = find()?;
    Some((broker, UP.read().await))
}

/// The same, for a test that takes it down; `None` too if it was not started by `scripts/parts/kafka`.
pub(crate) async fn broker_to_crash() -> Option<(Broker, RwLockWriteGuard<'static, ()>)> {
    let broker = find()?;
    let up = UP.write().await;
    if !broker.part("status").output().unwrap().status.success() {
        skipped("a broker of scripts/parts/kafka");
        return None;
    }
    Some((broker, up))
}

fn find() -> Option<Broker> {
    match std::env::var(VARIABLE).ok().filter(|address| !address.is_empty()) {
        Some(address) => Some(Broker { address }),
        None if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("{VARIABLE} is unset: set it to what `scripts/parts/kafka start` prints")
        }
        None => {
            skipped("kafka");
            None
        }
    }
}

/// What a passing test prints is not shown: `scripts/test` counts this list.
fn skipped(what: &str) {
    use std::io::Write as _;
    let Some(path) = std::env::var_os("ANNALS_TEST_SKIPS") else { return };
    let thread = std::thread::current();
    let mut list = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(list, "{} ({what} is missing)", thread.name().unwrap_or("a test")).unwrap();
}

impl Broker {
    /// A prefix that nobody has used.
    pub(crate) fn settings(&self) -> KafkaSettings {
        KafkaSettings {
            prefix: format!("test-{}", Uuid::now_v7().simple()),
            partitions: 3,
            ..KafkaSettings::new(vec![self.address.clone()])
        }
    }

    pub(crate) fn part(&self, what: &str) -> Command {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/parts/kafka");
        let port = self.address.rsplit_once(':').unwrap().1;
        let mut command = Command::new(script);
        command.arg(what).env("KAFKA_PORT", port);
        command
    }

    /// Ends it as a power cut would.
    pub(crate) fn crash(&self) {
        assert!(self.part("crash").status().unwrap().success());
    }

    pub(crate) fn start(&self) {
        let started = self.part("start").output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    fn consumer(&self, isolation: &str) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("group.id", format!("test-{}", Uuid::now_v7()))
            .set("isolation.level", isolation)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "50")
            .create()
            .unwrap()
    }

    /// Every record of a topic up to its end, in the order of each partition. Blocks.
    pub(crate) fn records(&self, topic: &str, isolation: &str) -> Vec<Record> {
        let consumer = self.consumer(isolation);
        let mut waiting = self.partitions(topic);
        let mut assignment = TopicPartitionList::new();
        for partition in 0..waiting {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut records = Vec::new();
        while waiting > 0 {
            assert!(Instant::now() < deadline, "{topic} was not read to its end");
            match consumer.poll(Duration::from_millis(200)) {
                None => {}
                Some(Ok(record)) => records.push(Record::of(&record)),
                Some(Err(KafkaError::PartitionEOF(_))) => waiting -= 1,
                Some(Err(error)) => panic!("{topic} can't be read: {error}"),
            }
        }
        records
    }

    /// What a consumer sees that reads committed records only.
    pub(crate) fn committed(&self, topic: &str) -> Vec<Record> {
        self.records(topic, "read_committed")
    }

    pub(crate) fn partitions(&self, topic: &str) -> i32 {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let consumer = self.consumer("read_committed");
        loop {
            let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN).unwrap();
            let found = metadata.topics().first().filter(|topic| topic.error().is_none());
            if let Some(found) = found {
                return i32::try_from(found.partitions().len()).unwrap();
            }
            assert!(Instant::now() < deadline, "there is no topic {topic}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// The ends of a topic that everyone sees, and that readers of committed records see: summed
    /// over its partitions. They differ while a transaction is open.
    pub(crate) fn ends(&self, topic: &str) -> (i64, i64) {
        let sum = |isolation| {
            let consumer = self.consumer(isolation);
            let end = |partition| consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN).unwrap().1;
            (0..self.partitions(topic)).map(end).sum::<i64>()
        };
        // In this order: what is committed in between is not taken for open.
        let all = sum("read_uncommitted");
        (all, sum("read_committed"))
    }

    /// Whether a transaction is open in a topic.
    pub(crate) fn is_open(&self, topic: &str) -> bool {
        let (all, stable) = self.ends(topic);
        stable < all
    }
}

impl Record {
    fn of(record: &impl Message) -> Self {
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let headers = record
            .headers()
            .map(|headers| {
                headers.iter().map(|header| (header.key.to_string(), text(header.value))).collect()
            })
            .unwrap_or_default();
        Self {
            partition: record.partition(),
            key: text(record.key()),
            headers,
            value: text(record.payload()),
            timestamp_ms: record.timestamp().to_millis().unwrap(),
        }
    }
}
