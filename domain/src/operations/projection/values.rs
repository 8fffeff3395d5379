use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::InvalidText;

/// One building of a read model's tables: `posts_v3_g2` is version 3, generation 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    pub version: u32,
    pub generation: u32,
}

/// How many events a build may apply per second: 1 to 1,000,000. What it passes over is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct EventsPerSecond(u32);

impl EventsPerSecond {
    pub const MAX: u32 = 1_000_000;

    /// # Errors
    /// If it is 0 (a build is paused by pausing it) or more than [`Self::MAX`].
    pub fn new(number: u32) -> Result<Self, InvalidText> {
        match number {
            1..=Self::MAX => Ok(Self(number)),
            _ => Err(InvalidText::new(format!("must be between 1 and {}", Self::MAX))),
        }
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The parked events of one key that one build of a read model will not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedKey {
    pub build: Build,
    /// The key as the read model parks by it, mostly a stream: `publishing.post/0198…`.
    pub key: String,
    /// The event that could not be applied.
    pub first_position: u64,
    /// The last event that waited behind it.
    pub last_position: u64,
    /// How many waited, with the one that failed.
    pub events: u64,
}
