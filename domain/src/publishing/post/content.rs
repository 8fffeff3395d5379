//! What a post says and where it goes, parsed once.

mod draft;
mod stored;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    part::{MediaReference, Part, PostText},
    settings::TargetSettings,
};
use crate::{
    kernel::{IntegrationId, MediaId, TagId},
    publishing::Invalid,
};

pub use draft::{Draft, MediaDraft, PartDraft, TargetDraft};

/// Parts of a thread after the first.
pub const THREAD_PARTS_MAX: usize = 25;
pub const CHANNELS_MAX: usize = 50;
pub const TAGS_MAX: usize = 20;

/// A channel the post goes to, with what is its own there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    pub channel: IntegrationId,
    /// In place of the text of the post's first part on this channel.
    pub content: Option<PostText>,
    /// In place of the first part's media.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Vec<MediaReference>>,
    /// In place of what follows the first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Vec<Part>>,
    /// What the post is told there, by the names of the channel's platform.
    #[serde(default, skip_serializing_if = "TargetSettings::is_empty")]
    pub settings: TargetSettings,
}

impl From<IntegrationId> for Target {
    fn from(channel: IntegrationId) -> Self {
        Self { channel, ..Self::default() }
    }
}

/// What a post says, where, and under which labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "stored::Composition", into = "stored::Composition")]
#[schemars(with = "stored::Composition")]
pub struct Composition {
    content: PostText,
    /// Of the first part.
    media: Vec<MediaReference>,
    thread: Vec<Part>,
    targets: Vec<Target>,
    tags: Vec<TagId>,
}

impl Composition {
    /// Everything that is wrong is said at once, by the names of the HTTP body.
    ///
    /// # Errors
    /// If a text is not acceptable, a channel or a file is listed twice, or there is too much of something.
    pub fn parse(draft: &Draft) -> Result<Self, Invalid> {
        draft::parse(draft)
    }

    pub fn content(&self) -> &PostText {
        &self.content
    }

    /// Of the first part, where a channel has none of its own.
    pub fn media(&self) -> &[MediaReference] {
        &self.media
    }

    /// What follows the first part, where a channel has nothing of its own.
    pub fn thread(&self) -> &[Part] {
        &self.thread
    }

    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub fn tags(&self) -> &[TagId] {
        &self.tags
    }

    pub fn channels(&self) -> Vec<IntegrationId> {
        self.targets.iter().map(|target| target.channel).collect()
    }

    /// What goes to a channel, first part first; none if the post does not go there.
    pub fn parts_for(&self, channel: IntegrationId) -> Option<Vec<Part>> {
        let target = self.targets.iter().find(|target| target.channel == channel)?;
        let first = Part {
            text: target.content.as_ref().unwrap_or(&self.content).clone(),
            media: target.media.as_ref().unwrap_or(&self.media).clone(),
            delay_seconds: 0,
        };
        let thread = target.thread.as_ref().unwrap_or(&self.thread);
        Some(std::iter::once(first).chain(thread.iter().cloned()).collect())
    }

    /// What the post is told on a channel; nothing if it does not go there.
    pub fn settings_for(&self, channel: IntegrationId) -> TargetSettings {
        let target = self.targets.iter().find(|target| target.channel == channel);
        target.map(|target| target.settings.clone()).unwrap_or_default()
    }

    /// The same with one more part at the end of the thread, of channels' own ones too.
    ///
    /// # Errors
    /// If there are [`THREAD_PARTS_MAX`] already.
    pub fn with_reply(&self, reply: &Part) -> Result<Self, Invalid> {
        let mut longer = self.clone();
        let own = longer.targets.iter_mut().filter_map(|target| target.thread.as_mut());
        for thread in std::iter::once(&mut longer.thread).chain(own) {
            thread.push(reply.clone());
            if thread.len() > THREAD_PARTS_MAX {
                let message = format!("must have at most {THREAD_PARTS_MAX} entries");
                return Err(Invalid::field("thread", message));
            }
        }
        Ok(longer)
    }

    /// Every text of it, channels' own ones included.
    pub fn texts(&self) -> impl Iterator<Item = &PostText> {
        let own = self.targets.iter().flat_map(|target| {
            target.content.iter().chain(target.thread.iter().flatten().map(|part| &part.text))
        });
        std::iter::once(&self.content).chain(self.thread.iter().map(|part| &part.text)).chain(own)
    }

    /// Every file that it shows anywhere, each once.
    pub fn assets(&self) -> Vec<MediaId> {
        let of_thread = |thread: &[Part]| -> Vec<_> {
            thread.iter().flat_map(|part| &part.media).map(|media| media.asset_id).collect()
        };
        let mut assets: Vec<_> = self.media.iter().map(|media| media.asset_id).collect();
        assets.extend(of_thread(&self.thread));
        for target in &self.targets {
            assets.extend(target.media.iter().flatten().map(|media| media.asset_id));
            assets.extend(target.thread.iter().flat_map(|thread| of_thread(thread)));
        }
        assets.sort_unstable();
        assets.dedup();
        assets
    }
}
