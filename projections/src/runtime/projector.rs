//! The running set of projections of one node.

use std::{collections::HashMap, sync::Arc, time::Duration};

use annals_eventstore::EventStore;
use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{Admin, Projection, ProjectionError, Reader, leader, metrics, model, model::Model, tables};

/// How often lag is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// How a node runs its projections. The defaults are for production; tests shorten them.
#[derive(Clone, Debug)]
pub struct ProjectorOptions {
    /// Whose projections these are, as the books name the leader.
    pub node: Uuid,
    /// A live read model takes so many events in one transaction, under load.
    pub batch_events_max: usize,
    /// A build takes so many.
    pub build_batch_events_max: usize,
    /// So many builds write at a time, page by page in turns: what is live goes first.
    pub builds_at_once: usize,
    /// How often a leader looks at its lock and the books, and a follower tries to become leader.
    pub control_interval: Duration,
    /// How long readers may have to wait for a swap before it lets go and tries again.
    pub lock_timeout: Duration,
    /// How long a transaction may sit before the server ends it: a leader paused in the middle of a
    /// batch holds up its successor for so long.
    pub transaction_idle: Duration,
    /// The longest pause between two tries while the database does not answer.
    pub retry_pause_max: Duration,
    /// A version that nobody led for so long, while another is live, is retired.
    pub retire_after: Duration,
    /// A retired version keeps its tables for so long, for a binary that is rolled back.
    pub drop_after: Duration,
}

impl Default for ProjectorOptions {
    fn default() -> Self {
        Self {
            node: Uuid::now_v7(),
            batch_events_max: 500,
            build_batch_events_max: 40_000,
            builds_at_once: std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            control_interval: Duration::from_millis(500),
            lock_timeout: Duration::from_millis(200),
            transaction_idle: Duration::from_secs(10),
            retry_pause_max: Duration::from_secs(5),
            retire_after: Duration::from_secs(60),
            drop_after: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// What all projections of a node share.
pub(super) struct Runtime {
    pub(super) store: EventStore,
    pub(super) options: ProjectorOptions,
    pub(super) progress: Arc<Progress>,
    /// Turns of builds to write.
    pub(super) builds: Arc<Semaphore>,
}

/// A running set of projections: leads those it can, watches the others.
pub struct Projector {
    store: EventStore,
    options: ProjectorOptions,
    models: Vec<Arc<dyn Model>>,
    progress: Arc<Progress>,
}

impl Projector {
    /// A runtime over this log; projections are added with [`Projector::with`].
    pub fn new(store: EventStore) -> Self {
        Self { store, options: ProjectorOptions::default(), models: Vec::new(), progress: Arc::default() }
    }

    #[must_use]
    pub fn with<P: Projection>(mut self, projection: P) -> Self {
        self.models.push(Arc::new(projection));
        self
    }

    /// Names the node that runs them: it is what the books call the leader.
    #[must_use]
    pub fn on_node(mut self, node: Uuid) -> Self {
        self.options.node = node;
        self
    }

    #[must_use]
    pub fn options(mut self, options: ProjectorOptions) -> Self {
        self.options = options;
        self
    }

    /// The query side's handle of this node: where it leads, readers are woken without asking the database.
    pub fn reader(&self) -> Reader {
        Reader::following(self.store.pool().clone(), Arc::clone(&self.progress))
    }

    /// The admin's handle for the projections that were added so far.
    pub fn admin(&self) -> Admin {
        Admin::new(self.store.clone(), self.models.clone())
    }

    /// Starts the tasks. They end, checkpoints kept, when `stop` is cancelled.
    ///
    /// # Errors
    /// If the bookkeeping tables can't be made, or two projections want the same name.
    pub async fn start(self, stop: CancellationToken) -> Result<TaskTracker, ProjectionError> {
        let tracker = TaskTracker::new();
        tracker.spawn(self.prepare(stop).await?);
        tracker.close();
        Ok(tracker)
    }

    /// The same as one future that ends after `stop` was cancelled; dropping it stops at once, and loses
    /// at most work that was not committed.
    ///
    /// # Errors
    /// As [`Projector::start`].
    pub async fn run(self, stop: CancellationToken) -> Result<(), ProjectionError> {
        self.prepare(stop).await?.await;
        Ok(())
    }

    async fn prepare(
        self,
        stop: CancellationToken,
    ) -> Result<impl Future<Output = ()> + Send + 'static, ProjectionError> {
        model::check(self.models.iter().map(|model| &**model))?;
        tables::ensure(self.store.pool()).await?;
        metrics::describe();
        let builds = Arc::new(Semaphore::new(self.options.builds_at_once.max(1)));
        let runtime =
            Arc::new(Runtime { store: self.store, options: self.options, progress: self.progress, builds });
        let models = self.models;
        Ok(async move {
            let mut tasks = JoinSet::new();
            for model in &models {
                tasks.spawn(leader::contend(Arc::clone(&runtime), Arc::clone(model), stop.clone()));
            }
            tasks.spawn(measure(Arc::clone(&runtime), models, stop));
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a projection's task ended by itself");
                }
            }
        })
    }
}

/// Feeds the gauges of the projections this node leads.
async fn measure(runtime: Arc<Runtime>, models: Vec<Arc<dyn Model>>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEASURE_INTERVAL) => {}
        }
        let Ok(head) = runtime.store.head().await else { continue };
        for model in &models {
            if let Some((position, applied_at)) = runtime.progress.measured(&**model) {
                metrics::progress(&**model, position, head, applied_at);
            }
        }
    }
}

/// How far the projections are that this node leads, live. Only tells what is committed.
#[derive(Default)]
pub(super) struct Progress {
    followed: RwLock<HashMap<(&'static str, u32), Followed>>,
}

struct Followed {
    /// 0: not led here.
    position: watch::Sender<u64>,
    applied_at: Option<DateTime<Utc>>,
}

impl Progress {
    pub(super) fn publish(&self, model: &dyn Model, position: u64, applied_at: Option<DateTime<Utc>>) {
        self.with(model.name(), model.version(), |followed| {
            followed.applied_at = applied_at;
            followed.position.send_if_modified(|seen| std::mem::replace(seen, position) != position);
        });
    }

    /// This node does not lead any more: its readers ask the database.
    pub(super) fn forget(&self, model: &dyn Model) {
        self.publish(model, 0, None);
    }

    pub(super) fn subscribe(&self, name: &'static str, version: u32) -> watch::Receiver<u64> {
        self.with(name, version, |followed| followed.position.subscribe())
    }

    fn measured(&self, model: &dyn Model) -> Option<(u64, Option<DateTime<Utc>>)> {
        let followed = self.followed.read();
        let followed = followed.get(&(model.name(), model.version()))?;
        let position = *followed.position.borrow();
        (position > 0).then_some((position, followed.applied_at))
    }

    fn with<T>(&self, name: &'static str, version: u32, f: impl FnOnce(&mut Followed) -> T) -> T {
        let mut followed = self.followed.write();
        f(followed
            .entry((name, version))
            .or_insert_with(|| Followed { position: watch::Sender::new(0), applied_at: None }))
    }
}
