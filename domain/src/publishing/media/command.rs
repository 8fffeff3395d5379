use chrono::{DateTime, Utc};

use super::{FileName, MediaOrigin, StoredFile, Variant};
use crate::kernel::{OrganizationId, PostId, UserId};

/// What may be asked of a file of the library.
#[derive(Clone, Debug)]
pub enum MediaAssetCommand {
    /// Its bytes are in the file store.
    Store(Box<NewMedia>),
    /// Its variants are in the file store. Does nothing if they were before.
    NoteProcessed {
        variants: Vec<Variant>,
        /// What was not known when it was uploaded.
        width: Option<u32>,
        height: Option<u32>,
        duration_ms: Option<u64>,
        now: DateTime<Utc>,
    },
    NoteProcessingFailed {
        reason: String,
        now: DateTime<Utc>,
    },
    /// A post that is not finished shows it: it can't be deleted. Does nothing if it does already.
    Attach {
        post: PostId,
        now: DateTime<Utc>,
    },
    /// The post is finished or shows it no longer.
    Detach {
        post: PostId,
        now: DateTime<Utc>,
    },
    Delete {
        /// None: because its organization was closed.
        by: Option<UserId>,
        now: DateTime<Utc>,
    },
}

/// A file that came in whole and is what it says.
#[derive(Clone, Debug)]
pub struct NewMedia {
    pub organization: OrganizationId,
    pub uploaded_by: UserId,
    pub name: FileName,
    pub file: StoredFile,
    pub origin: MediaOrigin,
    pub now: DateTime<Utc>,
}
