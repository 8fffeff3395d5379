//! Where checkpoints of the log are made public, so that nobody can take them back.

use async_trait::async_trait;

/// A signed checkpoint, ready to be given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// Events that it is about.
    pub size: u64,
    /// C2SP tlog-checkpoint: text and signature.
    pub note: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotPublished(pub String);

/// A place that keeps what it was given.
#[async_trait]
pub trait CheckpointPublisher: Send + Sync + 'static {
    /// Its name: how far it is, is remembered under it.
    fn place(&self) -> &str;

    /// Publishes a checkpoint. It may be asked again for one that it has: then it does nothing.
    ///
    /// # Errors
    /// In words for a person; it is tried again until it works.
    async fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), NotPublished>;
}
