//! The labels of an organization's posts: one small aggregate per organization.

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Refusal, RefusalKind,
    kernel::{InvalidText, TagId, bounded},
};

/// How many tags an organization may have.
pub const TAGS_MAX: usize = 500;

/// A tag's name: 1 to 40 characters, compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TagName(String);

impl TagName {
    pub const MAX_CHARS: usize = 40;

    /// # Errors
    /// If it is empty, too long or holds control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        bounded(text, Self::MAX_CHARS).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether two names mean the same tag.
    pub fn is_same(&self, other: &TagName) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

/// A colour as `#rrggbb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Color(String);

impl Color {
    /// # Errors
    /// If it is not `#` with six hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let digits = text.strip_prefix('#').unwrap_or_default();
        if digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidText::new("must be a colour such as #1a2b3c"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Color {
    fn default() -> Self {
        Self("#6b7280".to_string())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    pub id: TagId,
    pub name: TagName,
    pub color: Color,
}

/// The tags of one organization; its id is the organization's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagBook {
    tags: Vec<Tag>,
}

impl TagBook {
    pub fn get(&self, id: TagId) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.id == id)
    }

    pub fn named(&self, name: &TagName) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.name.is_same(name))
    }
}

#[derive(Clone, Debug)]
pub enum TagBookCommand {
    Create(Tag),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TagBookEvent {
    Created { tag_id: TagId, name: TagName, color: Color },
}

impl TagBookEvent {
    pub const TYPES: [&str; 1] = ["publishing.tags.created"];
}

impl DomainEvent for TagBookEvent {
    fn event_type(&self) -> String {
        match self {
            TagBookEvent::Created { .. } => "publishing.tags.created",
        }
        .to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagBookError {
    #[error("there is a tag named {0} already")]
    NameTaken(String),
    #[error("an organization may have at most {TAGS_MAX} tags")]
    Full,
}

impl Refusal for TagBookError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        match self {
            TagBookError::NameTaken(_) => "TAG_NAME_TAKEN",
            TagBookError::Full => "TOO_MANY_TAGS",
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            TagBookError::NameTaken(_) => Some("name"),
            TagBookError::Full => None,
        }
    }
}

impl Aggregate for TagBook {
    const TYPE: &'static str = "publishing.tags";
    type Command = TagBookCommand;
    type Event = TagBookEvent;
    type Error = TagBookError;
    type Services = ();

    async fn handle(
        &mut self,
        command: TagBookCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), TagBookError> {
        let TagBookCommand::Create(Tag { id, name, color }) = command;
        if self.named(&name).is_some() {
            return Err(TagBookError::NameTaken(name.0));
        }
        if self.tags.len() >= TAGS_MAX {
            return Err(TagBookError::Full);
        }
        sink.write(TagBookEvent::Created { tag_id: id, name, color }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: TagBookEvent) {
        let TagBookEvent::Created { tag_id, name, color } = event;
        self.tags.push(Tag { id: tag_id, name, color });
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn tag(name: &str) -> Tag {
        Tag { id: TagId::default(), name: TagName::parse(name).unwrap(), color: Color::default() }
    }

    fn created(name: &str) -> TagBookEvent {
        let Tag { id, name, color } = tag(name);
        TagBookEvent::Created { tag_id: id, name, color }
    }

    #[test]
    fn a_tag_is_created() {
        TestFramework::<TagBook>::with(())
            .given_no_previous_events()
            .when(TagBookCommand::Create(tag("Launch")))
            .then_expect_events(vec![created("Launch")]);
    }

    #[test]
    fn two_tags_of_one_name_are_refused_whatever_their_case() {
        TestFramework::<TagBook>::with(())
            .given(vec![created("Launch")])
            .when(TagBookCommand::Create(tag("LAUNCH")))
            .then_expect_error(TagBookError::NameTaken("LAUNCH".to_string()));
    }

    #[test]
    fn the_number_of_tags_is_bounded() {
        let full = (0..TAGS_MAX).map(|n| created(&format!("tag {n}"))).collect();
        TestFramework::<TagBook>::with(())
            .given(full)
            .when(TagBookCommand::Create(tag("one more")))
            .then_expect_error(TagBookError::Full);
    }

    #[test]
    fn a_colour_has_six_digits() {
        assert_eq!(Color::parse("#A1b2C3").unwrap().as_str(), "#a1b2c3");
        for wrong in ["", "#", "a1b2c3", "#a1b2c", "#a1b2c3d", "#a1b2cg", "red"] {
            assert!(Color::parse(wrong).is_err(), "{wrong}");
        }
    }
}
