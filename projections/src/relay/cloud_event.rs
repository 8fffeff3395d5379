//! A stored event as a record: CloudEvents 1.0 in the binary mode of its Kafka binding.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>

use std::borrow::Cow;

use annals_eventstore::StoredEvent;
use chrono::SecondsFormat;
use rdkafka::message::{Header, OwnedHeaders};
use serde::Deserialize;

/// The most headers that a record has.
const HEADERS_MAX: usize = 17;

/// What of an event's metadata leaves. Where a command came from (`client`) does not.
#[derive(Deserialize)]
struct Origin<'e> {
    #[serde(borrow)]
    correlation_id: Cow<'e, str>,
    #[serde(borrow, default)]
    causation_id: Option<Cow<'e, str>>,
    #[serde(borrow)]
    command: Cow<'e, str>,
    #[serde(borrow)]
    actor: Who<'e>,
    #[serde(borrow, default)]
    organization_id: Option<Cow<'e, str>>,
    #[serde(borrow, default)]
    trace_parent: Option<Cow<'e, str>>,
}

#[derive(Deserialize)]
struct Who<'e> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'e, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'e, str>>,
}

/// The first part of an aggregate's type: `publishing` of `publishing.post`.
pub(super) fn context(aggregate_type: &str) -> &str {
    aggregate_type.split('.').next().unwrap_or(aggregate_type)
}

/// The record's headers. `schemas_url` makes `ce_dataschema`.
pub(super) fn headers(event: &StoredEvent, schemas_url: &str) -> Result<OwnedHeaders, serde_json::Error> {
    let origin: Origin<'_> = serde_json::from_str(&event.metadata)?;
    let kind = &event.event_type;
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    let mut headers = OwnedHeaders::new_with_capacity(HEADERS_MAX);
    let mut add = |key: &str, value: &str| {
        let taken = std::mem::take(&mut headers);
        headers = taken.insert(Header { key, value: Some(value) });
    };
    add("ce_specversion", "1.0");
    add("ce_id", event.event_id.hyphenated().encode_lower(&mut id));
    add("ce_source", &format!("/annals/{}", event.stream.aggregate_type));
    add("ce_type", kind);
    add("ce_subject", &event.stream.aggregate_id);
    add("ce_time", &event.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true));
    add("ce_dataschema", &format!("{schemas_url}/{kind}/{}", event.event_version));
    add("content-type", "application/json");
    add("ce_position", &event.position.to_string());
    add("ce_sequence", &event.sequence.to_string());
    add("ce_correlationid", &origin.correlation_id);
    add("ce_command", &origin.command);
    add("ce_actortype", &origin.actor.kind);
    for (key, value) in [
        ("ce_actorid", &origin.actor.id),
        ("ce_causationid", &origin.causation_id),
        ("ce_organizationid", &origin.organization_id),
        ("ce_traceparent", &origin.trace_parent),
    ] {
        if let Some(value) = value {
            add(key, value);
        }
    }
    Ok(headers)
}
