//! What `/metrics` shows of the projections this node leads.

use chrono::{DateTime, Utc};

use super::model::Model;

pub(super) fn describe() {
    metrics::describe_gauge!(
        "annals_projection_position",
        "The position of the log up to which a projection is applied"
    );
    metrics::describe_gauge!("annals_projection_lag_events", "Positions between a projection and the head");
    metrics::describe_gauge!(
        "annals_projection_lag_seconds",
        "Age of the last event that a projection behind the head has applied; 0 at the head"
    );
    metrics::describe_gauge!("annals_projection_parked_keys", "Keys that wait for a replay");
    metrics::describe_counter!("annals_projection_batches_total", "Batches written");
    metrics::describe_counter!("annals_projection_events_total", "Events applied or parked");
    metrics::describe_histogram!(
        "annals_projection_batch_seconds",
        metrics::Unit::Seconds,
        "Time from a batch's arrival to its commit"
    );
}

pub(super) fn batch(model: &dyn Model, events: usize, took: std::time::Duration) {
    metrics::counter!("annals_projection_batches_total", "projection" => model.name()).increment(1);
    metrics::counter!("annals_projection_events_total", "projection" => model.name())
        .increment(u64::try_from(events).unwrap_or(u64::MAX));
    metrics::histogram!("annals_projection_batch_seconds", "projection" => model.name())
        .record(took.as_secs_f64());
}

pub(super) fn parked(model: &dyn Model, keys: u64) {
    metrics::gauge!("annals_projection_parked_keys", "projection" => model.name()).set(number(keys));
}

/// This node does not lead any more: what it told last is no longer its to tell.
pub(super) fn forget(model: &dyn Model) {
    for name in
        ["annals_projection_parked_keys", "annals_projection_lag_events", "annals_projection_lag_seconds"]
    {
        metrics::gauge!(name, "projection" => model.name()).set(0.0);
    }
}

/// How far the live generation is. `applied_at` is the time of the last event that was applied.
pub(super) fn progress(model: &dyn Model, position: u64, head: u64, applied_at: Option<DateTime<Utc>>) {
    let lag = head.saturating_sub(position);
    let age_ms = match applied_at {
        Some(applied_at) if lag > 0 => (Utc::now() - applied_at).num_milliseconds().max(0),
        _ => 0,
    };
    metrics::gauge!("annals_projection_position", "projection" => model.name()).set(number(position));
    metrics::gauge!("annals_projection_lag_events", "projection" => model.name()).set(number(lag));
    metrics::gauge!("annals_projection_lag_seconds", "projection" => model.name())
        .set(number(u64::try_from(age_ms).unwrap_or(0)) / 1000.0);
}

/// Gauges are floats; a position past 2^53 is centuries away.
fn number(value: u64) -> f64 {
    value as f64
}
