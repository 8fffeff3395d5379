//! The append benchmark: three contenders, one Postgres, the same event.

mod annals;
mod pgbench;
mod postgres_es;

use std::time::Duration;

use annals_eventstore::testing::PrivatePostgres;
use anyhow::Context;
use sqlx::{Connection, Executor, PgConnection};

pub(crate) use self::postgres_es::TABLE as POSTGRES_ES_TABLE;
use crate::figures::Figures;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Seconds of each run.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Runs of each contender at each number of writers; the one with the middle rate counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Numbers of writers.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    writers: Vec<usize>,
    /// Contenders to leave out, for work on one of them.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
}

/// The number of writers that the last line is about.
const RATIO_WRITERS: usize = 64;

/// What every contender appends: an event of about 300 bytes and the metadata of a command.
pub(crate) const EVENT_TYPE: &str = "publishing.post.scheduled";
pub(crate) const AGGREGATE_TYPE: &str = "publishing.post";

/// The same settings for everyone: room for WAL, so that no checkpoint falls into a run, and old
/// segments kept for use again, as on a server that has been running for a while.
pub(crate) const SETTINGS: [&str; 5] =
    ["shared_buffers=512MB", "max_wal_size=8GB", "min_wal_size=4GB", "checkpoint_timeout=30min", "fsync=on"];

#[derive(Default)]
struct Level {
    annals: Vec<Figures>,
    postgres_es: Vec<Figures>,
    pgbench: Vec<Figures>,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let postgres = PrivatePostgres::start_with(&SETTINGS).await;
    let time = Duration::from_secs(options.seconds);
    let runs = |name: &str| !options.without.iter().any(|left_out| left_out == name);
    let mut annals = annals::Contender::new(&postgres).await?;
    let mut stock = postgres_es::Contender::new(&postgres).await?;
    let mut inserts = pgbench::Contender::new(&postgres).await?;
    println!(
        "append: {} s a run, middle of {} runs, in turns; fsync on; {} cores",
        options.seconds,
        options.rounds,
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    println!("  annals       sealed client, event id, idempotency key, one claim per create, group commit");
    println!(
        "  postgres-es  CqrsFramework over PostgresEventRepository, its own table, {}",
        stock.pool_size()
    );
    println!("  pgbench      {}", inserts.what());
    let mut last_line = None;
    for writers in options.writers {
        let mut level = Level::default();
        for _ in 0..options.rounds {
            // Each run starts from a checkpoint: nobody pays for the pages another one dirtied.
            if runs("annals") {
                checkpoint(&postgres).await?;
                level.annals.push(annals.run(writers, time).await?);
            }
            if runs("postgres-es") {
                checkpoint(&postgres).await?;
                level.postgres_es.push(stock.run(writers, time).await?);
            }
            if runs("pgbench") {
                checkpoint(&postgres).await?;
                level.pgbench.push(inserts.run(&postgres, writers, time).await?);
            }
        }
        let line = report(writers, level);
        if writers == RATIO_WRITERS || last_line.is_none() {
            last_line = line;
        }
    }
    if let Some(line) = last_line {
        println!("{line}");
    }
    Ok(())
}

/// Prints a level; gives the last line, if all three ran.
fn report(writers: usize, level: Level) -> Option<String> {
    println!("\n{writers} writers");
    let [annals, stock, inserts] = [
        ("annals", Figures::median(level.annals)),
        ("postgres-es", Figures::median(level.postgres_es)),
        ("pgbench", Figures::median(level.pgbench)),
    ]
    .map(|(name, figures)| {
        if let Some(figures) = &figures {
            println!("  {name:<12} {figures}");
        }
        figures
    });
    let (annals, stock, inserts) = (annals?, stock?, inserts?);
    let ratio = |other: &Figures| annals.events_per_second / other.events_per_second;
    let line = format!("ratio_postgres_es={:.2} ratio_pgbench={:.2}", ratio(&stock), ratio(&inserts));
    let p50 = annals.p50.as_secs_f64() / inserts.p50.as_secs_f64().max(1e-9);
    println!("  {line} p50_to_pgbench={p50:.2}");
    Some(format!("append {line}"))
}

pub(crate) async fn checkpoint(postgres: &PrivatePostgres) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(&postgres.url()).await?;
    connection.execute("CHECKPOINT").await.context("a superuser may checkpoint")?;
    connection.close().await?;
    Ok(())
}

/// An event's payload, about 300 bytes.
pub(crate) fn payload(id: &str) -> String {
    annals::payload(id)
}

/// A database of a contender's own.
pub(crate) async fn database(postgres: &PrivatePostgres, name: &str) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(&postgres.url()).await?;
    connection.execute(format!("CREATE DATABASE {name}").as_str()).await?;
    connection.close().await?;
    let url = postgres.url();
    let (server, _) = url.rsplit_once('/').context("the server's address names a database")?;
    Ok(format!("{server}/{name}"))
}
