//! Checkpoints where the operator can't take them back.

use std::{path::PathBuf, time::Duration};

use annals_tests::{ObjectStore, Server, Settings, eventually, kafka_brokers};

use crate::support::{connect, signed, two_organizations};

#[tokio::test]
async fn every_checkpoint_is_appended_to_the_file_and_verifies_from_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("checkpoints");
    let mut server =
        Server::start_with(Settings::default().variable("ANNALS_NOTARY_PUBLISH_FILE", file.display())).await;
    let (ada, _) = two_organizations(&server).await;
    let first = signed(&ada).await;
    let has = async |note: &str| {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains(note).then_some(text)
    };
    eventually("the first is there", Duration::from_secs(20), || has(&first)).await;
    server.restart().await;
    connect(&ada.api, "later").await;
    let second = signed(&ada).await;
    let text = eventually("the second is there", Duration::from_secs(20), || has(&second)).await;
    assert_eq!(text.matches(&first).count(), 1, "{text}");
    let out: PathBuf = folder.path().join("log.ndjson");
    let annals = |arguments: &[&str]| {
        let mut command = server.command();
        command.arg("audit").args(arguments);
        command
    };
    let exported = annals(&["export", "--data"]).arg(server.data()).arg("--out").arg(&out).output();
    assert!(exported.expect("annals runs").status.success());
    let verified =
        annals(&["verify"]).arg(&out).arg("--checkpoint").arg(&file).output().expect("annals runs");
    let text = String::from_utf8_lossy(&verified.stdout);
    assert_eq!(verified.status.code(), Some(0), "{text}");
    let size = first.lines().nth(1).expect("a size");
    assert!(
        text.contains(&format!("positions 1 to {size} have the root of the checkpoint that you kept")),
        "{text}"
    );
}

#[tokio::test]
async fn every_checkpoint_is_put_into_a_bucket_and_none_is_written_over() {
    let Some(store) =
        ObjectStore::start("every_checkpoint_is_put_into_a_bucket_and_none_is_written_over", "checkpoints")
    else {
        return;
    };
    let settings = store.variables().iter().fold(
        Settings::default().variable("ANNALS_NOTARY_PUBLISH_URL", "s3://checkpoints/annals"),
        |settings, (name, value)| settings.variable(name, value),
    );
    let server = Server::start_with(settings).await;
    let (ada, _) = two_organizations(&server).await;
    let one = connect(&ada.api, "one").await.position();
    let events_of_a_connect = connect(&ada.api, "another").await.position() - one;
    let note = signed(&ada).await;
    let object = |size: u64| store.folder().join(format!("checkpoints/annals/{size:020}.checkpoint"));
    let size: u64 = note.lines().nth(1).and_then(|size| size.parse().ok()).expect("a size");
    let there = async |size: u64| std::fs::read_to_string(object(size)).ok();
    let put = eventually("the object is there", Duration::from_secs(30), || there(size)).await;
    assert_eq!(put, note);
    // What somebody else put there first stays, and it is said that it is another one.
    let next = size + events_of_a_connect;
    std::fs::write(object(next), "another past").expect("writes");
    connect(&ada.api, "later").await;
    signed(&ada).await;
    let told = async || server.log().contains("is another checkpoint").then_some(());
    eventually("it is told", Duration::from_secs(30), told).await;
    assert_eq!(there(next).await.as_deref(), Some("another past"));
}

#[tokio::test]
async fn every_checkpoint_goes_into_a_topic_of_a_real_cluster() {
    let Some(brokers) = kafka_brokers("every_checkpoint_goes_into_a_topic_of_a_real_cluster") else { return };
    let prefix = format!("audit-{}", uuid::Uuid::now_v7().simple());
    let settings =
        Settings::default().variable("KAFKA_BROKERS", brokers).variable("ANNALS_KAFKA_TOPIC_PREFIX", &prefix);
    let server = Server::start_with(settings).await;
    let (ada, _) = two_organizations(&server).await;
    let note = signed(&ada).await;
    let size = note.lines().nth(1).expect("a size").to_string();
    // The gauge moves only once all in-sync replicas have confirmed the record.
    let place = format!("annals_checkpoint_published_size{{place=\"kafka {prefix}.checkpoints\"}} {size}\n");
    let confirmed = async || server.api().get("/metrics").await.text.contains(&place).then_some(());
    eventually("the cluster has confirmed it", Duration::from_secs(60), confirmed).await;
}
