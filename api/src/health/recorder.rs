//! One recorder per process, for everything that any crate tells `metrics`.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds: from a cached read to the request's time limit.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Sizes of batches.
const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's recorder; the first call installs it, so call it before anything is counted.
pub fn recorder() -> &'static PrometheusHandle {
    RECORDER.get_or_init(|| {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed; /metrics will show nothing");
        }
        describe();
        handle
    })
}

fn builder() -> PrometheusBuilder {
    let builder = PrometheusBuilder::new();
    // Only empty lists of buckets are refused.
    let seconds = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_string()), &SECONDS);
    let counts = seconds.and_then(|builder| builder.set_buckets(&COUNTS));
    counts.unwrap_or_else(|_| PrometheusBuilder::new())
}

fn describe() {
    metrics::describe_counter!("http_requests_total", "Requests answered");
    metrics::describe_histogram!(
        "http_request_duration_seconds",
        metrics::Unit::Seconds,
        "From a request's head to its answer's"
    );
    metrics::describe_gauge!("http_requests_in_flight", "Requests being answered");
    metrics::describe_gauge!("annals_pool_connections", "Connections to Postgres by pool and state");
}
