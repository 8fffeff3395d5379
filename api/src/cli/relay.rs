//! `annals relay`: how far Kafka is, and a copy of a part of the log beside the live relay.

use std::time::{Duration, Instant};

use annals_eventstore::EventStore;
use annals_projections::relay::{self, Backfill, KafkaSettings, Progress, RelayError, RelayStatus};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, database::Access, out};
use crate::node;

/// How often a back-fill says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(super) enum Relay {
    /// How far the relay is, who relays, and how far behind the log that is
    Status(Status),
    /// Copy a range of the log into topics of their own, beside the live relay; run again, it goes on
    Backfill(BackfillArgs),
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// Another prefix than the live relay's: a back-fill's
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct BackfillArgs {
    /// Topics are PREFIX.<context>; not the live relay's
    #[arg(long, value_name = "PREFIX")]
    prefix: String,
    /// The first position [default: the first of the log, or where an earlier run stopped]
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// The last position [default: the last of the log, or an earlier run's]
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    #[command(flatten)]
    settings: ConfigArgs,
}

impl Relay {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let settings = match &self {
            Self::Status(status) => &status.settings,
            Self::Backfill(backfill) => &backfill.settings,
        };
        let config = settings.load()?.config;
        let Some(kafka) = config.kafka_settings() else {
            let off = "the relay is off: neither KAFKA_BROKERS nor kafka.brokers is set here (this command takes \
                       the settings that the server takes); once it is on it starts at the first event";
            return match self {
                Self::Status(Status { json: true, .. }) => {
                    out::print("{\"enabled\":false}\n");
                    Ok(())
                }
                Self::Status(_) => {
                    out::print(&format!("{off}\n"));
                    Ok(())
                }
                Self::Backfill(_) => anyhow::bail!(off),
            };
        };
        let access = Access::open(&config).await?;
        let done = async {
            let options = node::store_options(&config, &access.secrets)?;
            let store = EventStore::open(access.pool.clone(), options).await?;
            let done = match self {
                Self::Status(status) => status.show(&store, kafka).await,
                Self::Backfill(backfill) => backfill.copy(&store, &kafka).await,
            };
            store.close().await;
            done
        }
        .await;
        access.close().await?;
        out::print(&done?);
        Ok(())
    }
}

impl Status {
    async fn show(&self, store: &EventStore, mut kafka: KafkaSettings) -> anyhow::Result<String> {
        if let Some(prefix) = &self.prefix {
            kafka.prefix.clone_from(prefix);
        }
        let brokers = kafka.brokers.join(",");
        let status = relay::status(store, &kafka).await.with_context(|| format!("Kafka on {brokers}"))?;
        if self.json {
            return Ok(format!("{}\n", serde_json::to_string(&status)?));
        }
        Ok(text(&status, &brokers))
    }
}

fn text(status: &RelayStatus, brokers: &str) -> String {
    let mut text = format!("topics     {}.* on {brokers}\n", status.prefix);
    text.push_str(&format!("running    {}\n", if status.running { "yes" } else { "no node relays now" }));
    match &status.checkpoint {
        None => text.push_str("position   nothing was relayed yet\n"),
        Some(checkpoint) => text.push_str(&format!(
            "position   {}\nwritten    {} by {}, epoch {}\n",
            checkpoint.position,
            checkpoint.at.format("%Y-%m-%d %H:%M:%S UTC"),
            checkpoint.writer,
            checkpoint.epoch
        )),
    }
    text.push_str(&format!("head       {}\n", status.head));
    match &status.problem {
        None => text.push_str(&format!("lag        {} events\n", status.lag)),
        Some(problem) => text.push_str(&format!("STANDS STILL: {problem}\n")),
    }
    text
}

impl BackfillArgs {
    async fn copy(&self, store: &EventStore, live: &KafkaSettings) -> anyhow::Result<String> {
        let wanted = Backfill { prefix: self.prefix.clone(), from: self.from, to: self.to };
        let stop = CancellationToken::new();
        let interrupted = tokio::spawn({
            let stop = stop.clone();
            async move {
                if tokio::signal::ctrl_c().await.is_ok() {
                    stop.cancel();
                }
            }
        });
        let (started, mut told) = (Instant::now(), None::<Instant>);
        let ended = relay::backfill(store, live, wanted, stop, move |progress| {
            if told.is_none_or(|told| told.elapsed() >= PROGRESS_INTERVAL) {
                told = Some(Instant::now());
                out::error(&line(progress, started.elapsed()));
            }
        })
        .await;
        interrupted.abort();
        match ended {
            Ok(done) => Ok(format!(
                "{} events copied to {}.*; the copy holds everything up to position {}\n",
                done.events, self.prefix, done.position
            )),
            Err(RelayError::Stopped) => {
                anyhow::bail!("stopped; the same command goes on where it was")
            }
            Err(error) if error.needs_a_person() => Err(error.into()),
            Err(error) => Err(error).context("the copy stopped; the same command goes on where it was"),
        }
    }
}

fn line(progress: Progress, elapsed: Duration) -> String {
    let whole = progress.to.saturating_sub(progress.started_after).max(1);
    let done = progress.position.saturating_sub(progress.started_after);
    let rate = progress.events as f64 / elapsed.as_secs_f64().max(0.001);
    format!(
        "{:>3} %  position {} of {}  {rate:.0} events/s\n",
        done * 100 / whole,
        progress.position,
        progress.to
    )
}
