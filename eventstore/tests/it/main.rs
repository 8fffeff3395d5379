//! The log on a real Postgres: each test has a database of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod append;
mod backup;
mod confidential;
mod faults;
mod framework;
mod history;
mod idempotency;
mod loading;
mod notary;
mod subscribing;
mod two_nodes;
