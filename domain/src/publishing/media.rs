//! A file of an organization's media library: what it is, what was made of it, and who uses it.
//!
//! The bytes lie in a file store under a name that follows from the asset's id; the log has what they
//! are. What a file is was found out from its bytes, never from what its sender says.

mod command;
mod error;
mod event;
mod file;
mod library;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub use command::{MediaAssetCommand, NewMedia};
pub use error::MediaAssetError;
pub use event::MediaAssetEvent;
pub use file::{FileName, MediaKind, MediaOrigin, MediaType, StoredFile, Variant};
pub use library::{MediaLibrary, MediaLibraryCommand, MediaLibraryError, MediaLibraryEvent};

use crate::kernel::{OrganizationId, PostId, UserId};

/// A file of the media library, as its events left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaAsset {
    organization: OrganizationId,
    uploaded_by: UserId,
    file: Option<StoredFile>,
    variants: Vec<Variant>,
    processing: Processing,
    /// Posts that are not finished and show it.
    used_by: BTreeSet<PostId>,
    state: AssetState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AssetState {
    #[default]
    Absent,
    Stored,
    Deleted,
}

/// Whether its variants are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Processing {
    #[default]
    Pending,
    Done,
    /// In words for whoever looks at the library; the file itself is fine.
    Failed(String),
}

impl Processing {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed(_) => "failed",
        }
    }
}

impl MediaAsset {
    /// Whether it is there: stored and not deleted.
    pub fn exists(&self) -> bool {
        self.state == AssetState::Stored
    }

    pub fn was_deleted(&self) -> bool {
        self.state == AssetState::Deleted
    }

    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn uploaded_by(&self) -> UserId {
        self.uploaded_by
    }

    /// The file as it was uploaded; none before it was.
    pub fn file(&self) -> Option<&StoredFile> {
        self.file.as_ref()
    }

    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    pub fn processing(&self) -> &Processing {
        &self.processing
    }

    /// Posts that are not finished and show it.
    pub fn used_by(&self) -> &BTreeSet<PostId> {
        &self.used_by
    }

    fn decide(&self, command: MediaAssetCommand) -> Result<Option<MediaAssetEvent>, MediaAssetError> {
        if let MediaAssetCommand::Store(new) = command {
            let NewMedia { organization, uploaded_by, name, file, origin, now } = *new;
            if self.state != AssetState::Absent {
                return Err(MediaAssetError::AlreadyStored);
            }
            return Ok(Some(MediaAssetEvent::Uploaded {
                organization_id: organization,
                uploaded_by,
                name: crate::kernel::Personal::new(uploaded_by, name),
                file,
                origin,
                at: now,
            }));
        }
        if !self.exists() {
            return Err(MediaAssetError::NotFound);
        }
        Ok(match command {
            MediaAssetCommand::Store(_) => None,
            MediaAssetCommand::NoteProcessed { variants, width, height, duration_ms, now } => (self
                .processing
                != Processing::Done)
                .then_some(MediaAssetEvent::Processed { variants, width, height, duration_ms, at: now }),
            MediaAssetCommand::NoteProcessingFailed { reason, now } => (self.processing
                == Processing::Pending)
                .then_some(MediaAssetEvent::ProcessingFailed { reason, at: now }),
            MediaAssetCommand::Attach { post, now } => (!self.used_by.contains(&post))
                .then_some(MediaAssetEvent::Attached { post_id: post, at: now }),
            MediaAssetCommand::Detach { post, now } => {
                self.used_by.contains(&post).then_some(MediaAssetEvent::Detached { post_id: post, at: now })
            }
            MediaAssetCommand::Delete { by, now } => {
                if !self.used_by.is_empty() {
                    return Err(MediaAssetError::InUse(self.used_by.iter().copied().collect()));
                }
                Some(MediaAssetEvent::Deleted { by, at: now })
            }
        })
    }
}

impl Aggregate for MediaAsset {
    const TYPE: &'static str = "publishing.media_asset";
    type Command = MediaAssetCommand;
    type Event = MediaAssetEvent;
    type Error = MediaAssetError;
    type Services = ();

    async fn handle(
        &mut self,
        command: MediaAssetCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), MediaAssetError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: MediaAssetEvent) {
        match event {
            MediaAssetEvent::Uploaded { organization_id, uploaded_by, file, .. } => {
                self.organization = organization_id;
                self.uploaded_by = uploaded_by;
                self.file = Some(file);
                self.state = AssetState::Stored;
            }
            MediaAssetEvent::Processed { variants, width, height, duration_ms, .. } => {
                self.variants = variants;
                self.processing = Processing::Done;
                if let Some(file) = &mut self.file {
                    file.width = file.width.or(width);
                    file.height = file.height.or(height);
                    file.duration_ms = file.duration_ms.or(duration_ms);
                }
            }
            MediaAssetEvent::ProcessingFailed { reason, .. } => self.processing = Processing::Failed(reason),
            MediaAssetEvent::Attached { post_id, .. } => {
                self.used_by.insert(post_id);
            }
            MediaAssetEvent::Detached { post_id, .. } => {
                self.used_by.remove(&post_id);
            }
            MediaAssetEvent::Deleted { .. } => self.state = AssetState::Deleted,
        }
    }
}
