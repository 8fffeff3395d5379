//! Consumers that nobody here wrote.

use std::process::Command;

use serde_json::Value;

use crate::{
    broker::broker,
    support::{Log, Running},
};

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_own_console_consumer_and_kcat_read_what_the_relay_wrote() {
    let Some((broker, _up)) = broker().await else { return };
    let (log, settings) = (Log::new().await, broker.settings());
    log.seed(50).await;
    let relay = Running::start(&log.store, &settings);
    relay.caught_up(&log.store).await;
    relay.stop().await;
    let topic = settings.topic("first");

    let mut own = broker.part("tool");
    own.arg("org.apache.kafka.tools.consumer.ConsoleConsumer")
        .args(["--bootstrap-server", &broker.address, "--topic", &topic, "--from-beginning"])
        .args(["--max-messages", "25", "--timeout-ms", "20000"])
        .args(["--formatter-property", "print.headers=true"])
        .args(["--formatter-property", "print.key=true"])
        .args(["--command-property", "isolation.level=read_committed"]);
    check(own, "\t");

    // A newer or older librdkafka than ours, as the distribution has it.
    if Command::new("kcat").arg("-V").output().is_ok_and(|asked| asked.status.success()) {
        let mut kcat = Command::new("kcat");
        kcat.args(["-C", "-q", "-e", "-b", &broker.address, "-t", &topic, "-o", "beginning"]).args([
            "-X",
            "isolation.level=read_committed",
            "-f",
            "%h\t%k\t%s\n",
        ]);
        check(kcat, "\t");
    }
}

/// Lines of headers, key and value.
fn check(mut consumer: Command, between: &str) {
    let read = consumer.output().unwrap();
    let (text, complaints) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 25, "{text}{complaints}");
    for line in lines {
        let [headers, key, value] = line.split(between).collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(key.starts_with("thing-"), "{line}");
        let value: Value = serde_json::from_str(value).unwrap();
        assert_eq!(value["type"], "counted");
        for name in ["ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_position"] {
            assert!(headers.contains(name), "{name}: {headers}");
        }
        assert!(headers.contains("first.thing.counted"), "{headers}");
    }
}
