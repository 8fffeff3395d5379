//! What a post says and where it goes, parsed once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    kernel::{IntegrationId, InvalidText, TagId},
    publishing::{Invalid, InvalidField},
};

/// Parts of a thread after the first.
pub const THREAD_PARTS_MAX: usize = 25;
pub const CHANNELS_MAX: usize = 50;
pub const TAGS_MAX: usize = 20;

/// A post's text: 1 to 10 000 characters, lines allowed, kept as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PostText(String);

impl PostText {
    pub const MAX_CHARS: usize = 10_000;

    /// # Errors
    /// If it is blank, too long or holds control characters other than tabs and line ends.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        if text.trim().is_empty() {
            return Err(InvalidText::new("must not be empty"));
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(InvalidText::new(format!("must have at most {} characters", Self::MAX_CHARS)));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(InvalidText::new("must not contain control characters"));
        }
        Ok(Self(text.to_string()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A channel the post goes to, with a text of its own if it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    pub channel: IntegrationId,
    /// In place of the post's first part on this channel; the thread stays.
    pub content: Option<PostText>,
}

/// What a post says, where, and under which labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Composition {
    content: PostText,
    thread: Vec<PostText>,
    targets: Vec<Target>,
    tags: Vec<TagId>,
}

/// A composition as it was given, before it is parsed.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    pub content: &'a str,
    pub thread: Vec<&'a str>,
    pub targets: Vec<(IntegrationId, Option<&'a str>)>,
    pub tags: Vec<TagId>,
}

impl Composition {
    /// Everything that is wrong is said at once, by the names of the HTTP body.
    ///
    /// # Errors
    /// If a text is not acceptable, a channel is listed twice, or there is too much of something.
    pub fn parse(draft: &Draft<'_>) -> Result<Self, Invalid> {
        let mut problems = Problems::default();
        let content = problems.text("content".to_string(), draft.content);
        problems.at_most("thread", draft.thread.len(), THREAD_PARTS_MAX);
        problems.at_most("integrations", draft.targets.len(), CHANNELS_MAX);
        problems.at_most("tags", draft.tags.len(), TAGS_MAX);
        problems.end()?;

        let thread = draft
            .thread
            .iter()
            .enumerate()
            .map(|(index, text)| problems.text(format!("thread[{index}]"), text))
            .collect();
        let mut targets: Vec<Target> = Vec::with_capacity(draft.targets.len());
        for (index, (channel, text)) in draft.targets.iter().enumerate() {
            if targets.iter().any(|target| target.channel == *channel) {
                problems.add(format!("integrations[{index}].id"), "is listed twice");
            }
            let content = text.map(|text| problems.text(format!("integrations[{index}].content"), text));
            targets.push(Target { channel: *channel, content });
        }
        let mut tags = Vec::with_capacity(draft.tags.len());
        for tag in &draft.tags {
            if !tags.contains(tag) {
                tags.push(*tag);
            }
        }
        problems.end()?;
        Ok(Self { content, thread, targets, tags })
    }

    pub fn content(&self) -> &PostText {
        &self.content
    }

    pub fn thread(&self) -> &[PostText] {
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

    /// The texts for a channel, first part first; none if the post does not go there.
    pub fn parts_for(&self, channel: IntegrationId) -> Option<Vec<String>> {
        let target = self.targets.iter().find(|target| target.channel == channel)?;
        let first = target.content.as_ref().unwrap_or(&self.content);
        Some(std::iter::once(first).chain(&self.thread).map(|part| part.0.clone()).collect())
    }
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

    fn at_most(&mut self, field: &str, count: usize, max: usize) {
        if count > max {
            self.add(field.to_string(), format!("must have at most {max} entries"));
        }
    }

    fn end(&mut self) -> Result<(), Invalid> {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(std::mem::take(&mut self.0))) }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn everything_wrong_is_said_at_once_by_name() {
        let channel = IntegrationId::new(Uuid::from_u128(1));
        let draft = Draft {
            content: " ",
            thread: vec!["fine", ""],
            targets: vec![(channel, None), (channel, Some("\u{7}"))],
            tags: Vec::new(),
        };
        let Invalid(first) = Composition::parse(&draft).unwrap_err();
        assert_eq!(first, [InvalidField::new("content", "must not be empty")]);
        let draft = Draft { content: "fine", ..draft };
        let Invalid(fields) = Composition::parse(&draft).unwrap_err();
        let names: Vec<_> = fields.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(names, ["thread[1]", "integrations[1].id", "integrations[1].content"]);
    }

    #[test]
    fn the_bounds_hold_to_the_character() {
        let text = "é".repeat(PostText::MAX_CHARS);
        assert!(PostText::parse(&text).is_ok());
        assert!(PostText::parse(&format!("{text}x")).is_err());
        let many = |parts: usize| Draft { content: "x", thread: vec!["y"; parts], ..Draft::default() };
        assert!(Composition::parse(&many(THREAD_PARTS_MAX)).is_ok());
        let invalid = Composition::parse(&many(THREAD_PARTS_MAX + 1)).unwrap_err();
        assert_eq!(invalid, Invalid::field("thread", "must have at most 25 entries"));
    }

    #[test]
    fn a_channels_own_text_takes_the_place_of_the_first_part() {
        let [own, plain] = [1, 2].map(|n| IntegrationId::new(Uuid::from_u128(n)));
        let composition = Composition::parse(&Draft {
            content: "hello",
            thread: vec!["more"],
            targets: vec![(own, Some("hi")), (plain, None)],
            tags: Vec::new(),
        })
        .unwrap();
        assert_eq!(composition.parts_for(own).unwrap(), ["hi", "more"]);
        assert_eq!(composition.parts_for(plain).unwrap(), ["hello", "more"]);
        assert_eq!(composition.parts_for(IntegrationId::default()), None);
    }
}
