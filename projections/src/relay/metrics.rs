//! What `/metrics` shows of the relay.

use std::time::Duration;

use chrono::{DateTime, Utc};

pub(super) fn describe() {
    metrics::describe_gauge!("annals_relay_leads", "Whether this node relays to Kafka: 1 or 0");
    metrics::describe_gauge!(
        "annals_relay_halted",
        "Whether this node's relay failed and has relayed nothing since: 1 or 0"
    );
    metrics::describe_gauge!(
        "annals_relay_position",
        "The position of the log up to which Kafka has the events"
    );
    metrics::describe_gauge!("annals_relay_lag_events", "Positions between Kafka and the head of the log");
    metrics::describe_gauge!(
        "annals_relay_lag_seconds",
        metrics::Unit::Seconds,
        "Age of the last event that was relayed while there are more; 0 at the head"
    );
    metrics::describe_counter!("annals_relay_events_total", "Events relayed");
    metrics::describe_counter!("annals_relay_bytes_total", metrics::Unit::Bytes, "Payload relayed");
    metrics::describe_counter!("annals_relay_transactions_total", "Kafka transactions, by outcome");
    metrics::describe_histogram!(
        "annals_relay_transaction_seconds",
        metrics::Unit::Seconds,
        "Time from a transaction's begin to its commit"
    );
    metrics::describe_counter!("annals_relay_failures_total", "Times that the relay had to start again");
}

pub(super) fn leads(leads: bool) {
    metrics::gauge!("annals_relay_leads").set(if leads { 1.0 } else { 0.0 });
}

pub(super) fn halted(halted: bool) {
    metrics::gauge!("annals_relay_halted").set(if halted { 1.0 } else { 0.0 });
}

pub(super) fn committed(events: u64, bytes: u64, took: Duration) {
    metrics::counter!("annals_relay_transactions_total", "outcome" => "committed").increment(1);
    metrics::counter!("annals_relay_events_total").increment(events);
    metrics::counter!("annals_relay_bytes_total").increment(bytes);
    metrics::histogram!("annals_relay_transaction_seconds").record(took.as_secs_f64());
}

pub(super) fn aborted() {
    metrics::counter!("annals_relay_transactions_total", "outcome" => "aborted").increment(1);
}

pub(super) fn failed() {
    metrics::counter!("annals_relay_failures_total").increment(1);
}

pub(super) fn progress(position: u64, head: u64, recorded_at: Option<DateTime<Utc>>) {
    let lag = head.saturating_sub(position);
    let age_ms = match recorded_at {
        Some(at) if lag > 0 => (Utc::now() - at).num_milliseconds().max(0),
        _ => 0,
    };
    metrics::gauge!("annals_relay_position").set(position as f64);
    metrics::gauge!("annals_relay_lag_events").set(lag as f64);
    metrics::gauge!("annals_relay_lag_seconds").set(age_ms as f64 / 1000.0);
}
