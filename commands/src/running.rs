//! Tasks under way, to be waited for at the end.

use tokio_util::task::TaskTracker;

/// What a `start` returned: the tasks run until its token is cancelled.
#[must_use = "wait for `stopped` after cancelling, or what is in flight is cut off"]
pub struct Running {
    tasks: TaskTracker,
}

impl Running {
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        tasks.close();
        Self { tasks }
    }

    /// Waits until what was in flight when the token was cancelled is done.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}
