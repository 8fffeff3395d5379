//! How much an organization keeps: one small aggregate per organization, so that its limit holds exactly.

use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Refusal, RefusalKind,
    kernel::{Allowance, MediaId, QuotaExceeded, named_events},
};

/// The files of one organization, counted; its id is the organization's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaLibrary {
    files: u64,
    bytes: u64,
}

impl MediaLibrary {
    /// What its files have together, without their variants.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn files(&self) -> u64 {
        self.files
    }
}

#[derive(Clone, Debug)]
pub enum MediaLibraryCommand {
    /// Takes a file in, if all of them then have at most `bytes_max` bytes and no more than the tier has.
    Add {
        media: MediaId,
        size_bytes: u64,
        /// The installation's, for every organization; none: without a limit.
        bytes_max: Option<u64>,
        allowance: Allowance,
    },
    Remove {
        media: MediaId,
        size_bytes: u64,
    },
}

/// What happened to a library, each `publishing.media_library.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MediaLibraryEvent {
    /// A file was taken in; its own stream says what it is.
    FileAdded { media_id: MediaId, size_bytes: u64 },
    /// A file was deleted: its bytes count no longer.
    FileRemoved { media_id: MediaId, size_bytes: u64 },
}

named_events! {
    MediaLibraryEvent, version "1",
    FileAdded => "publishing.media_library.file_added",
    FileRemoved => "publishing.media_library.file_removed",
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaLibraryError {
    #[error(
        "with these {size_bytes} bytes the organization would keep more than its {bytes_max}: it has {bytes} now; \
         delete what is not needed"
    )]
    Full { size_bytes: u64, bytes: u64, bytes_max: u64 },
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
}

impl Refusal for MediaLibraryError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "MEDIA_LIBRARY_FULL",
            Self::Quota(exceeded) => exceeded.code(),
        }
    }

    fn field(&self) -> Option<&str> {
        Some("file")
    }

    fn quota(&self) -> Option<&QuotaExceeded> {
        match self {
            Self::Full { .. } => None,
            Self::Quota(exceeded) => Some(exceeded),
        }
    }
}

impl Aggregate for MediaLibrary {
    const TYPE: &'static str = "publishing.media_library";
    type Command = MediaLibraryCommand;
    type Event = MediaLibraryEvent;
    type Error = MediaLibraryError;
    type Services = ();

    async fn handle(
        &mut self,
        command: MediaLibraryCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), MediaLibraryError> {
        let event = match command {
            MediaLibraryCommand::Add { media, size_bytes, bytes_max, allowance } => {
                allowance.check(self.bytes, size_bytes)?;
                if let Some(bytes_max) = bytes_max
                    && self.bytes.saturating_add(size_bytes) > bytes_max
                {
                    return Err(MediaLibraryError::Full { size_bytes, bytes: self.bytes, bytes_max });
                }
                MediaLibraryEvent::FileAdded { media_id: media, size_bytes }
            }
            MediaLibraryCommand::Remove { media, size_bytes } => {
                MediaLibraryEvent::FileRemoved { media_id: media, size_bytes }
            }
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: MediaLibraryEvent) {
        match event {
            MediaLibraryEvent::FileAdded { size_bytes, .. } => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(size_bytes);
            }
            MediaLibraryEvent::FileRemoved { size_bytes, .. } => {
                self.files = self.files.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(size_bytes);
            }
        }
    }
}
