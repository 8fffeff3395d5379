//! `annals doctor`: checks an installation, its log above all, and says what is wrong.

use annals_commands::timers::{self, TimerFilter, TimerState};
use annals_domain::{
    identity::{ApiKey, Organization, Session, User},
    publishing::{Integration, Post, TagBook},
};
use annals_eventstore::{EventStore, StreamId};
use anyhow::Context as _;
use clap::Args;
use cqrs_es::{Aggregate, persist::PersistedEventRepository as _};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;

use super::{ConfigArgs, database::Access, out};
use crate::{config::Config, node, read_models};

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: ConfigArgs,
    /// How many streams of each kind are read a second way, with postgres-es
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    streams: u32,
}

/// What was found, in the order of looking.
#[derive(Default)]
struct Findings {
    text: String,
    wrong: usize,
}

impl Findings {
    fn tell(&mut self, what: &str, found: anyhow::Result<String>) {
        match found {
            Ok(detail) => self.text.push_str(&format!("ok     {what}: {detail}\n")),
            Err(error) => {
                self.wrong += 1;
                self.text.push_str(&format!("WRONG  {what}: {error:#}\n"));
            }
        }
    }
}

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.settings.load()?.config;
        let access = Access::open(&config).await?;
        let mut findings = Findings::default();
        self.look(&config, &access, &mut findings).await;
        access.close().await?;
        out::print(&findings.text);
        anyhow::ensure!(findings.wrong == 0, "{} of the checks found something wrong", findings.wrong);
        Ok(())
    }

    async fn look(&self, config: &Config, access: &Access, findings: &mut Findings) {
        let pool = &access.pool;
        findings.tell("database", version(pool).await);
        findings.tell("migrations", migrations(pool).await);
        findings.tell("positions", positions(pool).await);
        findings.tell("streams", sequences(pool).await);
        findings.tell("time", recorded(pool).await);
        let store = match node::store_options(config, &access.secrets) {
            Ok(options) => EventStore::open(pool.clone(), options).await.map_err(anyhow::Error::new),
            Err(error) => Err(error),
        };
        let store = match store {
            Ok(store) => store,
            Err(error) => return findings.tell("keys", Err(error)),
        };
        findings.tell("keys", keys(pool).await);
        findings.tell("second reading", self.second_reading(&store).await);
        findings.tell("read models", models(&store).await);
        findings.tell("timers", parked_timers(pool).await);
        store.close().await;
    }

    /// Streams of every kind read with `postgres-es`, byte for byte what we read.
    async fn second_reading(&self, store: &EventStore) -> anyhow::Result<String> {
        let mut compared = 0;
        compared += compare::<User>(store, self.streams).await?;
        compared += compare::<Session>(store, self.streams).await?;
        compared += compare::<Organization>(store, self.streams).await?;
        compared += compare::<ApiKey>(store, self.streams).await?;
        compared += compare::<Integration>(store, self.streams).await?;
        compared += compare::<Post>(store, self.streams).await?;
        compared += compare::<TagBook>(store, self.streams).await?;
        Ok(format!("postgres-es reads {compared} events of the newest streams as we do"))
    }
}

async fn version(pool: &PgPool) -> anyhow::Result<String> {
    Ok(sqlx::query_scalar("SELECT 'PostgreSQL ' || current_setting('server_version')")
        .fetch_one(pool)
        .await?)
}

async fn migrations(pool: &PgPool) -> anyhow::Result<String> {
    let mut counts = Vec::new();
    for table in ["public._sqlx_migrations", "process._sqlx_migrations"] {
        // A name can't be a parameter; these are our own.
        let (done, failed): (i64, i64) = sqlx::query_as(&format!(
            "SELECT count(*) FILTER (WHERE success), count(*) FILTER (WHERE NOT success) FROM {table}"
        ))
        .fetch_one(pool)
        .await
        .with_context(|| format!("{table} can't be read; annals serve makes it"))?;
        anyhow::ensure!(failed == 0, "{failed} migrations of {table} failed");
        counts.push(done.to_string());
    }
    Ok(format!("{} are applied", counts.join(" + ")))
}

/// Gapless from 1 to the head.
async fn positions(pool: &PgPool) -> anyhow::Result<String> {
    let (count, first, last, head): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(min(position), 1), coalesce(max(position), 0), (SELECT h.position FROM log_head h)
         FROM events",
    )
    .fetch_one(pool)
    .await?;
    if first != 1 || count != last {
        let gap: Option<i64> = sqlx::query_scalar(
            "SELECT e.position + 1 FROM events e
             WHERE NOT EXISTS (SELECT FROM events n WHERE n.position = e.position + 1) AND e.position < $1
             ORDER BY e.position LIMIT 1",
        )
        .bind(last)
        .fetch_optional(pool)
        .await?;
        anyhow::bail!("there are {count} events up to position {last}: {} is missing", gap.unwrap_or(1));
    }
    anyhow::ensure!(last == head, "the last event is at {last}, and the head says {head}");
    Ok(format!("{count} events, no gap, the head is at {head}"))
}

