//! Benchmarks beside peers, on a Postgres of their own with `fsync` on.
//!
//! `scripts/bench append`, `scripts/bench rebuild` and `scripts/bench relay` build and run this.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod append;
mod figures;
mod rebuild;
mod relay;

use clap::{Parser, Subcommand};

/// As in the program `annals`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "annals-benches", about = "Benchmarks of Annals beside what one would take instead")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Appends per second: this log with all it does, stock postgres-es, and pgbench one-row inserts.
    Append(append::Options),
    /// Events per second of a read model that is built again, beside COPY and QueryReplay.
    Rebuild(rebuild::Options),
    /// Events per second into Kafka: the relay, and Kafka's own ProducerPerformance.
    Relay(relay::Options),
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().bench {
        Bench::Append(options) => append::run(options).await,
        Bench::Rebuild(options) => rebuild::run(options).await,
        Bench::Relay(options) => relay::run(options).await,
    }
}
