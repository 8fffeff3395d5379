//! The relay benchmark: the log into Kafka, beside Kafka's own `ProducerPerformance`.
//!
//! Both send the same number of records of the same size, with `acks=all`, to the same broker, into
//! topics of the same partitions, in turns. The relay's records come out of Postgres, have headers
//! and go in transactions; the tool's are one random text over and over, in no transaction.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use annals_eventstore::{
    Actor, ActorKind, Append, ClientInfo, EventStore, Expected, Metadata, NewEvent, Source, StoreOptions,
    StreamAppend, StreamId,
    testing::{PrivatePostgres, master_key},
};
use annals_projections::relay::{self, Compression, KafkaSettings, RelayState};
use anyhow::{Context, bail};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::append;

/// Events of one append while the log is filled.
const SEED_EVENTS: u64 = 1_000;
/// Posts that the events are spread over.
const KEYS: u64 = 50_000;
/// Records that a record's mean size is measured on.
const MEASURED: usize = 1_000;
const RUN_MAX: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Events in the log, and records of each run.
    #[arg(long, default_value_t = 500_000)]
    events: u64,
    /// Runs of each; the one with the middle rate counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Compression of both.
    #[arg(long, default_value = "none")]
    compression: String,
    /// Of each topic.
    #[arg(long, default_value_t = 6)]
    partitions: u16,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let brokers = std::env::var("ANNALS_BENCH_KAFKA_BROKERS")
        .context("ANNALS_BENCH_KAFKA_BROKERS is not set: scripts/bench relay starts a broker")?;
    let compression = match options.compression.as_str() {
        "none" => Compression::None,
        "lz4" => Compression::Lz4,
        other => bail!("--compression is none or lz4, not {other}"),
    };
    let postgres = PrivatePostgres::start_with(&append::SETTINGS).await;
    let url = append::database(&postgres, "relay").await?;
    let pool = PgPoolOptions::new().max_connections(8).connect(&url).await?;
    let store = EventStore::open(pool, StoreOptions::new(master_key())).await?;
    seed(&store, options.events).await?;
    let settings = |round: usize| KafkaSettings {
        prefix: format!("bench-{}-{round}", Uuid::now_v7().simple()),
        partitions: options.partitions,
        compression,
        ..KafkaSettings::new(vec![brokers.clone()])
    };

    let first = settings(0);
    let warm = relay_all(&store, &first, options.events).await?;
    let topic = first.topic("publishing");
    let bytes = tokio::task::spawn_blocking({
        let brokers = brokers.clone();
        move || mean_bytes(&brokers, &topic)
    })
    .await??;
    println!(
        "relay: {} events, {bytes} bytes a record (key, headers, payload), {} partitions, compression {}, acks=all; \
         middle of {} runs, in turns; {} cores",
        options.events,
        options.partitions,
        options.compression,
        options.rounds,
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    println!("  (first run, not counted: {warm:.0} events/s)");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let settings = settings(round);
        ours.push(relay_all(&store, &settings, options.events).await?);
        theirs.push(performance(&brokers, &settings, &options, bytes)?);
    }
    println!("  relay                {}", rates(&ours, bytes));
    println!("  ProducerPerformance  {}", rates(&theirs, bytes));
    store.close().await;
    println!("relay ratio={:.2}", middle(ours) / middle(theirs));
    Ok(())
}

/// Relays the whole log under a fresh prefix; events a second, from the first read to the last commit.
async fn relay_all(store: &EventStore, settings: &KafkaSettings, events: u64) -> anyhow::Result<f64> {
    let stop = CancellationToken::new();
    let relay = relay::start(store.clone(), settings.clone(), stop.clone());
    let mut state = relay.state();
    let timed = async {
        state.wait_for(|state| matches!(state, RelayState::Running { .. })).await?;
        let started = Instant::now();
        let done =
            |state: &RelayState| matches!(state, RelayState::Running { position, .. } if *position >= events);
        state.wait_for(done).await?;
        anyhow::Ok(events as f64 / started.elapsed().as_secs_f64())
    };
    let rate = tokio::time::timeout(RUN_MAX, timed).await.context("the relay did not get through")??;
    stop.cancel();
    relay.stopped().await;
    Ok(rate)
}

