//! Thumbnails and other sizes of images, and what is made of videos where the programs for it are installed, made
//! by a worker after the upload; what became of it is an event.

use std::{sync::Arc, time::Duration};

use annals_domain::{
    kernel::MediaId,
    publishing::{
        MediaAsset, MediaAssetCommand, MediaAssetEvent,
        media::{MediaKind, Processing, StoredFile},
    },
};
use annals_eventstore::{Actor, ActorKind, Filter, RecordedEvent, Source};
use async_trait::async_trait;
use chrono::TimeDelta;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::{ORIGINAL, key};
use crate::{
    bus::{CommandBus, CommandError, Context},
    ports::{
        files::{Files, FilesError},
        media::{Made, Workshop, WorkshopError},
    },
    process::{ProcessManager, ReactError, Start},
    timers::{self, Fired, NewTimer, Timer, TimerHandler},
};

const KIND: &str = "publishing.media_processing";
/// Videos have timers of their own: they take longer, and images do not wait for them.
const VIDEO_KIND: &str = "publishing.video_processing";
/// Longer than all that is made of one; a worker that died holds its file for as long.
const IMAGE_LEASE: Duration = Duration::from_secs(60);
const VIDEO_LEASE: Duration = Duration::from_secs(20 * 60);
/// When who works on another file is asked again.
const BUSY_PAUSE: TimeDelta = TimeDelta::seconds(5);

/// Sets a timer for every image and video that is uploaded, due at once; takes it away if it is deleted before.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaProcessing;

#[derive(Serialize, Deserialize)]
struct Due {
    media: MediaId,
    /// Of the upload, so that what is made can be followed back to it.
    correlation: Uuid,
}

#[async_trait]
impl ProcessManager for MediaProcessing {
    const NAME: &'static str = KIND;

    // Timers are rows that events can rebuild, and what is made already is not made again.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        let event_types = ["publishing.media_asset.uploaded", "publishing.media_asset.deleted"];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let Ok(media) = event.stream.aggregate_id.parse::<MediaId>() else { return Ok(()) };
        match event.decode::<MediaAssetEvent>()? {
            MediaAssetEvent::Uploaded { file, at, .. } => {
                let kind = match file.media_type.kind() {
                    MediaKind::Image => KIND,
                    MediaKind::Video => VIDEO_KIND,
                    MediaKind::Document => return Ok(()),
                };
                let due = Due { media, correlation: event.metadata.correlation_id };
                let timer = NewTimer {
                    kind,
                    key: media.to_string(),
                    due_at: at,
                    payload: serde_json::to_value(due)?,
                    caused_by: event.event_id,
                    organization_id: event.metadata.organization_id,
                };
                timers::schedule(tx, timer).await?;
            }
            MediaAssetEvent::Deleted { .. } => {
                for kind in [KIND, VIDEO_KIND] {
                    timers::cancel(tx, kind, &media.to_string()).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Makes the variants when the timer fires. Their keys follow from the asset's id: made twice, they are the
/// same files.
#[derive(Clone)]
pub struct ProcessMedia {
    bus: CommandBus,
    files: Arc<dyn Files>,
    workshop: Arc<dyn Workshop>,
    kind: &'static str,
    lease: Duration,
}

/// Why nothing was made this time.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("the file could not be laid on the bench: {0}")]
    Bench(#[from] std::io::Error),
}

impl ProcessMedia {
    /// What makes smaller ones of images.
    pub fn images(bus: CommandBus, files: Arc<dyn Files>, workshop: Arc<dyn Workshop>) -> Self {
        Self { bus, files, workshop, kind: KIND, lease: IMAGE_LEASE }
    }

    /// What makes posters and MP4s of videos.
    pub fn videos(bus: CommandBus, files: Arc<dyn Files>, workshop: Arc<dyn Workshop>) -> Self {
        Self { bus, files, workshop, kind: VIDEO_KIND, lease: VIDEO_LEASE }
    }

    async fn make(&self, id: MediaId, asset: &MediaAsset, file: &StoredFile) -> Result<Made, Unmade> {
        let bench = self.workshop.bench()?;
        let mut bytes =
            self.files.open(&key(asset.organization(), id, ORIGINAL, file.media_type), None).await?;
        let mut on_bench = tokio::fs::File::create(bench.path()).await?;
        while let Some(part) = bytes.next().await {
            on_bench.write_all(&part?).await?;
        }
        on_bench.flush().await?;
        let made = self.workshop.make(bench.path(), file).await?;
        for made in &made.variants {
            let variant = &made.variant;
            let key = key(asset.organization(), id, &variant.name, variant.file.media_type);
            self.files.put(&key, &made.path).await?;
        }
        Ok(made)
    }

    async fn note(&self, context: &Context, id: MediaId, command: MediaAssetCommand) -> Fired {
        match self.bus.execute::<MediaAsset>(context, "ProcessMedia", id, command).await {
            // Deleted meanwhile: its folder is emptied once more by the sweep.
            Ok(_) | Err(CommandError::Refused(_)) => Fired::Done,
            Err(error) => Fired::NotActed { reason: error.to_string(), not_before: None },
        }
    }
}

#[async_trait]
impl TimerHandler for ProcessMedia {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn fire(&self, timer: &Timer) -> Fired {
        let due: Due = match serde_json::from_value(timer.payload.clone()) {
            Ok(due) => due,
            Err(error) => return Fired::Park { reason: format!("the timer can't be read: {error}") },
        };
        let asset = match self.bus.load::<MediaAsset>(due.media).await {
            Ok(loaded) => loaded.state,
            Err(error) => return Fired::NotActed { reason: error.to_string(), not_before: None },
        };
        let Some(file) = asset.file().filter(|_| asset.exists() && *asset.processing() != Processing::Done)
        else {
            return Fired::Done;
        };
        if !self.workshop.makes(file.media_type) {
            return Fired::Done;
        }
        let actor = Actor { kind: ActorKind::Process, id: Some(self.kind.to_string()) };
        // The asset itself sees to it that this has its effect once.
        let context = Context {
            correlation_id: due.correlation,
            causation_id: Some(timer.caused_by),
            ..Context::new(actor, timer.organization_id, Source::Worker)
        };
        let now = self.bus.now();
        match self.make(due.media, &asset, file).await {
            Ok(made) => {
                let command = MediaAssetCommand::NoteProcessed {
                    variants: made.variants.iter().map(|made| made.variant.clone()).collect(),
                    width: made.width,
                    height: made.height,
                    duration_ms: made.duration_ms,
                    now,
                };
                self.note(&context, due.media, command).await
            }
            Err(Unmade::Workshop(WorkshopError::Busy)) => Fired::Later { due_at: now + BUSY_PAUSE },
            Err(Unmade::Workshop(WorkshopError::Refused(reason))) => {
                self.note(&context, due.media, MediaAssetCommand::NoteProcessingFailed { reason, now }).await
            }
            Err(error) => Fired::NotActed { reason: error.to_string(), not_before: None },
        }
    }
}
