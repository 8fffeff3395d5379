//! Where figures of a channel or post stand: whether there are any, and if not, why.

use annals_commands::ports::social::{Figure, Platforms};
use annals_projections::publishing::{
    channels::Channel,
    figures::{Account, PostOnChannel},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// Whether there are figures, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateView {
    /// `counted`; `waiting` for the first look; `paused`, because the channel is off or expired; `lost`: the platform
    /// no longer has the post; `unpublished`; or `unavailable`, `refused`, `unsupported`.
    pub status: &'static str,
    /// In words.
    pub reason: Option<String>,
    /// When the platform was asked last, as far as it was noted.
    pub looked_at: Option<DateTime<Utc>>,
    /// The figures that this platform gives.
    pub given: Vec<&'static str>,
}

impl StateView {
    /// Of a channel.
    pub(super) fn of_channel(platforms: &Platforms, channel: &Channel, account: Option<&Account>) -> Self {
        let provider = platforms.get(&channel.platform);
        let given = provider.map(|provider| provider.figures()).unwrap_or_default();
        let name = provider.map_or(channel.platform.as_str(), |provider| provider.info().name);
        let looked_at = account.map(|account| account.looked_at);
        let because = |status, reason: Option<String>| Self {
            status,
            reason,
            looked_at,
            given: given.iter().map(|figure| figure.as_str()).collect(),
        };
        if given.is_empty() {
            return because("unsupported", Some(format!("{name} gives no figures")));
        }
        if channel.status != "connected" {
            return because("paused", Some(format!("the channel is {}", channel.status)));
        }
        let Some(account) = account else {
            return because("waiting", Some("the platform was not asked yet".to_string()));
        };
        match account.missing.as_deref() {
            None => because("counted", None),
            Some(class) => because(class_word(class), account.missing_reason.clone()),
        }
    }

    /// Of a post on the channel, which is in the state that is given.
    pub(super) fn of_post(
        self,
        delivery: &str,
        counted: Option<&PostOnChannel>,
        platforms: &Platforms,
        platform: &str,
    ) -> Self {
        const OF_POSTS: [Figure; 5] =
            [Figure::Impressions, Figure::Likes, Figure::Comments, Figure::Shares, Figure::Clicks];
        let given = platforms.get(platform).map(|provider| provider.figures()).unwrap_or_default();
        let given = given.iter().filter(|figure| OF_POSTS.contains(figure)).map(|figure| figure.as_str());
        let this = Self { given: given.collect(), ..self };
        let because =
            |status, reason: &str| Self { status, reason: Some(reason.to_string()), ..this.clone() };
        match counted {
            Some(post) if post.lost_at.is_some() => because("lost", "the platform no longer has the post"),
            Some(post) => Self { status: "counted", reason: None, looked_at: Some(post.at), ..this },
            None if delivery != "published" => because("unpublished", "the post is not published there"),
            None if this.status == "counted" => {
                because("waiting", "the platform is asked 15 minutes after a post is published")
            }
            None => this,
        }
    }
}

fn class_word(class: &str) -> &'static str {
    match class {
        "refused" => "refused",
        "unsupported" => "unsupported",
        _ => "unavailable",
    }
}
