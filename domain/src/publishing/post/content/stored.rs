//! A composition as events have it. What posts learnt after version 1 was shipped stands beside its
//! fields, is optional, and is left out where a post has none of it: `thread` still is a list of texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::part::{MediaReference, Part, PostText, is_zero},
    Target,
};
use crate::kernel::TagId;

/// What a post says, where, and under which labels.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Composition {
    content: PostText,
    /// Of the first part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    media: Vec<MediaReference>,
    thread: Vec<PostText>,
    /// What the thread's parts have beside their texts, in the same order; empty if none has anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replies: Vec<Beside>,
    targets: Vec<Target>,
    tags: Vec<TagId>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Beside {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    media: Vec<MediaReference>,
    /// Seconds after the part before it stands.
    #[serde(default, skip_serializing_if = "is_zero")]
    delay_seconds: u32,
}

impl From<Composition> for super::Composition {
    fn from(stored: Composition) -> Self {
        let beside = stored.replies.into_iter().chain(std::iter::repeat_with(Beside::default));
        let thread = stored
            .thread
            .into_iter()
            .zip(beside)
            .map(|(text, Beside { media, delay_seconds })| Part { text, media, delay_seconds })
            .collect();
        Self {
            content: stored.content,
            media: stored.media,
            thread,
            targets: stored.targets,
            tags: stored.tags,
        }
    }
}

impl From<super::Composition> for Composition {
    fn from(composition: super::Composition) -> Self {
        let is_plain = |part: &Part| part.media.is_empty() && part.delay_seconds == 0;
        let all_plain = composition.thread.iter().all(is_plain);
        let (thread, mut replies): (Vec<_>, Vec<_>) = composition
            .thread
            .into_iter()
            .map(|Part { text, media, delay_seconds }| (text, Beside { media, delay_seconds }))
            .unzip();
        if all_plain {
            replies.clear();
        }
        Self {
            content: composition.content,
            media: composition.media,
            thread,
            replies,
            targets: composition.targets,
            tags: composition.tags,
        }
    }
}
