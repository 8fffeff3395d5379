//! The relay on a real Apache Kafka broker: each test under a prefix of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backfill;
mod broker;
mod contents;
mod fencing;
mod foreign;
mod kills;
mod outages;
mod restored;
mod support;
