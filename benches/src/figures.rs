//! Figures of one run.

use std::time::Duration;

/// What one contender did at one number of writers.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) events_per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Figures {
    /// From each event's latency, in microseconds, over a time.
    pub(crate) fn of(mut latencies_us: Vec<u32>, elapsed: Duration) -> Self {
        latencies_us.sort_unstable();
        let at = |share: f64| {
            let index = (latencies_us.len().saturating_sub(1) as f64 * share) as usize;
            Duration::from_micros(latencies_us.get(index).copied().unwrap_or_default().into())
        };
        Self {
            events_per_second: latencies_us.len() as f64 / elapsed.as_secs_f64(),
            p50: at(0.50),
            p99: at(0.99),
        }
    }

    /// The run with the middle rate of several.
    pub(crate) fn median(mut runs: Vec<Self>) -> Option<Self> {
        runs.sort_by(|one, other| one.events_per_second.total_cmp(&other.events_per_second));
        let middle = runs.len() / 2;
        runs.into_iter().nth(middle)
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "{:>9.0} events/s   p50 {:>8.3} ms   p99 {:>8.3} ms",
            self.events_per_second,
            millis(self.p50),
            millis(self.p99)
        )
    }
}

pub(crate) fn per_second(events: u64, took: Duration) -> f64 {
    events as f64 / took.as_secs_f64()
}

/// The middle one of several rates.
pub(crate) fn middle(mut rates: Vec<f64>) -> Option<f64> {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}