/// Every stream is numbered 1, 2, 3 … in the order of its positions.
async fn sequences(pool: &PgPool) -> anyhow::Result<String> {
    let (streams, wrong): (i64, i64) = sqlx::query_as(
        "SELECT count(DISTINCT (aggregate_type, aggregate_id)), count(*) FILTER (WHERE sequence <> expected)
         FROM (SELECT aggregate_type, aggregate_id, sequence,
                      row_number() OVER (PARTITION BY aggregate_type, aggregate_id ORDER BY position) AS expected
               FROM events) AS numbered",
    )
    .fetch_one(pool)
    .await?;
    anyhow::ensure!(wrong == 0, "{wrong} events have a number that is not their place in their stream");
    Ok(format!("{streams} streams, each numbered without a gap"))
}

/// Time never runs backwards along positions.
async fn recorded(pool: &PgPool) -> anyhow::Result<String> {
    let backwards: Option<i64> = sqlx::query_scalar(
        "SELECT position FROM (SELECT position, recorded_at, lag(recorded_at) OVER (ORDER BY position) AS before
                               FROM events) AS ordered
         WHERE recorded_at < before ORDER BY position LIMIT 1",
    )
    .fetch_optional(pool)
    .await?;
    match backwards {
        Some(position) => anyhow::bail!("event {position} was recorded before the one before it"),
        None => Ok("never runs backwards".to_string()),
    }
}

async fn keys(pool: &PgPool) -> anyhow::Result<String> {
    let (kept, destroyed, wrapped_by): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE wrapped IS NOT NULL), count(*) FILTER (WHERE wrapped IS NULL),
                count(DISTINCT master_key) FILTER (WHERE wrapped IS NOT NULL)
         FROM sealing_keys",
    )
    .fetch_one(pool)
    .await?;
    let rotate = if wrapped_by > 1 { "; annals keys rotate was not finished: run it again" } else { "" };
    Ok(format!("the master key opens this log; {kept} keys are kept, {destroyed} destroyed{rotate}"))
}

async fn models(store: &EventStore) -> anyhow::Result<String> {
    let applied = read_models::projector(store.clone()).reader().applied().await?;
    let live = applied.iter().filter(|one| one.state == "live").count();
    let parked: Vec<String> = applied
        .iter()
        .filter(|one| one.parked_keys > 0)
        .map(|one| format!("{} has {} parked keys (annals projections parked)", one.name, one.parked_keys))
        .collect();
    anyhow::ensure!(parked.is_empty(), "{}", parked.join(", "));
    let behind = applied.iter().map(|one| one.head.saturating_sub(one.position)).max().unwrap_or(0);
    Ok(format!("{live} live, at most {behind} positions behind"))
}

async fn parked_timers(pool: &PgPool) -> anyhow::Result<String> {
    let filter = TimerFilter { state: Some(TimerState::Parked), ..TimerFilter::default() };
    let parked = timers::list(pool, chrono::Utc::now(), &filter, 1000).await?.len();
    anyhow::ensure!(parked == 0, "{parked} are parked and wait for a person (annals timers list)");
    Ok("none is parked".to_string())
}

/// The newest streams of one kind, read both ways; how many events were compared.
async fn compare<A: Aggregate>(store: &EventStore, streams: u32) -> anyhow::Result<usize> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT aggregate_id FROM events WHERE aggregate_type = $1 AND sequence = 1 ORDER BY position DESC LIMIT $2",
    )
    .bind(A::TYPE)
    .bind(i64::from(streams))
    .fetch_all(store.pool())
    .await?;
    let repository = PostgresEventRepository::new(store.pool().clone());
    let mut compared = 0;
    for id in ids {
        let stream = StreamId::new(A::TYPE, &id);
        // The other way first: what is appended in between is only in ours.
        let theirs = repository
            .get_events::<A>(&id)
            .await
            .with_context(|| format!("postgres-es can't read {stream}"))?;
        let mut ours = Vec::new();
        while let Some(page) =
            Some(store.read_stream(&stream, ours.len() as u64, 1000).await?).filter(|p| !p.is_empty())
        {
            ours.extend(page);
        }
        anyhow::ensure!(
            ours.len() >= theirs.len(),
            "{stream}: we read {} events, postgres-es {}",
            ours.len(),
            theirs.len()
        );
        for (our, their) in ours.iter().zip(&theirs) {
            let same = u64::try_from(their.sequence).ok() == Some(our.sequence)
                && their.event_type == our.event_type
                && their.event_version == our.event_version
                && serde_json::from_str::<serde_json::Value>(&our.payload).ok().as_ref()
                    == Some(&their.payload)
                && serde_json::from_str::<serde_json::Value>(&our.metadata).ok().as_ref()
                    == Some(&their.metadata);
            anyhow::ensure!(same, "event {} ({stream}) reads differently", our.position);
        }
        compared += theirs.len();
    }
    Ok(compared)
}
