//! The platform `mastodon` against mastodon_mock, a server that others wrote: `scripts/parts/mastodon start`
//! prints the URL that `ANNALS_TEST_MASTODON_URL` takes. It knows no PKCE; that we send it is looked at here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connecting;
mod faults;
mod figures;
#[path = "../proxy/mod.rs"]
mod proxy;
mod publishing;
mod server;
