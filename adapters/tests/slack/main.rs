//! The platform `slack` against emulate, which others wrote: `scripts/parts/emulate start` prints the URLs that
//! `ANNALS_TEST_EMULATE` takes. It lets any token in and never fails: what Slack's documentation says of failures is
//! said by a proxy before it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connecting;
mod faults;
#[path = "../proxy/mod.rs"]
mod proxy;
mod publishing;
mod workspace;
