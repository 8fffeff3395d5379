use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::publishing::media::MediaType;

/// What an account's own server takes, where servers of one platform differ. What it does not say is as the
/// platform has it. Nothing in it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServerLimits {
    /// Characters of a text, as the platform counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_chars_max: Option<u32>,
    /// What every address in a text counts as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_chars: Option<u32>,
    /// Of one part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alt_chars_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_bytes_max: Option<u64>,
    /// Of files; empty: not said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_types: Vec<MediaType>,
}