/// Kafka's own tool, as it is shipped: its defaults but for `acks=all` and the compression.
fn performance(
    brokers: &str,
    settings: &KafkaSettings,
    options: &Options,
    bytes: usize,
) -> anyhow::Result<f64> {
    let topic = settings.topic("performance");
    let made = part()
        .args(["tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", brokers, "--create"])
        .args(["--topic", &topic, "--partitions", &options.partitions.to_string()])
        .output()?;
    anyhow::ensure!(made.status.success(), "the topic: {}", String::from_utf8_lossy(&made.stderr));
    let ran = part()
        .args(["tool", "org.apache.kafka.tools.ProducerPerformance", "--topic", &topic])
        .args(["--num-records", &options.events.to_string(), "--record-size", &bytes.to_string()])
        .args(["--throughput", "-1", "--command-property", &format!("bootstrap.servers={brokers}")])
        .args(["acks=all", &format!("compression.type={}", options.compression)])
        .output()?;
    let text = String::from_utf8_lossy(&ran.stdout);
    // "500000 records sent, 187125.7 records/sec (107.07 MB/sec), 240.91 ms avg latency, …"
    let last = text.lines().rfind(|line| line.contains("records sent") && line.contains("50th"));
    let rate = last.and_then(|line| line.split(", ").nth(1)?.split(' ').next()?.parse().ok());
    rate.with_context(|| format!("ProducerPerformance said {text}{}", String::from_utf8_lossy(&ran.stderr)))
}

fn part() -> Command {
    Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/parts/kafka"))
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

fn rates(rates: &[f64], bytes: usize) -> String {
    let each: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    let middle = middle(rates.to_vec());
    format!(
        "{middle:>9.0} events/s   {:>6.1} MB/s   (runs: {})",
        middle * bytes as f64 / 1e6,
        each.join(", ")
    )
}

/// What a record takes without compression: key, payload and headers.
fn mean_bytes(brokers: &str, topic: &str) -> anyhow::Result<usize> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "annals-bench")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    let mut bytes = 0;
    for _ in 0..MEASURED {
        let record = consumer.poll(Duration::from_secs(20)).context("there are too few records")??;
        let headers = record.headers().map_or(0, |headers| {
            headers.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum::<usize>()
        });
        bytes += record.key().map_or(0, <[u8]>::len) + record.payload().map_or(0, <[u8]>::len) + headers;
    }
    Ok(bytes / MEASURED)
}

/// Fills the log as commands would, in large appends.
async fn seed(store: &EventStore, events: u64) -> anyhow::Result<()> {
    let mut position = 0;
    while position < events {
        let count = SEED_EVENTS.min(events - position);
        let mut streams = BTreeMap::<StreamId, Vec<NewEvent>>::new();
        for nth in 0..count {
            let id = Uuid::from_u128(
                0x0198_c0de_0000_7000_8000_0000_0000_0000 + u128::from((position + nth) % KEYS),
            );
            streams.entry(StreamId::new(append::AGGREGATE_TYPE, id)).or_default().push(NewEvent {
                event_id: Uuid::now_v7(),
                event_type: append::EVENT_TYPE.to_string(),
                event_version: "1".to_string(),
                payload: append::payload(&id.to_string()),
            });
        }
        let mut append = Append::new(metadata());
        append.streams = streams
            .into_iter()
            .map(|(stream, events)| StreamAppend { stream, expected: Expected::Any, events })
            .collect();
        store.append(append).await?;
        position += count;
    }
    Ok(())
}

fn metadata() -> Metadata {
    let person = "user:0198c0de-0000-7000-8000-000000000001";
    let client = ClientInfo {
        ip: Some("192.0.2.7".to_string()),
        user_agent: Some("Mozilla/5.0 (X11; Linux)".to_string()),
    };
    Metadata {
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        command: "SchedulePost".into(),
        actor: Actor { kind: ActorKind::User, id: Some("0198c0de-0000-7000-8000-000000000001".to_string()) },
        organization_id: Some(Uuid::from_u128(0x0198_c0de)),
        source: Source::Web,
        request_id: Some(Uuid::now_v7().to_string()),
        trace_parent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_string()),
        client: None,
    }
    .with_client(person, &client)
}
