//! What is published: texts, and the files that go with them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{ProviderError, Published};

/// What is published: the post, and the replies that make it a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingPost {
    /// What shall stand, from the first part on: at least one.
    pub parts: Vec<OutgoingPart>,
    /// Those of `parts` that stand already, the first first. What follows them is published, each as an
    /// answer to the one before.
    pub standing: Vec<Published>,
    /// The time that the post bears, the same in every attempt.
    pub at: DateTime<Utc>,
    /// What it is told on this channel, by [`super::PlatformInfo::settings`]; checked when it was scheduled.
    pub settings: Map<String, Value>,
}

/// One part of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingPart {
    pub text: String,
    /// In the order in which they are shown; none of a part that stands already.
    pub attachments: Vec<Attachment>,
}

impl<T: Into<String>> From<T> for OutgoingPart {
    fn from(text: T) -> Self {
        Self { text: text.into(), attachments: Vec::new() }
    }
}

/// A file that goes with a part. It is not read before a provider asks for its bytes.
#[derive(Clone)]
pub struct Attachment {
    /// Its sniffed MIME type: `image/png`.
    pub media_type: String,
    pub size_bytes: u64,
    /// In pixels, where it is known.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// What it shows, for those who can't see it.
    pub alt_text: Option<String>,
    pub source: Arc<dyn AttachmentSource>,
}

/// Where an attachment's bytes come from.
#[async_trait]
pub trait AttachmentSource: Send + Sync {
    /// All of it.
    ///
    /// # Errors
    /// If the store of the files does not give it: nothing was published then.
    async fn read(&self) -> Result<Vec<u8>, ProviderError>;
}

impl Attachment {
    pub fn is_image(&self) -> bool {
        self.media_type.starts_with("image/")
    }
}

impl PartialEq for Attachment {
    fn eq(&self, other: &Self) -> bool {
        let what = |it: &Self| (it.media_type.clone(), it.size_bytes, it.alt_text.clone());
        what(self) == what(other)
    }
}

impl Eq for Attachment {}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachment({}, {} bytes)", self.media_type, self.size_bytes)
    }
}
