//! Publishing over HTTP against the running program: the feed, the real Bluesky PDS, every route.

mod bluesky;
mod channels;
mod feeds;
mod input;
mod kills;
mod mastodon;
mod postiz;
mod posts;
mod rebuild;
mod rights;
mod support;
