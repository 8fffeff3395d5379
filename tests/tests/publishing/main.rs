//! Publishing over HTTP against the running program: the feed, real servers of platforms, every route.

mod bluesky;
mod channels;
mod feeds;
mod figures;
mod imports;
mod input;
mod kills;
mod mastodon;
mod nostr;
mod postiz;
mod posts;
mod rebuild;
mod rights;
mod series;
mod slots;
mod support;
mod warnings;
