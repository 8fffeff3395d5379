//! The program with Kafka: what a consumer finds, what the command line says, what the schemas promise.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use annals_tests::{Server, Settings, eventually, kafka};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::Headers,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// A record's headers and payload.
type Record = (Vec<(String, String)>, Value);

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_found_in_kafka_as_its_schema_says_and_nothing_personal_is() {
    let Some(brokers) = kafka("relay") else { return };
    let prefix = format!("acceptance-{}", uuid::Uuid::now_v7().simple());
    let settings = Settings::default()
        .variable("KAFKA_BROKERS", &brokers)
        .variable("ANNALS_KAFKA_TOPIC_PREFIX", &prefix)
        .variable("ANNALS_KAFKA_PARTITIONS", 2);
    let server = Server::start_with(settings).await;
    let ada = server.api().register("Ada").await;
    let status = eventually("the relay catches up", PATIENCE, || async {
        let status: Value = serde_json::from_str(&run(&server, &["relay", "status", "--json"])).ok()?;
        (status["lag"] == 0 && status["checkpoint"]["position"].as_u64() > Some(0)).then_some(status)
    })
    .await;
    assert_eq!(status["running"], true);
    assert_eq!(status["head"], status["checkpoint"]["position"]);

    let records = consume(&brokers, &format!("{prefix}.identity"), 2);
    assert!(records.len() >= 3, "a user, an organization, a session: {records:?}");
    let text = format!("{records:?}");
    assert!(
        !text.contains(&ada.email) && !text.contains("$personal") && !text.contains("127.0.0.1\""),
        "{text}"
    );
    for (headers, payload) in &records {
        let header = |name: &str| {
            let found = headers.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap_or_else(|| panic!("{name}: {headers:?}"))
        };
        // The address that the record itself names, served by the program.
        let address = header("ce_dataschema");
        let schema: Value = reqwest_get(&address).await;
        let validator = jsonschema::validator_for(&schema).expect("is a schema");
        let wrong: Vec<String> = validator.iter_errors(payload).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", header("ce_type"));
        assert!(header("ce_type").starts_with("identity."));
    }
    let metrics = reqwest_text(&format!("{}/metrics", server.url())).await;
    for name in [
        "annals_relay_position",
        "annals_relay_lag_events 0",
        "annals_relay_lag_seconds 0",
        "annals_relay_events_total",
        "annals_relay_leads 1",
    ] {
        assert!(metrics.contains(name), "{name}:\n{metrics}");
    }

    let copy = format!("{prefix}-copy");
    let said = run(&server, &["relay", "backfill", "--prefix", &copy, "--from", "2"]);
    let head = status["head"].as_u64().expect("a number");
    assert!(said.contains(&format!("{} events copied to {copy}.*", head - 1)), "{said}");
    let said = run(&server, &["relay", "backfill", "--prefix", &copy]);
    assert!(said.contains("0 events copied"), "{said}");
    let said = run(&server, &["relay", "status", "--prefix", &copy]);
    assert!(said.contains(&format!("position   {head}")) && said.contains("no node relays"), "{said}");
    let refused = command(&server, &["relay", "backfill", "--prefix", &prefix]).output().expect("runs");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("prefix of the live relay"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_beside_a_running_relay_stands_still_says_what_to_do_and_fences_nobody() {
    let Some(brokers) = kafka("a_restore_beside_a_running_relay") else { return };
    let prefix = format!("acceptance-{}", uuid::Uuid::now_v7().simple());
    let settings = Settings::default()
        .variable("KAFKA_BROKERS", &brokers)
        .variable("ANNALS_KAFKA_TOPIC_PREFIX", &prefix)
        .variable("ANNALS_KAFKA_PARTITIONS", 1);
    let server = Server::start_with(settings.clone()).await;
    server.api().register("Ada").await;
    let kept = tempfile::tempdir().expect("a temporary folder");
    let backup = kept.path().join("backup").display().to_string();
    run(&server, &["backup", "--out", &backup]);
    server.api().register("Bob").await;
    let relayed = caught_up(&server).await;

    // Its checkpoint is past the restored head.
    let mut restored = Server::start_with(settings).await;
    assert!(restored.stop().await);
    run(&restored, &["restore", "--from", &backup]);
    restored.restart().await;
    let explanation = eventually("the restored relay stands still", PATIENCE, || async {
        let status: Value = serde_json::from_str(&run(&restored, &["relay", "status", "--json"])).ok()?;
        let log = restored.log();
        let told = log.rsplit("the node runs").next()?.contains("the relay stands still");
        told.then(|| status["problem"].as_str().map(str::to_string)).flatten()
    })
    .await;
    assert!(explanation.contains(&format!("up to position {relayed}")), "{explanation}");
    assert!(explanation.contains("kafka.topic_prefix") && explanation.contains("delete"), "{explanation}");
    let said = run(&restored, &["relay", "status"]);
    assert!(said.contains("STANDS STILL") && !said.contains("lag "), "{said}");
    let metrics = reqwest_text(&format!("{}/metrics", restored.url())).await;
    assert!(metrics.contains("annals_relay_halted 1"), "{metrics}");

    // The log that Kafka has goes on as if there were no other.
    server.api().register("Cleo").await;
    let all = caught_up(&server).await;
    assert!(all > relayed && !server.log().contains("fenced"), "{}", server.log());
    let position = |(headers, _): Record| headers.into_iter().find(|(name, _)| name == "ce_position");
    // Those of registering, and of the mail about it, which may go on after that.
    let topics = ["identity", "engagement"].map(|context| format!("{prefix}.{context}"));
    let records = topics.iter().flat_map(|topic| consume(&brokers, topic, 1)).filter_map(position);
    let mut seen: Vec<u64> = records.map(|(_, text)| text.parse().expect("a number")).collect();
    seen.retain(|position| *position <= all);
    seen.sort_unstable();
    assert_eq!(seen, (1..=all).collect::<Vec<_>>(), "each event once, none of the restored log");
}

/// The position up to which Kafka has everything.
async fn caught_up(server: &Server) -> u64 {
    eventually("the relay catches up", PATIENCE, || async {
        let status: Value = serde_json::from_str(&run(server, &["relay", "status", "--json"])).ok()?;
        status["checkpoint"]["position"].as_u64().filter(|position| status["head"] == *position)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_the_relay_says_that_it_is_off_and_the_schemas_are_there() {
    let server = Server::start().await;
    assert!(server.log().contains("KAFKA_BROKERS"), "{}", server.log());
    let said = run(&server, &["relay", "status"]);
    assert!(said.contains("the relay is off") && said.contains("KAFKA_BROKERS"), "{said}");
    assert_eq!(run(&server, &["relay", "status", "--json"]).trim(), "{\"enabled\":false}");

    let list = reqwest_get(&format!("{}/api/v1/schemas", server.url())).await;
    let scheduled = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["type"] == "publishing.post.scheduled");
    let scheduled = scheduled.expect("is there");
    assert_eq!(scheduled["topic"], "annals.publishing");
    let href = scheduled["href"].as_str().expect("a path");
    let schema = reqwest_get(&format!("{}{href}", server.url())).await;
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let document = reqwest_get(&format!("{}/api/v1/asyncapi.json", server.url())).await;
    assert_eq!(document["channels"]["publishing"]["address"], "annals.publishing");
    assert_eq!(run(&server, &["schemas"]).trim().chars().next(), Some('{'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_does_not_answer_keeps_nobody_from_working_and_the_log_says_so() {
    let settings =
        Settings::default().variable("KAFKA_BROKERS", format!("127.0.0.1:{}", annals_tests::free_port()));
    let server = Server::start_with(settings).await;
    server.api().register("Ada").await;
    assert!(server.log().contains("Kafka can't be reached"), "{}", server.log());
}

fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = server.command();
    command.args(arguments).arg("--data").arg(server.data());
    if arguments == ["schemas"] {
        command = server.command();
        command.args(arguments);
    }
    command
}

fn run(server: &Server, arguments: &[&str]) -> String {
    let ran = command(server, arguments).output().expect("annals runs");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("prints text")
}

async fn reqwest_text(address: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client needs nothing");
    let answer = client.get(address).send().await.expect("answers");
    assert!(answer.status().is_success(), "{address}: {}", answer.status());
    answer.text().await.expect("has a text")
}

async fn reqwest_get(address: &str) -> Value {
    serde_json::from_str(&reqwest_text(address).await).expect("is JSON")
}

/// Every committed record of a topic.
fn consume(brokers: &str, topic: &str, partitions: i32) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "annals-acceptance")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer needs nothing");
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&assignment).expect("is assigned");
    let deadline = Instant::now() + PATIENCE;
    let (mut left, mut records) = (partitions, Vec::new());
    while left > 0 {
        assert!(Instant::now() < deadline, "{topic} was not read to its end");
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(record)) => {
                let text =
                    |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
                let headers = record.headers().map_or_else(Vec::new, |headers| {
                    headers.iter().map(|header| (header.key.to_string(), text(header.value))).collect()
                });
                records.push((headers, serde_json::from_str(&text(record.payload())).expect("is JSON")));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
            Some(Err(error)) => panic!("{topic}: {error}"),
        }
    }
    records
}
