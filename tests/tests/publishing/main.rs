//! Publishing over HTTP against the running program: the feed, real servers of platforms, every route.

mod bluesky;
mod channels;
mod discord;
/// No Discord runs here: the stub that the adapter is tested with, too.
#[path = "../../../adapters/tests/discord/stub.rs"]
mod discord_stub;
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
mod slack;
mod slots;
mod support;
mod warnings;
