//! What the overview plots: how far the log and each read model were, every second of the last quarter
//! of an hour. In memory, of this node: nothing depends on it, and a restart begins anew.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use annals_projections::Reader;
use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);
/// Fifteen minutes of seconds.
const KEPT_MAX: usize = 15 * 60;

/// One second's look.
#[derive(Clone, Debug)]
pub struct Sample {
    pub at: DateTime<Utc>,
    /// The log's last position.
    pub head: u64,
    /// Of each live read model, how many positions it was behind.
    pub behind: Vec<(String, u64)>,
}

impl Sample {
    /// Of the slowest read model.
    pub fn most_behind(&self) -> u64 {
        self.behind.iter().map(|(_, behind)| *behind).max().unwrap_or(0)
    }
}

/// The last samples; cheap to clone.
#[derive(Clone, Default)]
pub struct Samples {
    kept: Arc<RwLock<VecDeque<Sample>>>,
}

impl std::fmt::Debug for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Samples({})", self.kept.read().len())
    }
}

impl Samples {
    /// Looks every second until `stop`. A database that does not answer leaves a gap.
    pub async fn follow(self, reader: Reader, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Ok(Ok(applied)) = tokio::time::timeout(EVERY * 5, reader.applied()).await else { continue };
            let head = applied.iter().map(|one| one.head).max().unwrap_or(0);
            let live = applied.iter().filter(|one| one.state == "live");
            let behind = live.map(|one| (one.name.clone(), head.saturating_sub(one.position))).collect();
            self.push(Sample { at: Utc::now(), head, behind });
        }
    }

    fn push(&self, sample: Sample) {
        let mut kept = self.kept.write();
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(sample);
    }

    /// All that are kept, the oldest first.
    pub fn all(&self) -> Vec<Sample> {
        self.kept.read().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_quarter_of_an_hour_is_kept() {
        let samples = Samples::default();
        for head in 0..1000 {
            let behind = vec![("posts".to_string(), head % 7), ("tags".to_string(), 3)];
            samples.push(Sample { at: Utc::now(), head, behind });
        }
        let all = samples.all();
        assert_eq!((all.len(), all[0].head, all[899].head), (900, 100, 999));
        assert_eq!(all[899].most_behind(), 5);
    }
}
