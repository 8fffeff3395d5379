//! Follows the log into one generation's tables: first as a build, then live.

use std::{sync::Arc, time::Duration};

use annals_eventstore::StoreError;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    batch::{self, Checkpoint, Durability, Target, Written},
    failure::Failure,
    metrics,
    model::{self, Model},
    pace::Pace,
    pages::Pages,
    projector::Runtime,
    tables::{Row, State},
    takeover::{self, NotYet, TakeOver},
};

/// How long a checkpoint without rows may stay unwritten: other nodes' readers wait for it.
const SKIP_WITHIN: Duration = Duration::from_millis(20);
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
/// Between two tries to take over. It grows while readers hold the view: each try makes others wait.
const TAKE_OVER_PAUSE_MIN: Duration = Duration::from_millis(50);
const TAKE_OVER_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a build with parked keys looks whether they are gone or confirmed.
const PARKED_PAUSE: Duration = Duration::from_secs(1);

/// Why a generation is no longer followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Stopped,
    /// The checkpoint was moved by another, or the generation was replaced.
    NotLeading,
}

#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

enum Step {
    Again,
    End,
}

pub(super) struct Generation {
    runtime: Arc<Runtime>,
    model: Arc<dyn Model>,
    checkpoint: Checkpoint,
    created: bool,
    indexed: bool,
    live: bool,
    /// Everything up to here is applied, or is not for this projection; the checkpoint may be behind.
    seen: u64,
    /// When a checkpoint that is behind `seen` is to be written.
    skip_at: Option<Instant>,
    skipped_at: Instant,
    /// Where the log's head was when the build last asked.
    goal: Option<u64>,
    take_over_at: Instant,
    take_over_pause: Duration,
    told_parked: bool,
    applied_at: Option<DateTime<Utc>>,
    pages: Pages,
    pace: Pace,
    halt: CancellationToken,
}

impl Generation {
    pub(super) fn new(
        runtime: Arc<Runtime>,
        model: Arc<dyn Model>,
        row: &Row,
        epoch: i64,
        pace: Pace,
        halt: CancellationToken,
    ) -> Self {
        let pages = Pages::after(&runtime.store, &*model, row.position);
        Self {
            checkpoint: Checkpoint { generation: row.generation, position: row.position, epoch },
            created: row.created,
            indexed: row.indexed,
            live: row.state == State::Live,
            seen: row.position,
            skip_at: None,
            skipped_at: Instant::now(),
            goal: None,
            take_over_at: Instant::now(),
            take_over_pause: TAKE_OVER_PAUSE_MIN,
            told_parked: false,
            applied_at: None,
            pages,
            pace,
            halt,
            runtime,
            model,
        }
    }

    /// Runs until it is halted or someone else leads. The batch under way is finished; a database that
    /// does not answer is asked for ever, with growing pauses.
    pub(super) async fn run(mut self) -> Ended {
        let mut pause = RETRY_PAUSE_MIN;
        if self.live {
            self.publish();
        }
        while !self.halt.is_cancelled() {
            match self.step().await {
                Ok(Step::Again) => pause = RETRY_PAUSE_MIN,
                Ok(Step::End) => return Ended::NotLeading,
                Err(error) => {
                    tracing::warn!(
                        projection.name = self.model.name(),
                        projection.version = self.model.version(),
                        projection.generation = self.checkpoint.generation,
                        projection.position = self.checkpoint.position,
                        error = super::failure::describe(&error),
                        retry_ms = pause.as_millis(),
                        "a projection can't go on: trying again"
                    );
                    tokio::select! {
                        () = self.halt.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(self.runtime.options.retry_pause_max);
                    self.resubscribe();
                }
            }
        }
        if let Err(error) = self.write_skipped().await {
            tracing::debug!(projection.name = self.model.name(), %error, "the last checkpoint was not written");
        }
        Ended::Stopped
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        if !self.created {
            return self.create().await;
        }
        if !self.live && !self.pace.may_go_on(&self.halt).await {
            return Ok(Step::Again);
        }
        if !self.live {
            let goal = match self.goal {
                Some(goal) => goal,
                None => *self.goal.insert(self.runtime.store.head().await?),
            };
            if self.seen >= goal && Instant::now() >= self.take_over_at {
                return self.finish_build().await;
            }
        }
        // A build that waits for its next try to take over must not sleep through it.
        let build_waits = !self.live && self.goal.is_some_and(|goal| self.seen >= goal);
        let wake_at = [self.skip_at, build_waits.then_some(self.take_over_at)].into_iter().flatten().min();
        let max = match self.live {
            true => self.runtime.options.batch_events_max,
            false => self.pace.page(self.runtime.options.build_batch_events_max),
        };
        let batch = tokio::select! {
            biased;
            () = self.halt.cancelled() => return Ok(Step::Again),
            batch = self.pages.next(&*self.model, max) => batch?,
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                return self.write_skipped().await;
            }
        };
        if !self.live && self.goal.is_some_and(|goal| batch.position < goal) {
            self.pages.fetch_ahead(&self.model, max);
        }
        if batch.events.is_empty() {
            self.seen = self.seen.max(batch.position);
            // At once if the last one was long ago, so that a quiet system has no delay.
            self.skip_at.get_or_insert(self.skipped_at + SKIP_WITHIN);
            self.publish();
            if self.skip_at.is_some_and(|at| at <= Instant::now()) {
                return self.write_skipped().await;
            }
            return Ok(Step::Again);
        }
        let begun = Instant::now();
        let _turn = match self.live {
            true => None,
            // Closed never; without a turn it would only be less considerate.
            false => Arc::clone(&self.runtime.builds).acquire_owned().await.ok(),
        };
        let written = batch::write(self.target(), self.checkpoint, &batch.events, batch.position).await?;
        let Written::Yes { parked_keys } = written else {
            return Ok(Step::End);
        };
        self.moved_to(batch.position);
        self.pace.applied(batch.events.len());
        self.applied_at = batch.events.last().map(|event| event.recorded_at);
        metrics::batch(&*self.model, batch.events.len(), begun.elapsed());
        if self.live {
            metrics::parked(&*self.model, parked_keys);
        }
        self.publish();
        Ok(Step::Again)
    }

