//! A composition as it was given, before it is parsed; and what is wrong with it, by the names of
//! the HTTP body.

use super::super::{
    part::{AltText, DELAY_MAX, MEDIA_MAX, MediaReference, Part, PostText},
    settings::TargetSettings,
};
use super::{CHANNELS_MAX, Composition, TAGS_MAX, THREAD_PARTS_MAX, Target};
use serde_json::{Map, Value};

use crate::{
    kernel::{IntegrationId, MediaId, TagId},
    publishing::{Invalid, InvalidField},
};

/// What a caller wants to post.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub content: String,
    pub media: Vec<MediaDraft>,
    pub thread: Vec<PartDraft>,
    pub targets: Vec<TargetDraft>,
    pub tags: Vec<TagId>,
}

#[derive(Clone, Debug)]
pub struct MediaDraft {
    pub asset_id: MediaId,
    pub alt: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct PartDraft {
    pub content: String,
    pub media: Vec<MediaDraft>,
    /// Seconds after the part before it.
    pub delay_seconds: u64,
}

impl From<&str> for PartDraft {
    fn from(text: &str) -> Self {
        Self { content: text.to_string(), ..Self::default() }
    }
}

/// A channel; what is `None` is as for all channels.
#[derive(Clone, Debug, Default)]
pub struct TargetDraft {
    pub channel: IntegrationId,
    pub content: Option<String>,
    pub media: Option<Vec<MediaDraft>>,
    pub thread: Option<Vec<PartDraft>>,
    pub settings: Map<String, Value>,
}

impl From<IntegrationId> for TargetDraft {
    fn from(channel: IntegrationId) -> Self {
        Self { channel, ..Self::default() }
    }
}

impl From<&MediaReference> for MediaDraft {
    fn from(media: &MediaReference) -> Self {
        Self { asset_id: media.asset_id, alt: media.alt.as_ref().map(|alt| alt.as_str().to_string()) }
    }
}

impl From<&Part> for PartDraft {
    fn from(part: &Part) -> Self {
        Self {
            content: part.text.as_str().to_string(),
            media: drafts(&part.media),
            delay_seconds: u64::from(part.delay_seconds),
        }
    }
}

impl From<&Target> for TargetDraft {
    fn from(target: &Target) -> Self {
        Self {
            channel: target.channel,
            content: target.content.as_ref().map(|text| text.as_str().to_string()),
            media: target.media.as_deref().map(drafts),
            thread: target.thread.as_deref().map(drafts),
            settings: target.settings.as_map().clone(),
        }
    }
}

/// As it was given, to be asked for again.
impl From<&Composition> for Draft {
    fn from(composition: &Composition) -> Self {
        Self {
            content: composition.content().as_str().to_string(),
            media: drafts(composition.media()),
            thread: drafts(composition.thread()),
            targets: drafts(composition.targets()),
            tags: composition.tags().to_vec(),
        }
    }
}

fn drafts<'v, T, D: From<&'v T>>(all: &'v [T]) -> Vec<D> {
    all.iter().map(D::from).collect()
}

impl PartDraft {
    /// A part by itself, not as one of a thread's.
    ///
    /// # Errors
    /// With every field at fault.
    pub fn parse(&self) -> Result<Part, Invalid> {
        let mut problems = Problems::default();
        let part = problems.part("content".to_string(), "", self);
        problems.end()?;
        Ok(part)
    }
}

/// Everything that is wrong is said at once. Lists that are too long are not looked into.
pub(super) fn parse(draft: &Draft) -> Result<Composition, Invalid> {
    let mut problems = Problems::default();
    let content = problems.text("content".to_string(), &draft.content);
    problems.at_most("thread", draft.thread.len(), THREAD_PARTS_MAX);
    problems.at_most("integrations", draft.targets.len(), CHANNELS_MAX);
    problems.at_most("tags", draft.tags.len(), TAGS_MAX);
    problems.end()?;

    let media = problems.media("", &draft.media);
    let thread = problems.thread("", &draft.thread);
    let mut targets: Vec<Target> = Vec::with_capacity(draft.targets.len());
    for (index, target) in draft.targets.iter().enumerate() {
        let field = format!("integrations[{index}].");
        if targets.iter().any(|known| known.channel == target.channel) {
            problems.add(format!("{field}id"), "is listed twice");
        }
        targets.push(problems.target(&field, target));
    }
    let mut tags = Vec::with_capacity(draft.tags.len());
    for tag in &draft.tags {
        if !tags.contains(tag) {
            tags.push(*tag);
        }
    }
    problems.end()?;
    Ok(Composition { content, media, thread, targets, tags })
}

#[derive(Default)]
struct Problems(Vec<InvalidField>);

impl Problems {
    fn add(&mut self, field: String, message: impl ToString) {
        self.0.push(InvalidField::new(field, message));
    }

