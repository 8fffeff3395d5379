//! One part of a post: its text, its media, and how long after the part before it comes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::{InvalidText, MediaId};

/// Media of one part; platforms take fewer and say so when a post is scheduled.
pub const MEDIA_MAX: usize = 10;
/// A reply waits at most this long for the part before it.
pub const DELAY_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A part's text: 1 to 10 000 characters, lines allowed, kept as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PostText(String);

impl PostText {
    pub const MAX_CHARS: usize = 10_000;

    /// # Errors
    /// If it is blank, too long or holds control characters other than tabs and line ends.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = printable(text, Self::MAX_CHARS)?;
        Ok(Self(text.to_string()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

/// What a picture or film shows, for those who can't see it: 1 to 2 000 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AltText(String);

impl AltText {
    pub const MAX_CHARS: usize = 2_000;

    /// # Errors
    /// As [`PostText::parse`].
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = printable(text, Self::MAX_CHARS)?;
        Ok(Self(text.trim().to_string()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn printable(text: &str, chars_max: usize) -> Result<&str, InvalidText> {
    if text.trim().is_empty() {
        return Err(InvalidText::new("must not be empty"));
    }
    if text.chars().count() > chars_max {
        return Err(InvalidText::new(format!("must have at most {chars_max} characters")));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(InvalidText::new("must not contain control characters"));
    }
    Ok(text)
}

/// A file of the organization's media library, as a post shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MediaReference {
    pub asset_id: MediaId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<AltText>,
}

/// A part of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    pub text: PostText,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<MediaReference>,
    /// Seconds after the part before it stands; 0: at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_seconds: u32,
}

pub(super) fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}
