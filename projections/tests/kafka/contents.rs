//! What a record looks like.

use annals_projections::relay::RelayError;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    broker::broker,
    support::{Log, Running},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_a_cloud_event_and_what_is_sealed_leaves_as_null() {
    let Some((broker, _up)) = broker().await else { return };
    let (log, settings) = (Log::new().await, broker.settings());
    let payload = json!({
        "type": "opened",
        "holder": {"$personal": {"subject": "user:ada", "value": {"name": "Ada Lovelace"}}},
        "pin": {"$secret": {"owner": "account:1", "value": "hunter2"}},
        "erased": {"$personal": {"subject": "user:gone", "value": null}},
        "list": [{"$personal": {"subject": "user:ada", "value": "ada@example.org"}}, 1],
        "open": "$sealed {\"$sealed\":{}} \u{e9}",
    });
    let position = log.append("first.account", "account-1", "opened", payload).await;
    let plain = json!({"type": "closed", "z": 1, "a": [1.0, 2]}).to_string();
    log.append("second.account", "account-2", "closed", serde_json::from_str(&plain).unwrap()).await;
    let relay = Running::start(&log.store, &settings);
    relay.caught_up(&log.store).await;
    relay.stop().await;

    assert_eq!(broker.partitions(&settings.topic("first")), i32::from(settings.partitions));
    let records = broker.committed(&settings.topic("first"));
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.key, "account-1");
    let value: Value = serde_json::from_str(&record.value).unwrap();
    assert_eq!(
        value,
        json!({"type": "opened", "holder": null, "pin": null, "erased": null, "list": [null, 1],
               "open": "$sealed {\"$sealed\":{}} \u{e9}"})
    );
    let stored = log.store.read_all(position - 1, &Default::default(), 1).await.unwrap().remove(0);
    let headers = &record.headers;
    let expect = [
        ("ce_specversion", "1.0".to_string()),
        ("ce_id", stored.event_id.to_string()),
        ("ce_source", "/annals/first.account".to_string()),
        ("ce_type", "first.account.opened".to_string()),
        ("ce_subject", "account-1".to_string()),
        ("ce_dataschema", format!("{}/first.account.opened/1", settings.schemas_url)),
        ("content-type", "application/json".to_string()),
        ("ce_position", position.to_string()),
        ("ce_sequence", "1".to_string()),
        ("ce_command", "Count".to_string()),
        ("ce_actortype", "user".to_string()),
        ("ce_actorid", "ada".to_string()),
        ("ce_causationid", "00000000-0000-0000-0000-000000000007".to_string()),
        ("ce_organizationid", "00000000-0000-0000-0000-000000000009".to_string()),
        ("ce_traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_string()),
    ];
    for (name, value) in &expect {
        assert_eq!(headers.get(*name), Some(value), "{name}");
    }
    let time: DateTime<Utc> = headers["ce_time"].parse().unwrap();
    assert_eq!(time, stored.recorded_at);
    assert_eq!(record.timestamp_ms, stored.recorded_at.timestamp_millis());
    assert_eq!(headers.len(), expect.len() + 2, "{headers:?}");
    // Nothing of what is sealed, in payload or metadata, in any record.
    let all = format!("{:?}{:?}", records, broker.committed(&settings.topic("relay")));
    for hidden in
        ["Lovelace", "ada@example.org", "hunter2", "192.0.2.77", "hidden agent", "$personal", "user:ada"]
    {
        assert!(!all.contains(hidden), "{hidden}");
    }
    // What holds nothing sealed passes byte for byte.
    let stored = log.store.read_all(position, &Default::default(), 1).await.unwrap().remove(0);
    assert_eq!(broker.committed(&settings.topic("second"))[0].value, stored.payload);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_it_runs_and_while_it_is_off_arrives_once_and_status_tells_how_far_it_is() {
    let Some((broker, _up)) = broker().await else { return };
    let (log, settings) = (Log::new().await, broker.settings());
    let status = annals_projections::relay::status(&log.store, &settings).await.unwrap();
    assert!(status.checkpoint.is_none() && !status.running);
    log.seed(3_000).await;
    let relay = Running::start(&log.store, &settings);
    relay.caught_up(&log.store).await;
    for _ in 0..20 {
        log.seed(5).await;
    }
    relay.caught_up(&log.store).await;
    assert!(annals_projections::relay::status(&log.store, &settings).await.unwrap().running);
    relay.stop().await;
    log.seed(500).await;
    let status = annals_projections::relay::status(&log.store, &settings).await.unwrap();
    let checkpoint = status.checkpoint.unwrap();
    assert_eq!((checkpoint.position, checkpoint.epoch, status.lag), (3_100, 1, 500));
    assert!(!status.running);
    let relay = Running::start(&log.store, &settings);
    relay.caught_up(&log.store).await;
    relay.stop().await;
    let checkpoint =
        annals_projections::relay::status(&log.store, &settings).await.unwrap().checkpoint.unwrap();
    assert_eq!((checkpoint.position, checkpoint.epoch), (3_600, 2));
    assert_eq!(crate::support::assert_exactly_once(&broker, &settings.prefix, 1, 3_600), 3_600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_by_itself_is_confirmed_by_the_cluster() {
    let Some((broker, _up)) = broker().await else { return };
    let settings = broker.settings();
    let topic = settings.topic("checkpoints");
    for value in ["one", "two"] {
        annals_projections::relay::publish(&settings, &topic, "key", value.as_bytes()).await.unwrap();
    }
    let values: Vec<String> = broker.committed(&topic).into_iter().map(|record| record.value).collect();
    assert_eq!(values, ["one", "two"]);
}

#[test]
fn only_what_a_person_has_to_settle_is_called_so() {
    assert!(RelayError::Ahead { position: 2, head: 1, prefix: String::new() }.needs_a_person());
    assert!(!RelayError::Fenced.needs_a_person());
}
