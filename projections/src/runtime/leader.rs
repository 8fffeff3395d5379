//! Leading one projection version: contending for it, running its generations, letting go.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    task::{self, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    generation::{Ended, Generation},
    housekeeping::Housekeeping,
    lock::{Leadership, Lock},
    metrics,
    model::Model,
    pace::{self, Reins},
    projector::Runtime,
    tables::{Row, State},
};

/// A node that got the lock but can't take over yet (the former leader's transaction is still there)
/// tries again after this.
const TAKE_OVER_PAUSE: Duration = Duration::from_millis(100);

/// Tries to lead until `stop`; leads whenever it can.
pub(super) async fn contend(runtime: Arc<Runtime>, model: Arc<dyn Model>, stop: CancellationToken) {
    let mut told = false;
    while !stop.is_cancelled() {
        match contend_once(&runtime, &model, &stop).await {
            Ok(()) => told = false,
            Err(error) => {
                // Once per outage: the same line twice a second helps nobody.
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(
                        projection.name = model.name(),
                        projection.version = model.version(),
                        error = super::failure::describe(&error),
                        "the leader's connection failed: trying again"
                    );
                }
            }
        }
        runtime.progress.forget(&*model);
        metrics::forget(&*model);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(runtime.options.control_interval) => {}
        }
    }
}

/// One connection's life: waits for the lock, leads, and lets go.
async fn contend_once(
    runtime: &Arc<Runtime>,
    model: &Arc<dyn Model>,
    stop: &CancellationToken,
) -> Result<(), sqlx::Error> {
    let mut lock = Lock::connect(runtime.store.pool(), &**model).await?;
    while !lock.try_acquire().await? {
        tokio::select! {
            () = stop.cancelled() => {
                lock.release().await;
                return Ok(());
            }
            () = tokio::time::sleep(runtime.options.control_interval) => {}
        }
    }
    let leadership = loop {
        match lock.take_over(runtime.options.node).await {
            Ok(leadership) => break leadership,
            // The former leader's transaction still holds the checkpoint; the server will end it.
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == "55P03") => {
                tracing::info!(projection.name = model.name(), "waiting for the former leader's transaction");
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = stop.cancelled() => {
                lock.release().await;
                return Ok(());
            }
            () = tokio::time::sleep(TAKE_OVER_PAUSE) => {}
        }
    };
    tracing::info!(
        projection.name = model.name(),
        projection.version = model.version(),
        projection.epoch = leadership.epoch,
        "leading a projection"
    );
    let led = lead(runtime, model, &mut lock, &leadership, stop).await;
    lock.release().await;
    led
}

/// Runs the generations until `stop`, or until the lock or the epoch is gone. The batches under way
/// are finished either way: whether they count is decided by their checkpoint.
async fn lead(
    runtime: &Arc<Runtime>,
    model: &Arc<dyn Model>,
    lock: &mut Lock,
    leadership: &Leadership,
    stop: &CancellationToken,
) -> Result<(), sqlx::Error> {
    let halt = stop.child_token();
    let mut running = Running::default();
    let led = supervise(runtime, model, lock, leadership, &halt, &mut running).await;
    halt.cancel();
    while running.join_next().await.is_some() {}
    led
}

/// The generations that are being followed. Dropping it aborts them.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Ended>,
    generations: HashMap<task::Id, Reins>,
}

impl Running {
    fn follows(&self, generation: u32) -> bool {
        self.generations.values().any(|followed| followed.generation == generation)
    }

    fn spawn(&mut self, reins: Reins, generation: Generation) {
        let task = self.tasks.spawn(generation.run());
        self.generations.insert(task.id(), reins);
    }

    /// Tells each generation what was asked of it, and the books how fast it moves.
    async fn guide(&mut self, lock: &mut Lock, rows: &[Row]) -> Result<(), sqlx::Error> {
        for reins in self.generations.values_mut() {
            let Some(row) = rows.iter().find(|row| row.generation == reins.generation) else { continue };
            reins.obey(row);
            if let Some(rate) = reins.measured(row.position, Instant::now()) {
                lock.write_rate(reins.generation, rate).await?;
            }
        }
        Ok(())
    }

    async fn join_next(&mut self) -> Option<Ended> {
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, ended)) => (id, ended),
            Err(error) => {
                tracing::error!(%error, "a projection's task panicked: it is started again");
                (error.id(), Ended::NotLeading)
            }
        };
        self.generations.remove(&id);
        Some(ended)
    }
}

async fn supervise(
    runtime: &Arc<Runtime>,
    model: &Arc<dyn Model>,
    lock: &mut Lock,
    leadership: &Leadership,
    halt: &CancellationToken,
    running: &mut Running,
) -> Result<(), sqlx::Error> {
    let epoch = leadership.epoch;
    let mut housekeeping = Housekeeping::new(Arc::clone(runtime), Arc::clone(model));
    loop {
        let rows = lock.rows().await?;
        for row in rows.iter().filter(|row| row.state != State::Retired) {
            if row.state == State::Live {
                metrics::parked(&**model, row.parked_keys);
            }
            if row.epoch > epoch {
                tracing::info!(
                    projection.name = model.name(),
                    projection.version = model.version(),
                    "another node leads: letting go"
                );
                return Ok(());
            }
            if row.epoch < epoch {
                lock.adopt(row.generation, epoch).await?;
            }
            if !running.follows(row.generation) {
                let (reins, pace) = pace::of(row);
                let generation =
                    Generation::new(Arc::clone(runtime), Arc::clone(model), row, epoch, pace, halt.clone());
                running.spawn(reins, generation);
            }
        }
        running.guide(lock, &rows).await?;
        if rows.iter().any(|row| row.state == State::Live) {
            housekeeping.tidy(lock.connection(), &rows).await?;
        }
        let look_again = Instant::now() + runtime.options.control_interval;
        tokio::select! {
            () = halt.cancelled() => return Ok(()),
            () = tokio::time::sleep_until(look_again) => {}
            // Replaced, or a commit whose answer was lost: the books tell.
            Some(_) = running.join_next() => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
