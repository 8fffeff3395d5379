//! pgbench: one-row inserts of the same event, one transaction each.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use annals_eventstore::testing::{PrivatePostgres, postgres_bin};
use anyhow::{Context, ensure};
use sqlx::{Executor, PgPool, postgres::PgPoolOptions};

use super::{AGGREGATE_TYPE, EVENT_TYPE, annals::payload, postgres_es::metadata};
use crate::figures::Figures;

/// The log's columns and the same uniqueness, with the position from a sequence: what one
/// would write without a log that orders, checks, claims or remembers.
const TABLE: &str = "CREATE TABLE events (
    position       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id       uuid        NOT NULL UNIQUE,
    aggregate_type text        COLLATE \"C\" NOT NULL,
    aggregate_id   text        COLLATE \"C\" NOT NULL,
    sequence       bigint      NOT NULL,
    event_type     text        COLLATE \"C\" NOT NULL,
    event_version  text        COLLATE \"C\" NOT NULL,
    payload        json        NOT NULL,
    metadata       json        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    UNIQUE (aggregate_type, aggregate_id, sequence)
)";

pub(super) struct Contender {
    url: String,
    folder: PathBuf,
    /// `None`: not installed, so the same inserts are made from here.
    program: Option<PathBuf>,
    pool: PgPool,
}

impl Contender {
    pub(super) async fn new(postgres: &PrivatePostgres) -> anyhow::Result<Self> {
        let url = super::database(postgres, "pgbench").await?;
        let pool = PgPoolOptions::new().max_connections(256).connect(&url).await?;
        pool.execute(TABLE).await?;
        let folder = std::env::temp_dir().join(format!("annals-pgbench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("insert.sql"), insert("gen_random_uuid()", "gen_random_uuid()::text"))?;
        let program = Some(postgres_bin().join("pgbench")).filter(|program| program.exists());
        Ok(Self { url, folder, program, pool })
    }

    pub(super) fn what(&self) -> &'static str {
        match self.program {
            Some(_) => "real pgbench, prepared one-row inserts into a table of the log's shape",
            None => "NOT pgbench (it is not installed): the same one-row inserts by an sqlx loop",
        }
    }

    pub(super) async fn run(
        &mut self,
        postgres: &PrivatePostgres,
        writers: usize,
        time: Duration,
    ) -> anyhow::Result<Figures> {
        match &self.program {
            Some(program) => self.pgbench(program, postgres, writers, time).await,
            None => self.by_sqlx(writers, time).await,
        }
    }

    async fn pgbench(
        &self,
        program: &Path,
        postgres: &PrivatePostgres,
        writers: usize,
        time: Duration,
    ) -> anyhow::Result<Figures> {
        let threads = writers.min(std::thread::available_parallelism()?.get());
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .args(["--no-vacuum", "--protocol=prepared", "--log", "--log-prefix=run", "--file=insert.sql"])
            .args(["--client", &writers.to_string(), "--jobs", &threads.to_string()])
            .args(["--time", &time.as_secs().to_string()])
            .args([
                "--host=127.0.0.1",
                "--username=annals",
                "--port",
                &postgres.port().to_string(),
                "pgbench",
            ]);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
        let mut latencies_us = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("run.")) {
                // client, transaction, latency in µs, script, seconds, µs
                let log = std::fs::read_to_string(&path)?;
                latencies_us
                    .extend(log.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()));
                std::fs::remove_file(path)?;
            }
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let rate = said
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok())
            .context("pgbench says its rate")?;
        // Its own rate: without the time it took to connect.
        Ok(Figures { events_per_second: rate, ..Figures::of(latencies_us, time) })
    }

    async fn by_sqlx(&self, writers: usize, time: Duration) -> anyhow::Result<Figures> {
        let sql: &'static str =
            Box::leak(insert("gen_random_uuid()", "gen_random_uuid()::text").into_boxed_str());
        let mut connections = Vec::new();
        for _ in 0..writers {
            connections.push(self.pool.acquire().await.with_context(|| format!("at {}", self.url))?);
        }
        let start = Instant::now();
        let tasks: Vec<_> = connections
            .into_iter()
            .map(|mut connection| {
                tokio::spawn(async move {
                    let mut latencies_us = Vec::new();
                    while start.elapsed() < time {
                        let began = Instant::now();
                        sqlx::query(sql).execute(&mut *connection).await?;
                        latencies_us.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    anyhow::Ok(latencies_us)
                })
            })
            .collect();
        let mut latencies_us = Vec::new();
        for task in tasks {
            latencies_us.extend(task.await??);
        }
        Ok(Figures::of(latencies_us, start.elapsed()))
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// One event as one statement; the texts are ours and hold no quote.
fn insert(event_id: &str, aggregate_id: &str) -> String {
    let id = "0198c0de-0000-7000-8000-00000000000b";
    let (payload, metadata) = (payload(id), serde_json::json!(metadata(id)));
    format!(
        "INSERT INTO events (event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
         metadata, recorded_at) VALUES ({event_id}, '{AGGREGATE_TYPE}', {aggregate_id}, 1, '{EVENT_TYPE}', '1', \
         '{payload}', '{metadata}', clock_timestamp());\n"
    )
}
