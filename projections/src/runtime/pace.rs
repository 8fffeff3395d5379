//! How fast a generation may go, and how fast it goes: between an admin, the leader and the generation.
//!
//! An admin writes into the books from any node; the leader reads them at every look and holds the
//! [`Reins`]; the generation asks its [`Pace`] before each page.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::tables::{Row, State};

/// How often a generation that moves has its rate written.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// How much a new measurement counts against those before it.
const NEWEST_WEIGHT: f64 = 0.4;
/// Slower than this is standing still.
const STILL: f64 = 0.01;

/// What an admin asked of a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) is_paused: bool,
    pub(super) events_per_second_max: Option<u32>,
}

/// How fast a generation moves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    /// Events of the projection that were applied.
    pub(super) events_per_second: f64,
    /// Positions of the log that were passed, those of other projections' events included.
    pub(super) positions_per_second: f64,
}

/// The leader's end.
pub(super) struct Reins {
    pub(super) generation: u32,
    control: watch::Sender<Control>,
    applied: Arc<AtomicU64>,
    measured_at: Instant,
    measured_applied: u64,
    measured_position: u64,
    rate: Rate,
    told_still: bool,
}

/// The generation's end.
pub(super) struct Pace {
    control: watch::Receiver<Control>,
    applied: Arc<AtomicU64>,
    /// The next page is not due before.
    next_at: Instant,
}

/// Both ends for a generation that begins to be followed.
pub(super) fn of(row: &Row) -> (Reins, Pace) {
    let (sender, receiver) = watch::channel(row.control);
    let applied = Arc::new(AtomicU64::new(0));
    let reins = Reins {
        generation: row.generation,
        control: sender,
        applied: Arc::clone(&applied),
        measured_at: Instant::now(),
        measured_applied: 0,
        measured_position: row.position,
        rate: Rate::default(),
        told_still: false,
    };
    (reins, Pace { control: receiver, applied, next_at: Instant::now() })
}

impl Reins {
    /// Passes on what the books say. A cancelled build is let go: its next batch finds out that it is
    /// retired, which a paused one never would.
    pub(super) fn obey(&self, row: &Row) {
        let control = if row.state == State::Building { row.control } else { Control::default() };
        self.control.send_if_modified(|known| std::mem::replace(known, control) != control);
    }

    /// The rate, if it is worth writing now. Standing still is told once.
    pub(super) fn measured(&mut self, position: u64, now: Instant) -> Option<Rate> {
        let elapsed = now.saturating_duration_since(self.measured_at);
        if elapsed < MEASURE_EVERY {
            return None;
        }
        let applied = self.applied.load(Ordering::Relaxed);
        let per_second = |count: u64, before: f64| {
            let newest = count as f64 / elapsed.as_secs_f64();
            let smooth = if before < STILL { newest } else { before + NEWEST_WEIGHT * (newest - before) };
            // What stands still does so at once, or an estimate would go on falling.
            if count == 0 && smooth < 1.0 { 0.0 } else { smooth }
        };
        self.rate = Rate {
            events_per_second: per_second(applied - self.measured_applied, self.rate.events_per_second),
            positions_per_second: per_second(
                position.saturating_sub(self.measured_position),
                self.rate.positions_per_second,
            ),
        };
        self.measured_at = now;
        self.measured_applied = applied;
        self.measured_position = position;
        let is_still = self.rate.positions_per_second < STILL && self.rate.events_per_second < STILL;
        let was_told = std::mem::replace(&mut self.told_still, is_still);
        (!(is_still && was_told)).then_some(self.rate)
    }
}

