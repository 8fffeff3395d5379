//! The rebuild benchmark: a read model built again through the projector that runs live, beside
//! `COPY … TO STDOUT` of the same events and beside cqrs-es' `QueryReplay`.

mod annals;
mod copy;
mod log;
mod memory;
mod query_replay;

use std::time::Duration;

use annals_eventstore::testing::PrivatePostgres;
use anyhow::Context;

use crate::figures::{middle, per_second};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Events in the log.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Events of posts that `QueryReplay` replays; it is too slow for all of them.
    #[arg(long, default_value_t = 20_000)]
    replayed: i64,
    /// Runs of each contender; the one with the middle rate counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Read models that are built after one another, each by itself; the ratios are those of the first.
    #[arg(long, value_delimiter = ',', default_values = annals::MODELS)]
    models: Vec<String>,
}

/// The same for everyone; see the append benchmark.
const SETTINGS: [&str; 5] =
    ["shared_buffers=512MB", "max_wal_size=8GB", "min_wal_size=4GB", "checkpoint_timeout=30min", "fsync=on"];

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let postgres = PrivatePostgres::start_with(&SETTINGS).await;
    let url = crate::append::database(&postgres, "annals").await?;
    let contender = annals::Contender::open(&url).await?;
    let began = std::time::Instant::now();
    let written = log::write(contender.store(), options.events).await?;
    println!(
        "rebuild: {written} events, appended in {:.0} s; middle of {} runs; fsync on; {} cores",
        began.elapsed().as_secs_f64(),
        options.rounds,
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    log::describe(contender.store()).await?;

    let mut copies = Vec::new();
    let mut replays = Vec::new();
    let mut built = vec![Vec::new(); options.models.len()];
    let mut peak = 0;
    let stock = query_replay::Contender::new(&postgres, contender.store(), options.replayed).await?;
    for _ in 0..options.rounds {
        crate::append::checkpoint(&postgres).await?;
        copies.push(per_second(written, copy::run(&url).await?));
        for (model, rates) in options.models.iter().zip(&mut built) {
            crate::append::checkpoint(&postgres).await?;
            memory::reset_peak()?;
            rates.push(per_second(written, contender.build(model).await?));
            peak = peak.max(memory::peak_mib()?);
        }
        crate::append::checkpoint(&postgres).await?;
        replays.push(per_second(stock.events(), stock.run().await?));
    }
    let copied = middle(copies).context("at least one round")?;
    let replayed = middle(replays).context("at least one round")?;
    println!("  COPY TO STDOUT          {copied:>9.0} events/s");
    println!("  QueryReplay             {replayed:>9.0} events/s   {} events of posts", stock.events());
    let mut first = None;
    for (model, rates) in options.models.iter().zip(built) {
        let rate = middle(rates).context("at least one round")?;
        println!("  annals, {model:<15} {rate:>9.0} events/s   {:.2} of COPY", rate / copied);
        first.get_or_insert(rate);
    }
    println!("  peak memory of the process while building: {peak} MiB");
    let first = first.context("at least one read model")?;
    println!("rebuild ratio_copy={:.2} ratio_query_replay={:.0}", first / copied, first / replayed);
    Ok(())
}

/// Long enough for the slowest model on a busy machine.
const BUILT_WITHIN: Duration = Duration::from_secs(600);
