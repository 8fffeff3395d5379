//! One recorder per process, for everything that any crate tells `metrics`.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds: from a cached read to the request's time limit.
const SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 30.0];
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

/// Help texts, also of what other rooms count without describing it: a scraper shows them.
fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

    for (name, help) in [
        ("http_requests_total", "Requests answered"),
        ("annals_append_batches_total", "Group commits"),
        ("annals_append_refusals_total", "Appends that were refused, by reason"),
        ("annals_commands_total", "Commands, by name and outcome"),
        ("annals_command_conflicts_total", "Commands decided again because another was faster"),
        ("annals_process_failures_total", "Reactions of process managers that failed and are retried"),
        ("annals_timers_fired_total", "Timers fired, by kind and outcome"),
        ("annals_timers_set_again_total", "Timers of posts that were lost and are set again"),
        ("annals_posts_found_overdue_total", "Posts that should have been published and were not, by cause"),
        (
            "annals_refresh_tokens_reused_total",
            "Refresh tokens presented a second time: their families were revoked",
        ),
    ] {
        describe_counter!(name, help);
    }
    for (name, help) in [
        ("http_requests_in_flight", "Requests being answered"),
        ("annals_pool_connections", "Connections to Postgres by pool and state"),
        ("annals_database_up", "1 if the database answered within 2 s, else 0"),
        ("annals_disk_free_bytes", "Free on the disk of the data folder"),
        ("annals_disk_size_bytes", "Size of the disk of the data folder"),
        ("annals_log_head", "The log's last position, as this node has seen it"),
        ("annals_process_position", "The position up to which a process manager has reacted"),
        ("annals_process_lag_events", "Positions between a process manager and the head"),
        ("annals_posts_overdue", "Posts on channels that are still late, by what keeps them"),
        ("annals_timers_due", "Timers that are due and not done"),
        ("annals_timers_parked", "Timers that were given up and wait for a person"),
    ] {
        describe_gauge!(name, help);
    }
    for (name, help) in [
        ("http_request_duration_seconds", "From a request's head to its answer's"),
        ("annals_append_seconds", "From an append's call to its receipt, durable"),
        ("annals_publish_seconds", "Calls that publish on a platform"),
    ] {
        describe_histogram!(name, Unit::Seconds, help);
    }
    describe_histogram!("annals_append_batch_size", "Appends in a group commit");
}
