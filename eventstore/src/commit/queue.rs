//! What waits for a batch, and when a batch goes.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::{Refusal, Waiting, closed};
use crate::AppendError;

const WAITING_MAX: usize = 8_192;
const BATCH_APPENDS_MAX: usize = 512;
const BATCH_EVENTS_MAX: usize = 4_096;
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Notify,
    places: Semaphore,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Batches under way, and how many appends the latest of them took.
    under_way: usize,
    latest: usize,
    closed: bool,
}

impl State {
    /// A batch goes when none is under way, or when as many wait as the one under way took: then
    /// it queues up for the head's lock inside Postgres, and no time is lost between the two.
    fn is_ready(&self) -> bool {
        !self.waiting.is_empty() && (self.under_way == 0 || self.waiting.len() >= self.latest)
    }
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            ready: Notify::new(),
            places: Semaphore::new(WAITING_MAX),
        }
    }

    /// Puts an append in line; waits while the line is full.
    pub(crate) async fn push(&self, waiting: Waiting) -> Result<(), AppendError> {
        let place = self.places.acquire().await.map_err(|_| closed())?;
        let ready = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(closed());
            }
            place.forget();
            state.waiting.push_back(waiting);
            state.is_ready()
        };
        if ready {
            self.ready.notify_last();
        }
        Ok(())
    }

    /// The next batch; `None` when the queue is closed and empty.
    pub(crate) async fn next_batch(&self) -> Option<Vec<Waiting>> {
        loop {
            {
                let mut state = self.state.lock();
                if state.is_ready() {
                    let (batch, left_line) = collect(&mut state.waiting);
                    self.places.add_permits(left_line);
                    if !batch.is_empty() {
                        state.under_way += 1;
                        state.latest = batch.len();
                        return Some(batch);
                    }
                    continue;
                }
                if state.closed && state.waiting.is_empty() {
                    self.ready.notify_last();
                    return None;
                }
            }
            self.ready.notified().await;
        }
    }

    /// To be called once for each batch, whatever became of it.
    pub(crate) fn batch_done(&self) {
        let ready = {
            let mut state = self.state.lock();
            state.under_way -= 1;
            state.is_ready() || state.closed
        };
        if ready {
            self.ready.notify_last();
        }
    }

    /// Takes no more; what waits is still committed.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.places.close();
        self.ready.notify_last();
    }

    /// Refuses what waits: nobody will commit it.
    pub(crate) fn abandon(&self) {
        self.close();
        let waiting = std::mem::take(&mut self.state.lock().waiting);
        for waiting in waiting {
            waiting.answer(Err(Refusal::Final(closed())));
        }
    }
}

/// Takes from the line what can go together: of two appends where one writes what the other
/// touches, the later waits, and with it whatever it shares something with, so that nobody
/// overtakes. Second is how many left the line.
fn collect(line: &mut VecDeque<Waiting>) -> (Vec<Waiting>, usize) {
    let mut batch: Vec<Waiting> = Vec::with_capacity(line.len().min(BATCH_APPENDS_MAX));
    let mut later = VecDeque::new();
    let mut touched: HashMap<u64, bool> = HashMap::with_capacity(line.len() * 4);
    let (mut events, mut bytes, mut left) = (0, 0, 0);
    while let Some(next) = line.pop_front() {
        if next.reply.is_closed() {
            // Nobody waits for it any more, and it has not begun.
            left += 1;
            continue;
        }
        let full = batch.len() == BATCH_APPENDS_MAX
            || (!batch.is_empty()
                && (events + next.append.events.len() > BATCH_EVENTS_MAX
                    || bytes + next.append.bytes > BATCH_BYTES_MAX));
        if full {
            line.push_front(next);
            break;
        }
        let footprint = &next.append.footprint;
        let clash = footprint
            .iter()
            .any(|touch| touched.get(&touch.what).is_some_and(|written| *written || touch.writes));
        for touch in footprint {
            *touched.entry(touch.what).or_insert(false) |= touch.writes;
        }
        if clash {
            later.push_back(next);
        } else {
            events += next.append.events.len();
            bytes += next.append.bytes;
            left += 1;
            batch.push(next);
        }
    }
    while let Some(next) = later.pop_back() {
        line.push_front(next);
    }
    (batch, left)
}
