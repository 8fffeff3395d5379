//! Group commit: two committers that take turns. While one batch commits, the next collects.

mod batch;
mod committer;
mod queue;
mod recover;
mod settle;

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{AppendError, Receipt, StoreError, prepare::Prepared, shared::Shared};

pub(crate) use batch::StoredKey;
pub(crate) use queue::Queue;

/// Why a batch did not take an append.
pub(crate) enum Refusal {
    Final(AppendError),
    /// A data key of it was made by another append meanwhile: seal again, with that one.
    SealAgain,
}

/// An append on its way, with where to send the answer.
pub(crate) struct Waiting {
    pub(crate) append: Prepared,
    pub(crate) reply: oneshot::Sender<Result<Receipt, Refusal>>,
    /// What surely did not happen by then is answered with `Unavailable`.
    pub(crate) deadline: tokio::time::Instant,
}

impl Waiting {
    pub(crate) fn answer(self, answer: Result<Receipt, Refusal>) {
        if self.reply.send(answer).is_err() {
            tracing::debug!("the caller of an append did not wait for its answer");
        }
    }
}

/// Starts the two committers; they end when the queue is closed and empty.
pub(crate) fn start(shared: &Arc<Shared>, queue: &Arc<Queue>) -> Vec<tokio::task::JoinHandle<()>> {
    (0..2)
        .map(|number| {
            let committer = committer::Committer::new(number, Arc::clone(shared), Arc::clone(queue));
            tokio::spawn(committer.run())
        })
        .collect()
}

pub(crate) fn closed() -> AppendError {
    AppendError::Unavailable(StoreError::Database(sqlx::Error::PoolClosed))
}