    async fn create(&mut self) -> Result<Step, StepError> {
        match takeover::progress_of(self.target(), self.checkpoint).await? {
            None => Ok(Step::End),
            Some((true, indexed)) => {
                (self.created, self.indexed) = (true, indexed);
                Ok(Step::Again)
            }
            Some((false, _)) => {
                let shape = model::shape(&*self.model);
                takeover::create(self.target(), self.checkpoint, &shape).await?;
                self.created = true;
                Ok(Step::Again)
            }
        }
    }

    /// The build is where the head was: indexes, then the swap.
    async fn finish_build(&mut self) -> Result<Step, StepError> {
        if !self.indexed {
            match takeover::progress_of(self.target(), self.checkpoint).await? {
                None => return Ok(Step::End),
                Some((_, true)) => {}
                Some((_, false)) => takeover::create_indexes(self.target(), self.checkpoint).await?,
            }
            self.indexed = true;
            // The log went on meanwhile.
            self.goal = None;
            return Ok(Step::Again);
        }
        // From the fields, because the pages are lent beside it.
        let target = Target {
            pool: self.runtime.store.pool(),
            model: &*self.model,
            durability: Durability::Flushed,
            transaction_idle_ms: self.runtime.options.transaction_idle.as_millis(),
        };
        let tried = takeover::take_over(
            target,
            self.checkpoint,
            self.seen,
            &mut self.pages,
            self.runtime.options.build_batch_events_max,
            self.runtime.options.lock_timeout,
        )
        .await;
        let not_yet = match tried {
            Ok(TakeOver::Done { position }) => {
                self.live = true;
                self.moved_to(position);
                self.publish();
                tracing::info!(
                    projection.name = self.model.name(),
                    projection.version = self.model.version(),
                    projection.generation = self.checkpoint.generation,
                    projection.position = position,
                    "a read model took over"
                );
                return Ok(Step::Again);
            }
            Ok(TakeOver::NotLeading) => return Ok(Step::End),
            Ok(TakeOver::NotYet(not_yet)) => not_yet,
            // An event of the last batches: the next ordinary batch parks it.
            Err(Failure::Event(_)) => NotYet::Busy,
            Err(Failure::Database(error)) => return Err(error.into()),
        };
        tracing::debug!(projection.name = self.model.name(), ?not_yet, "a build could not take over yet");
        if not_yet == NotYet::Parked && !std::mem::replace(&mut self.told_parked, true) {
            tracing::warn!(
                projection.name = self.model.name(),
                projection.version = self.model.version(),
                projection.generation = self.checkpoint.generation,
                "a build has parked keys: replay them, or confirm that it may take over with them"
            );
        }
        let pause = match not_yet {
            NotYet::Behind { live } => {
                self.goal = Some(live);
                TAKE_OVER_PAUSE_MIN
            }
            NotYet::Parked => PARKED_PAUSE,
            NotYet::Busy => {
                let pause = self.take_over_pause;
                self.take_over_pause = (pause * 2).min(TAKE_OVER_PAUSE_MAX);
                pause
            }
        };
        self.take_over_at = Instant::now() + pause;
        self.resubscribe();
        Ok(Step::Again)
    }

    /// Writes a checkpoint that moved past events of others.
    async fn write_skipped(&mut self) -> Result<Step, StepError> {
        if self.seen <= self.checkpoint.position || !self.created {
            self.skip_at = None;
            return Ok(Step::Again);
        }
        match batch::skip(self.target(), self.checkpoint, self.seen).await? {
            Written::NotLeading => Ok(Step::End),
            Written::Yes { .. } => {
                self.moved_to(self.seen);
                self.skipped_at = Instant::now();
                Ok(Step::Again)
            }
        }
    }

    fn moved_to(&mut self, position: u64) {
        self.checkpoint.position = position;
        self.seen = position;
        self.skip_at = None;
    }

    /// Reads on from the checkpoint, after something was read that was not written.
    fn resubscribe(&mut self) {
        self.seen = self.checkpoint.position;
        self.skip_at = None;
        self.pages = Pages::after(&self.runtime.store, &*self.model, self.seen);
    }

    /// Wakes this node's readers. Also true of a position whose checkpoint is not written yet: there
    /// is nothing of this projection in between.
    fn publish(&self) {
        if self.live {
            self.runtime.progress.publish(&*self.model, self.seen, self.applied_at);
        }
    }

    fn target(&self) -> Target<'_> {
        Target {
            pool: self.runtime.store.pool(),
            model: &*self.model,
            durability: if self.live { Durability::Flushed } else { Durability::Lazy },
            transaction_idle_ms: self.runtime.options.transaction_idle.as_millis(),
        }
    }
}
