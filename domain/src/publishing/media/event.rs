use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FileName, MediaOrigin, StoredFile, Variant};
use crate::kernel::{OrganizationId, Personal, PostId, UserId, named_events};

/// What happened to a file of the library, each `publishing.media_asset.<tag>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MediaAssetEvent {
    /// It came in whole, and its bytes are what its media type says.
    Uploaded {
        organization_id: OrganizationId,
        uploaded_by: UserId,
        /// Names of files say a lot about who named them.
        name: Personal<FileName>,
        file: StoredFile,
        origin: MediaOrigin,
        at: DateTime<Utc>,
    },
    /// Its variants are made, and what could be found out later was.
    Processed {
        variants: Vec<Variant>,
        width: Option<u32>,
        height: Option<u32>,
        duration_ms: Option<u64>,
        at: DateTime<Utc>,
    },
    /// No variants could be made of it; it can be used as it is.
    ProcessingFailed { reason: String, at: DateTime<Utc> },
    /// A post that is not finished shows it.
    Attached { post_id: PostId, at: DateTime<Utc> },
    /// The post is finished or shows it no longer.
    Detached { post_id: PostId, at: DateTime<Utc> },
    /// Its bytes and those of its variants go.
    Deleted {
        /// None: because its organization was closed.
        by: Option<UserId>,
        at: DateTime<Utc>,
    },
}

named_events! {
    MediaAssetEvent, version "1",
    Uploaded => "publishing.media_asset.uploaded",
    Processed => "publishing.media_asset.processed",
    ProcessingFailed => "publishing.media_asset.processing_failed",
    Attached => "publishing.media_asset.attached",
    Detached => "publishing.media_asset.detached",
    Deleted => "publishing.media_asset.deleted",
}
