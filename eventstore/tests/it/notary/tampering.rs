//! Every kind of change that someone with the database in their hands can make, found and located.

use annals_eventstore::{
    notary::{Check, Finding, KeyChange, NotaryError},
    testing::{self, TestDatabase},
};

use super::{deposits, notary, tamper};
use crate::account::open;

/// 300 events, noted and signed; then changed by the statement, and checked.
async fn check_after(sql: &str) -> (TestDatabase, Check) {
    let database = testing::database().await;
    let store = open(&database).await;
    deposits(&store, "a", 300).await;
    let notary = notary(&database);
    notary.checkpoint_now(KeyChange::Refused).await.unwrap();
    assert!(notary.check(|_, _| {}).await.unwrap().is_sound(), "before it");
    store.close().await;
    tamper(&database, sql).await;
    let check = notary.check(|_, _| {}).await.unwrap();
    assert!(!check.is_sound());
    (database, check)
}

#[tokio::test]
async fn a_changed_payload_is_found_at_its_position() {
    let (_database, check) = check_after(
        "UPDATE events SET payload = replace(payload::text, '17', '18')::json WHERE position = 17",
    )
    .await;
    assert!(matches!(&check.findings[..], [Finding::Changed { position: 17, .. }]), "{:?}", check.findings);
    assert!(check.findings[0].to_string().contains("test.account/a-3"), "{}", check.findings[0]);
}

/// Not even a space goes unnoticed: the bytes are hashed, not their meaning.
#[tokio::test]
async fn a_payload_that_means_the_same_in_other_bytes_is_found() {
    let (_database, check) =
        check_after("UPDATE events SET payload = (payload::text || ' ')::json WHERE position = 300").await;
    assert!(matches!(&check.findings[..], [Finding::Changed { position: 300, .. }]), "{:?}", check.findings);
}

#[tokio::test]
async fn changed_metadata_is_found_at_its_position() {
    let (_database, check) = check_after(
        r#"UPDATE events SET metadata = replace(metadata::text, '"id":"1"', '"id":"2"')::json WHERE position = 256"#,
    )
    .await;
    assert!(matches!(&check.findings[..], [Finding::Changed { position: 256, .. }]), "{:?}", check.findings);
}

#[tokio::test]
async fn a_changed_time_is_found_at_its_position_down_to_a_microsecond() {
    let (_database, check) = check_after(
        "UPDATE events SET recorded_at = recorded_at + interval '1 microsecond' WHERE position = 257",
    )
    .await;
    assert!(matches!(&check.findings[..], [Finding::Changed { position: 257, .. }]), "{:?}", check.findings);
}

#[tokio::test]
async fn every_other_column_is_found_too() {
    for (column, value) in [
        ("event_id", "gen_random_uuid()"),
        ("aggregate_type", "'test.other'"),
        ("aggregate_id", "'other'"),
        ("sequence", "77"),
        ("event_type", "'test.account.opened'"),
        ("event_version", "'2'"),
    ] {
        let (_database, check) =
            check_after(&format!("UPDATE events SET {column} = {value} WHERE position = 4")).await;
        assert!(
            matches!(&check.findings[..], [Finding::Changed { position: 4, .. }]),
            "{column}: {:?}",
            check.findings
        );
    }
}

#[tokio::test]
async fn a_changed_order_is_found_and_said_to_be_that() {
    let (_database, check) = check_after(
        "UPDATE events SET position = 1000 + position WHERE position IN (20, 200);
         UPDATE events SET position = 1220 - position WHERE position > 1000",
    )
    .await;
    let [Finding::Moved { from: 200, to: 20, .. }, Finding::Moved { from: 20, to: 200, .. }] =
        &check.findings[..]
    else {
        panic!("{:?}", check.findings)
    };
}

#[tokio::test]
async fn a_deletion_is_found_at_its_position() {
    let (_database, check) = check_after("DELETE FROM events WHERE position = 128").await;
    assert_eq!(check.findings, [Finding::Removed { position: 128 }]);
}

#[tokio::test]
async fn a_deletion_that_was_closed_up_is_found_at_its_position() {
    let (_database, check) = check_after(
        "DELETE FROM events WHERE position = 298;
         UPDATE events SET position = position - 1 WHERE position > 298; UPDATE log_head SET position = 299",
    )
    .await;
    let [
        Finding::Removed { position: 298 },
        Finding::Moved { from: 299, to: 298, .. },
        Finding::Moved { from: 300, to: 299, .. },
    ] = &check.findings[..]
    else {
        panic!("{:?}", check.findings)
    };
}

#[tokio::test]
async fn an_insertion_in_between_is_found_at_its_position() {
    let (_database, check) = check_after(
        "UPDATE events SET position = position + 1001 WHERE position >= 299;
         UPDATE events SET position = position - 1000 WHERE position > 1000;
         INSERT INTO events SELECT 299, gen_random_uuid(), aggregate_type, 'forged', 1, event_type, event_version,
             payload, metadata, recorded_at FROM events WHERE position = 298;
         UPDATE log_head SET position = 301",
    )
    .await;
    let [
        Finding::Added { position: 299, event },
        Finding::Moved { from: 299, to: 300, .. },
        Finding::Moved { from: 300, to: 301, .. },
    ] = &check.findings[..]
    else {
        panic!("{:?}", check.findings)
    };
    assert_eq!(event.stream, "test.account/forged");
}

#[tokio::test]
async fn an_insertion_after_the_head_is_found_at_its_position() {
    let (_database, check) = check_after(
        "INSERT INTO events SELECT 305, gen_random_uuid(), aggregate_type, 'forged', 1, event_type, event_version,
             payload, metadata, recorded_at FROM events WHERE position = 300",
    )
    .await;
    assert!(matches!(&check.findings[..], [Finding::Added { position: 305, .. }]), "{:?}", check.findings);
}

/// A gap that comes before the notary has seen the event: it stops and says so.
#[tokio::test]
async fn the_notary_does_not_pass_over_an_event_that_is_gone() {
    let database = testing::database().await;
    let store = open(&database).await;
    deposits(&store, "a", 10).await;
    store.close().await;
    tamper(&database, "DELETE FROM events WHERE position = 7").await;
    let refused = notary(&database).checkpoint_now(KeyChange::Refused).await;
    assert!(matches!(refused, Err(NotaryError::Missing { position: 7 })), "{refused:?}");
    assert_eq!(notary(&database).tree().await.unwrap().size, 0);
}
