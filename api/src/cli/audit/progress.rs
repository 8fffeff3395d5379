//! How far it is, on a terminal.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use crate::cli::out;

const EVERY: Duration = Duration::from_millis(250);

/// A line on the terminal that is written over; nothing where nobody looks.
pub(super) struct Progress {
    what: &'static str,
    is_watched: bool,
    told: Instant,
    is_open: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        let is_watched = std::io::stderr().is_terminal();
        Self { what, is_watched, told: Instant::now(), is_open: false }
    }

    pub(super) fn tell(&mut self, done: u64, total: Option<u64>) {
        if !self.is_watched || self.told.elapsed() < EVERY {
            return;
        }
        self.told = Instant::now();
        self.is_open = true;
        out::error(&match total.filter(|total| *total > 0) {
            Some(total) => format!("\r{}: {done} of {total} ({} %)\x1b[K", self.what, done * 100 / total),
            None => format!("\r{}: {done}\x1b[K", self.what),
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_open {
            out::error("\r\x1b[K");
        }
    }
}
