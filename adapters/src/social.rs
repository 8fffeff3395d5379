//! The social platforms behind the port of `annals-commands`.

use std::sync::Arc;

use annals_commands::ports::social::Platforms;
use url::Url;

use crate::net::HttpClient;

pub mod bluesky;
pub mod discord;
pub mod feed;
pub(crate) mod links;
pub mod mastodon;
pub mod nostr;
pub(crate) mod rest;
pub mod slack;
mod words;

/// What an installation says of the platforms that have one address for all.
#[derive(Clone)]
pub struct PlatformServers {
    pub discord: Url,
    pub slack: Url,
    /// Without one, Slack's channels are not connected in a browser.
    pub slack_app: Option<slack::SlackApp>,
}

/// Every platform of this installation. `public_url` is where people reach Annals, such as
/// `https://annals.example.org`.
pub fn platforms(public_url: &Url, http: HttpClient, servers: PlatformServers) -> Platforms {
    let feed: Arc<dyn annals_commands::ports::social::SocialProvider> = Arc::new(feed::Feed::new(public_url));
    Platforms::new([
        feed,
        Arc::new(bluesky::Bluesky::new(http.clone())),
        Arc::new(discord::Discord::new(http.clone(), servers.discord, public_url)),
        Arc::new(mastodon::Mastodon::new(http.clone())),
        Arc::new(nostr::Nostr::new(http.clone())),
        Arc::new(slack::Slack::new(http, servers.slack, servers.slack_app)),
    ])
}