    fn text(&mut self, field: String, text: &str) -> PostText {
        PostText::parse(text).unwrap_or_else(|why| {
            self.add(field, why);
            PostText::default()
        })
    }

    fn target(&mut self, field: &str, target: &TargetDraft) -> Target {
        if target.thread.as_ref().is_some_and(|thread| thread.len() > THREAD_PARTS_MAX) {
            self.add(format!("{field}thread"), format!("must have at most {THREAD_PARTS_MAX} entries"));
            return Target::from(target.channel);
        }
        Target {
            channel: target.channel,
            content: target.content.as_ref().map(|text| self.text(format!("{field}content"), text)),
            media: target.media.as_ref().map(|media| self.media(field, media)),
            thread: target.thread.as_ref().map(|thread| self.thread(field, thread)),
            settings: TargetSettings::parse(target.settings.clone()).unwrap_or_else(|why| {
                self.add(format!("{field}settings"), why);
                TargetSettings::default()
            }),
        }
    }

    /// `field` is the prefix of what it belongs to: `thread[0].`, or nothing.
    fn media(&mut self, field: &str, media: &[MediaDraft]) -> Vec<MediaReference> {
        if media.len() > MEDIA_MAX {
            self.add(format!("{field}media"), format!("must have at most {MEDIA_MAX} entries"));
            return Vec::new();
        }
        let mut parsed: Vec<MediaReference> = Vec::with_capacity(media.len());
        for (index, MediaDraft { asset_id, alt }) in media.iter().enumerate() {
            if parsed.iter().any(|known| known.asset_id == *asset_id) {
                self.add(format!("{field}media[{index}].id"), "is listed twice");
            }
            let alt = alt.as_deref().and_then(|alt| {
                AltText::parse(alt).map_err(|why| self.add(format!("{field}media[{index}].alt"), why)).ok()
            });
            parsed.push(MediaReference { asset_id: *asset_id, alt });
        }
        parsed
    }

    fn thread(&mut self, field: &str, thread: &[PartDraft]) -> Vec<Part> {
        let part = |(index, part): (usize, &PartDraft)| {
            let field = format!("{field}thread[{index}]");
            self.part(field.clone(), &format!("{field}."), part)
        };
        thread.iter().enumerate().map(part).collect()
    }

    fn part(&mut self, text_field: String, field: &str, part: &PartDraft) -> Part {
        let delay_seconds = u32::try_from(part.delay_seconds).unwrap_or(u32::MAX);
        if u64::from(delay_seconds) > DELAY_MAX.as_secs() {
            let message = format!("must be at most {} seconds", DELAY_MAX.as_secs());
            self.add(format!("{field}delaySeconds"), message);
        }
        Part {
            text: self.text(text_field, &part.content),
            media: self.media(field, &part.media),
            delay_seconds,
        }
    }

    fn at_most(&mut self, field: &str, count: usize, max: usize) {
        if count > max {
            self.add(field.to_string(), format!("must have at most {max} entries"));
        }
    }

    fn end(&mut self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(std::mem::take(&mut self.0))) }
    }
}
