//! The projector runtime on a real Postgres: each test in a database of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod basics;
mod figures;
mod forgetting;
mod kills;
mod nodes;
mod parked;
mod rebuild;
mod support;
mod versions;
