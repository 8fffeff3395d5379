//! The relay: every event of the log, once and in order, into Kafka.
//!
//! It is a reader of the log with a transactional producer. Events and the checkpoint that says how
//! far it is are written in one Kafka transaction, so a consumer that reads `read_committed` sees
//! each event once, whatever happens to the relay. How it is used is in `docs/analytics.md`. The
//! rooms: [`KafkaSettings`] says where, `topics` makes what is missing, `cloud_event` shapes a
//! record, `sink` holds the producer and its transactions, `checkpoint` reads back where it stands,
//! `leader` and `live` run it, [`backfill`] copies a range beside it, [`status`] looks at it.

mod asyncapi;
mod backfill;
mod checkpoint;
mod client;
mod cloud_event;
mod error;
mod leader;
mod live;
mod metrics;
mod publish;
mod settings;
mod sink;
mod status;
mod topics;
mod transfer;

pub use asyncapi::{AsyncApi, asyncapi};
pub use backfill::{Backfill, Progress, backfill};
pub use checkpoint::Checkpoint;
pub use error::RelayError;
pub use live::{Relay, RelayState, off, start};
pub use publish::{PublishError, publish};
pub use settings::{Compression, KafkaSettings, SettingsError};
pub use status::{RelayStatus, status};

/// How many brokers the cluster has, if it answers within the time.
///
/// # Errors
/// If it does not.
pub async fn reach(settings: &KafkaSettings, within: std::time::Duration) -> Result<usize, RelayError> {
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || topics::reach(&settings, within))
        .await
        .unwrap_or_else(|error| Err(RelayError::Panicked(error.to_string())))
}

/// Who writes, for the checkpoint: host and process.
fn writer() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}:{}", std::process::id())
}
