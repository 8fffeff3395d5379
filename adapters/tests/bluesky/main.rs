//! The platform `bluesky` against a real PDS: `scripts/parts/bluesky-pds start` prints the URL that
//! `ANNALS_TEST_PDS_URL` takes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connecting;
mod faults;
mod figures;
mod pds;
#[path = "../proxy/mod.rs"]
mod proxy;
mod publishing;
