//! What the alerts ask of a node beside what it counts: its database, its disk.

use std::{path::PathBuf, time::Duration};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How often a node looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A database that takes longer than this to answer is down, to whoever waits for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Tells the metrics, until `stop`, whether the database answers and how full the data folder's disk is.
pub async fn watch(pool: PgPool, data: PathBuf, stop: CancellationToken) {
    loop {
        let asked = tokio::time::timeout(ANSWER_WITHIN, sqlx::query("SELECT 1").execute(&pool)).await;
        let is_up = matches!(asked, Ok(Ok(_)));
        metrics::gauge!("annals_database_up").set(if is_up { 1.0 } else { 0.0 });
        match rustix::fs::statvfs(&data) {
            Ok(disk) => {
                // What is kept back for root is of no use to us.
                let bytes = |blocks: u64| (blocks * disk.f_frsize) as f64;
                metrics::gauge!("annals_disk_free_bytes").set(bytes(disk.f_bavail));
                metrics::gauge!("annals_disk_size_bytes").set(bytes(disk.f_blocks));
            }
            Err(error) => tracing::debug!(%error, "the disk can't be looked at"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
