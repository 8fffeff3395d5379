//! Where a relay stands, for whoever asks: nothing is written and nobody is fenced.

use annals_eventstore::EventStore;
use serde::Serialize;

use super::{Checkpoint, KafkaSettings, RelayError, checkpoint, leader, live};

#[derive(Clone, Debug, Serialize)]
pub struct RelayStatus {
    pub prefix: String,
    /// Whether a node holds the relay's lock.
    pub running: bool,
    /// The last position of the log.
    pub head: u64,
    /// Positions that are not in Kafka yet.
    pub lag: u64,
    /// The last checkpoint in Kafka; none if nothing was relayed under this prefix.
    pub checkpoint: Option<Checkpoint>,
    /// Why nothing can be relayed until a person has decided, and what there is to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Asks Kafka and the database.
///
/// # Errors
/// If one of them does not answer.
pub async fn status(store: &EventStore, settings: &KafkaSettings) -> Result<RelayStatus, RelayError> {
    let asked = settings.clone();
    let checkpoint = tokio::task::spawn_blocking(move || checkpoint::read(&asked))
        .await
        .unwrap_or_else(|error| Err(RelayError::Panicked(error.to_string())))?;
    let problem = match &checkpoint {
        None => None,
        Some(checkpoint) => match live::check_same_log(store, settings, checkpoint).await {
            Ok(()) => None,
            Err(error) if error.needs_a_person() => Some(error.to_string()),
            Err(error) => return Err(error),
        },
    };
    let head = store.head().await?;
    let position = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.position);
    Ok(RelayStatus {
        prefix: settings.prefix.clone(),
        running: leader::is_held(store.pool(), &settings.prefix).await?,
        head,
        lag: head.saturating_sub(position),
        checkpoint,
        problem,
    })
}
