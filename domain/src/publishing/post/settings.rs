//! What a post is told on one channel, beside its content.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kernel::InvalidText;

/// Settings of a post on one channel, by the names of the channel's platform, which says what they may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TargetSettings(Map<String, Value>);

impl TargetSettings {
    /// Of all of them, as JSON.
    pub const BYTES_MAX: usize = 4_096;

    /// # Errors
    /// If they are too many to keep.
    pub fn parse(settings: Map<String, Value>) -> Result<Self, InvalidText> {
        let settings = Self(settings);
        let bytes = serde_json::to_vec(&settings).map_or(usize::MAX, |json| json.len());
        if bytes > Self::BYTES_MAX {
            return Err(InvalidText::new(format!("must have at most {} bytes", Self::BYTES_MAX)));
        }
        Ok(settings)
    }

    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
