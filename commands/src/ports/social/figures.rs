//! What a platform counts, as far as it says so.

use annals_domain::publishing::figures::PostCounts;
use serde::Serialize;

/// A figure that platforms may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Figure {
    /// Of posts.
    Impressions,
    Likes,
    Comments,
    Shares,
    Clicks,
    /// Of accounts.
    Followers,
    Following,
    Posts,
}

impl Figure {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Impressions => "impressions",
            Self::Likes => "likes",
            Self::Comments => "comments",
            Self::Shares => "shares",
            Self::Clicks => "clicks",
            Self::Followers => "followers",
            Self::Following => "following",
            Self::Posts => "posts",
        }
    }
}

/// What a platform says of a post that it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostReading {
    /// What it does not give is absent.
    Counts(PostCounts),
    /// It has no such post any more.
    Gone,
}
