//! The social platforms behind the port of `annals-commands`.

use std::sync::Arc;

use annals_commands::ports::social::Platforms;
use url::Url;

use crate::net::HttpClient;

pub mod bluesky;
pub mod feed;
pub(crate) mod links;
pub mod mastodon;
pub mod nostr;
pub(crate) mod rest;
mod words;

/// Every platform of this installation. `public_url` is where people reach Annals, such as
/// `https://annals.example.org`.
pub fn platforms(public_url: &Url, http: HttpClient) -> Platforms {
    let feed: Arc<dyn annals_commands::ports::social::SocialProvider> = Arc::new(feed::Feed::new(public_url));
    Platforms::new([
        feed,
        Arc::new(bluesky::Bluesky::new(http.clone())),
        Arc::new(mastodon::Mastodon::new(http.clone())),
        Arc::new(nostr::Nostr::new(http)),
    ])
}
