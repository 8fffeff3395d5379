//! What platforms count: of a published post, and of a channel's account.
//!
//! Each figure is optional. What a platform does not give is absent, which is not zero.

mod channel;
mod post;

use std::fmt;

use chrono::{DateTime, Datelike, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use channel::{ChannelFigures, ChannelFiguresCommand, ChannelFiguresEvent};
pub use post::{PostFigures, PostFiguresCommand, PostFiguresEvent};

use crate::{
    Refusal, RefusalKind,
    kernel::{IntegrationId, PostId},
};

/// How often something happened to a post since it was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostCounts {
    /// How often it was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impressions: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likes: Option<u64>,
    /// Answers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<u64>,
    /// Passed on by others, with or without words of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// On a link in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clicks: Option<u64>,
}

/// How many an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountCounts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followers: Option<u64>,
    /// Accounts that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub following: Option<u64>,
    /// Whoever wrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posts: Option<u64>,
}

/// Why figures are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    pub class: MissingClass,
    /// In the platform's words.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingClass {
    /// The platform did not answer, or asked to come back later.
    Unavailable,
    /// The platform does not let us read them.
    Refused,
    /// The platform does not give them.
    Unsupported,
}

impl MissingClass {
    pub fn as_str(self) -> &'static str {
        match self {
            MissingClass::Unavailable => "unavailable",
            MissingClass::Refused => "refused",
            MissingClass::Unsupported => "unsupported",
        }
    }
}

/// The stream of a post's figures on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PostFiguresId {
    pub post: PostId,
    pub channel: IntegrationId,
}

impl fmt::Display for PostFiguresId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.post, self.channel)
    }
}

/// The stream of a channel's figures in one year: an account has figures for as long as it is there, and a
/// stream has an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelFiguresId {
    pub channel: IntegrationId,
    pub year: i32,
}

impl ChannelFiguresId {
    pub fn at(channel: IntegrationId, now: DateTime<Utc>) -> Self {
        Self { channel, year: now.year() }
    }
}

impl fmt::Display for ChannelFiguresId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.channel, self.year)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FiguresError {
    #[error("these are figures of something else")]
    OtherSubject,
}

impl Refusal for FiguresError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        "FIGURES_OTHER_SUBJECT"
    }
}

#[cfg(test)]
mod tests;
