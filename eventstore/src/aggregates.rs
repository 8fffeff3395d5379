//! The node's bounded cache of hydrated aggregates.

use std::{
    any::Any,
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use moka::sync::Cache;
use parking_lot::Mutex;

use crate::{StreamId, keyring::KeyName};

/// An aggregate at a version, and what is known of newer ones.
pub(crate) struct Entry {
    pub(crate) state: Arc<dyn Any + Send + Sync>,
    pub(crate) version: u64,
    /// The version of the newest snapshot known; 0 if none.
    pub(crate) snapshot: u64,
    /// Whose values it was built from.
    pub(crate) owners: Arc<HashSet<KeyName>>,
    newest: AtomicU64,
}

impl Entry {
    pub(crate) fn new(
        state: Arc<dyn Any + Send + Sync>,
        version: u64,
        snapshot: u64,
        owners: Arc<HashSet<KeyName>>,
    ) -> Self {
        Self { state, version, snapshot, owners, newest: AtomicU64::new(version) }
    }

    /// Whether an event was seen that this state does not hold.
    pub(crate) fn is_behind(&self) -> bool {
        self.newest.load(Ordering::Acquire) > self.version
    }
}

pub(crate) struct Aggregates {
    cache: Cache<StreamId, Arc<Entry>>,
    /// Streams being read right now, with the newest version seen meanwhile: what a slow reader
    /// brings home must not hide it.
    loading: Mutex<HashMap<StreamId, Loading>>,
}

#[derive(Default)]
struct Loading {
    readers: usize,
    newest: u64,
    /// Someone was forgotten or everything was dropped meanwhile: don't keep what is read.
    spoiled: bool,
}

/// A read under way; ends when dropped.
pub(crate) struct Reading<'a> {
    aggregates: &'a Aggregates,
    stream: StreamId,
}

impl Aggregates {
    pub(crate) fn new(max: u64) -> Self {
        Self { cache: Cache::new(max), loading: Mutex::default() }
    }

    pub(crate) fn get(&self, stream: &StreamId) -> Option<Arc<Entry>> {
        self.cache.get(stream)
    }

    /// To be called before the database is asked.
    pub(crate) fn start_reading(&self, stream: &StreamId) -> Reading<'_> {
        self.loading.lock().entry(stream.clone()).or_default().readers += 1;
        Reading { aggregates: self, stream: stream.clone() }
    }

    /// An event of a stream is in the log.
    pub(crate) fn saw(&self, stream: &StreamId, version: u64) {
        let mut loading = self.loading.lock();
        if let Some(reading) = loading.get_mut(stream) {
            reading.newest = reading.newest.max(version);
        }
        if let Some(entry) = self.cache.get(stream) {
            entry.newest.fetch_max(version, Ordering::AcqRel);
        }
    }

    pub(crate) fn evict(&self, stream: &StreamId) {
        self.cache.invalidate(stream);
    }

    /// Drops every aggregate that was built from an owner's values.
    pub(crate) fn forget(&self, owner: &str) {
        let mut loading = self.loading.lock();
        loading.values_mut().for_each(|reading| reading.spoiled = true);
        for (stream, entry) in &self.cache {
            if entry.owners.iter().any(|name| name.owner == owner) {
                self.cache.invalidate(stream.as_ref());
            }
        }
    }

    pub(crate) fn evict_all(&self) {
        let mut loading = self.loading.lock();
        loading.values_mut().for_each(|reading| reading.spoiled = true);
        self.cache.invalidate_all();
    }
}

impl Reading<'_> {
    /// Keeps what was read, unless something newer is there.
    pub(crate) fn keep(self, entry: Entry) {
        let mut loading = self.aggregates.loading.lock();
        let Some(reading) = loading.get_mut(&self.stream) else { return };
        if reading.spoiled {
            return;
        }
        entry.newest.fetch_max(reading.newest, Ordering::AcqRel);
        if let Some(there) = self.aggregates.cache.get(&self.stream) {
            if there.version > entry.version {
                return;
            }
            entry.newest.fetch_max(there.newest.load(Ordering::Acquire), Ordering::AcqRel);
        }
        self.aggregates.cache.insert(self.stream.clone(), Arc::new(entry));
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut loading = self.aggregates.loading.lock();
        if let Some(reading) = loading.get_mut(&self.stream) {
            reading.readers -= 1;
            if reading.readers == 0 {
                loading.remove(&self.stream);
            }
        }
    }
}
