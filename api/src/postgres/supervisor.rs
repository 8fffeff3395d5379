//! Starts a Postgres that died again, until it is told to stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    PostgresError,
    postmaster::{Launch, Postmaster},
};

/// The first pause is short: what keeps a killed Postgres from starting again is its own children,
/// and they end within milliseconds.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Having lived for so long, it is not failing at start any more.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

pub(super) struct Supervisor {
    pid: Arc<AtomicI32>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), PostgresError>>,
}

impl Supervisor {
    pub(super) fn watch(launch: Launch, postmaster: Postmaster) -> Self {
        let pid = Arc::new(AtomicI32::new(postmaster.pid));
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch(launch, postmaster, Arc::clone(&pid), stop.clone()));
        Self { pid, stop, task }
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Lets go without stopping anything, as a killed server does.
    #[cfg(test)]
    pub(super) async fn abandon(self) {
        self.task.abort();
        assert!(self.task.await.is_err(), "the task was at its work");
    }

    pub(super) async fn stop(self) -> Result<(), PostgresError> {
        self.stop.cancel();
        match self.task.await {
            Ok(stopped) => stopped,
            Err(error) => {
                tracing::error!(%error, "the task that watches postgres failed");
                Ok(())
            }
        }
    }
}

async fn watch(
    launch: Launch,
    mut postmaster: Postmaster,
    pid: Arc<AtomicI32>,
    stop: CancellationToken,
) -> Result<(), PostgresError> {
    let mut pause = PAUSE_MIN;
    let mut started = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return postmaster.stop().await,
            () = postmaster.ended() => {}
        }
        if started.elapsed() > SETTLED_AFTER {
            pause = PAUSE_MIN;
        }
        tracing::error!(
            postgres.pid = postmaster.pid,
            log = %launch.log().display(),
            "postgres ended by itself: it is started again"
        );
        postmaster = loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
            started = Instant::now();
            match launch.start().await {
                Ok(postmaster) => break postmaster,
                Err(error) => tracing::error!(%error, "postgres could not be started again"),
            }
        };
        pid.store(postmaster.pid, Ordering::Relaxed);
    }
}