impl Pace {
    /// Waits while the build is paused or ahead of its pace; false if it was halted or told something
    /// else meanwhile.
    pub(super) async fn may_go_on(&mut self, halt: &CancellationToken) -> bool {
        let control = *self.control.borrow_and_update();
        let wait_until = match control {
            Control { is_paused: true, .. } => None,
            Control { events_per_second_max: Some(_), .. } if self.next_at > Instant::now() => {
                Some(self.next_at)
            }
            Control { .. } => return true,
        };
        let waited = async {
            match wait_until {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = halt.cancelled() => false,
            // Without a leader it is halted, too.
            changed = self.control.changed() => { if changed.is_err() { halt.cancelled().await; } false }
            () = waited => true,
        }
    }

    /// How many events the next page may have: a tenth of a second's, so that the pace is even.
    pub(super) fn page(&self, events_max: usize) -> usize {
        match self.control.borrow().events_per_second_max {
            Some(limit) => events_max.min(usize::try_from(limit / 10).unwrap_or(usize::MAX).max(1)),
            None => events_max,
        }
    }

    /// Counts events that were applied, and puts off the next page by what they may take.
    pub(super) fn applied(&mut self, events: usize) {
        self.applied.fetch_add(events as u64, Ordering::Relaxed);
        if let Some(limit) = self.control.borrow().events_per_second_max {
            let takes = Duration::from_secs_f64(events as f64 / f64::from(limit.max(1)));
            // From when it was due, so that the work itself is not added; what was lost to a pause is.
            self.next_at = self.next_at.max(Instant::now() - takes) + takes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(control: Control) -> Row {
        Row {
            generation: 1,
            state: State::Building,
            position: 0,
            epoch: 1,
            created: true,
            indexed: false,
            parked_keys: 0,
            dropped: false,
            same_shape: true,
            control,
        }
    }

    fn paused() -> Control {
        Control { is_paused: true, ..Control::default() }
    }

    #[tokio::test]
    async fn a_paused_build_waits_until_it_is_resumed() {
        let (reins, mut pace) = of(&row(paused()));
        let halt = CancellationToken::new();
        let waiting = tokio::time::timeout(Duration::from_millis(50), pace.may_go_on(&halt)).await;
        assert!(waiting.is_err(), "it waits for ever");
        reins.obey(&row(Control::default()));
        assert!(pace.may_go_on(&halt).await);
    }

    #[tokio::test]
    async fn a_paused_build_that_is_cancelled_or_halted_is_let_go() {
        let (reins, mut pace) = of(&row(paused()));
        let halt = CancellationToken::new();
        reins.obey(&Row { state: State::Retired, ..row(paused()) });
        assert!(pace.may_go_on(&halt).await);
        reins.obey(&row(paused()));
        halt.cancel();
        assert!(!pace.may_go_on(&halt).await);
    }

    #[tokio::test]
    async fn a_throttled_build_keeps_its_pace_evenly() {
        let control = Control { events_per_second_max: Some(500), ..Control::default() };
        let (_reins, mut pace) = of(&row(control));
        let halt = CancellationToken::new();
        let begun = Instant::now();
        let mut applied = 0;
        while applied < 250 {
            if pace.may_go_on(&halt).await {
                let page = pace.page(2_000);
                assert_eq!(page, 50);
                pace.applied(page);
                applied += page;
            }
        }
        // The first page is free: what it may take is waited for before the second.
        let took_ms = begun.elapsed().as_millis();
        assert!(took_ms >= 400, "250 events at 500 a second took {took_ms} ms");
    }

    #[test]
    fn the_rate_is_smooth_and_standing_still_is_told_once() {
        let (mut reins, mut pace) = of(&row(Control::default()));
        let mut now = reins.measured_at + Duration::from_secs(2);
        pace.applied(100);
        let rate = reins.measured(400, now).expect("is due");
        assert_eq!((rate.events_per_second, rate.positions_per_second), (50.0, 200.0));
        assert_eq!(reins.measured(400, now), None, "not yet");
        let mut last = rate;
        let mut written = 0;
        for _ in 0..60 {
            now += Duration::from_secs(1);
            if let Some(rate) = reins.measured(400, now) {
                assert!(rate.positions_per_second < last.positions_per_second);
                (last, written) = (rate, written + 1);
            }
        }
        assert_eq!(last, Rate::default());
        assert!(written < 20, "wrote {written} times for standing still");
    }
}
