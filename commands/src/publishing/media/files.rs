//! Takes the bytes of deleted files and of forgotten people's pictures out of the store, and those that no file
//! was made of.

use std::{sync::Arc, time::Duration};

use annals_domain::{
    identity::{OrganizationEvent, User},
    kernel::{MediaId, OrganizationId, UserId},
    publishing::{MediaAsset, MediaAssetEvent},
};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use sqlx::{Postgres, Transaction};
use tokio_util::sync::CancellationToken;

use super::{folder, organization_folder, owner};
use crate::{
    bus::{CommandBus, CommandError},
    identity::avatars,
    ports::files::{Files, FilesError},
    process::{ProcessManager, ReactError},
};

/// What lies in the store for so long without an event is of nobody: no upload takes half as long.
const ORPHAN_AFTER: TimeDelta = TimeDelta::hours(24);
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// The process manager that clears up in the file store. Keeps nothing.
#[derive(Clone)]
pub struct MediaFiles {
    bus: CommandBus,
    files: Arc<dyn Files>,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub looked_at: u64,
    pub removed: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Log(#[from] CommandError),
}

impl MediaFiles {
    pub fn new(bus: CommandBus, files: Arc<dyn Files>) -> Self {
        Self { bus, files }
    }

    /// Removes what has lain for `older_than` and belongs to no file that is there: what a program that was
    /// killed between storing and recording left.
    ///
    /// # Errors
    /// If the store or the log does not answer; what is left is for the next sweep.
    pub async fn sweep(&self, older_than: TimeDelta) -> Result<Swept, SweepError> {
        let cutoff = self.bus.now() - older_than;
        let mut entries = self.files.list("media");
        let mut swept = Swept::default();
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            swept.looked_at += 1;
            let Some((_, id)) = owner(&entry.key) else { continue };
            if entry.modified_at > cutoff || self.bus.load::<MediaAsset>(id).await?.state.exists() {
                continue;
            }
            self.files.delete(&entry.key).await?;
            swept.removed += 1;
        }
        self.sweep_avatars(cutoff, &mut swept).await?;
        Ok(swept)
    }

    /// The same of pictures that are nobody's any more.
    async fn sweep_avatars(&self, cutoff: DateTime<Utc>, swept: &mut Swept) -> Result<(), SweepError> {
        let mut entries = self.files.list(avatars::FOLDER);
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            swept.looked_at += 1;
            let Some((id, name)) = avatars::owner(&entry.key) else { continue };
            let user = self.bus.load::<User>(id).await?.state;
            if entry.modified_at > cutoff || avatars::current(id, &user).as_deref() == Some(name) {
                continue;
            }
            self.files.delete(&entry.key).await?;
            swept.removed += 1;
        }
        Ok(())
    }

    /// Sweeps now and then until `stop` is cancelled. Any number of nodes may.
    pub async fn sweep_until(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.sweep(ORPHAN_AFTER).await {
                Ok(Swept { removed: 0, .. }) => {}
                Ok(swept) => tracing::info!(?swept, "files that no media was made of are removed"),
                Err(error) => tracing::warn!(%error, "the file store could not be swept; it is tried again"),
            }
        }
    }

    async fn remove_all(&self, folder: &str) -> Result<(), FilesError> {
        let mut entries = self.files.list(folder);
        while let Some(entry) = entries.next().await {
            self.files.delete(&entry?.key).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl ProcessManager for MediaFiles {
    const NAME: &'static str = "publishing.media_files";

    fn filter(&self) -> Filter {
        let event_types =
            ["publishing.media_asset.deleted", "identity.organization.closed", "identity.user.deleted"];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        _: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let failed = |error: FilesError| ReactError::Other(Box::new(error));
        if event.event_type == "identity.organization.closed" {
            let OrganizationEvent::Closed = event.decode()? else { return Ok(()) };
            let Ok(organization) = event.stream.aggregate_id.parse::<OrganizationId>() else { return Ok(()) };
            return self.remove_all(&organization_folder(organization)).await.map_err(failed);
        }
        if event.event_type == "identity.user.deleted" {
            let Ok(user) = event.stream.aggregate_id.parse::<UserId>() else { return Ok(()) };
            return self.remove_all(&avatars::folder(user)).await.map_err(failed);
        }
        let MediaAssetEvent::Deleted { .. } = event.decode()? else { return Ok(()) };
        let Ok(id) = event.stream.aggregate_id.parse::<MediaId>() else { return Ok(()) };
        let asset = self.bus.load::<MediaAsset>(id).await?.state;
        self.remove_all(&folder(asset.organization(), id)).await.map_err(failed)
    }
}
