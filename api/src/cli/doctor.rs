//! `annals doctor`: checks an installation, its log above all, and says what is wrong and what to do.

mod claims;
mod log;
mod notary;
mod read_models;
mod second_reading;

use annals_commands::timers::{self, TimerFilter, TimerState};
use annals_eventstore::{EventStore, notary::Notary};
use clap::Args;
use serde::Serialize;
use sqlx::PgPool;

use super::{ConfigArgs, database::Access, out};
use crate::{config::Config, node};

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: ConfigArgs,
    /// How many streams of each kind are read a second way, with postgres-es
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    streams: u32,
    /// How many claims, and holders of claims of each kind, are held to their events
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    claims: u32,
    /// Up to how many events read models are built beside the live ones, and the notary's leaves are
    /// computed again; both read the whole log
    #[arg(long, default_value_t = 200_000, value_name = "COUNT")]
    events: u64,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// What one check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
    /// What to do about it, if it is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    what_to_do: Option<&'static str>,
}

/// What was found, in the order of looking.
#[derive(Debug, Default, Serialize)]
struct Findings {
    findings: Vec<Finding>,
    wrong: usize,
}

/// The log itself is damaged: nothing that could be done here would make it whole.
const RESTORE: &str = "stop the servers, keep a copy of the database as it is, and restore the newest backup whose \
                       doctor finds nothing (annals restore); annals audit says what was changed, if something was";

impl Findings {
    fn tell(&mut self, check: &'static str, what_to_do: &'static str, found: anyhow::Result<String>) {
        let finding = match found {
            Ok(detail) => Finding { check, ok: true, detail, what_to_do: None },
            Err(error) => {
                Finding { check, ok: false, detail: format!("{error:#}"), what_to_do: Some(what_to_do) }
            }
        };
        self.wrong += usize::from(!finding.ok);
        self.findings.push(finding);
    }

    fn text(&self) -> String {
        let line = |finding: &Finding| match finding.what_to_do {
            None => format!("ok     {}: {}\n", finding.check, finding.detail),
            Some(what_to_do) => {
                format!("WRONG  {}: {}\n       → {what_to_do}\n", finding.check, finding.detail)
            }
        };
        self.findings.iter().map(line).collect()
    }
}

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.settings.load()?.config;
        let access = Access::open(&config).await?;
        let mut findings = Findings::default();
        self.look(&config, &access, &mut findings).await;
        access.close().await?;
        match self.json {
            true => out::print(&format!("{}\n", serde_json::to_string_pretty(&findings)?)),
            false => out::print(&findings.text()),
        }
        anyhow::ensure!(findings.wrong == 0, "{} of the checks found something wrong", findings.wrong);
        Ok(())
    }

    async fn look(&self, config: &Config, access: &Access, findings: &mut Findings) {
        let pool = &access.pool;
        findings.tell("database", "see that Postgres answers", log::version(pool).await);
        findings.tell(
            "migrations",
            "start the newest annals on it once; it applies what is missing",
            log::migrations(pool).await,
        );
        findings.tell("positions", RESTORE, log::positions(pool).await);
        findings.tell("streams", RESTORE, log::sequences(pool).await);
        findings.tell("time", RESTORE, log::recorded(pool).await);
        findings.tell("receipts", RESTORE, log::receipts(pool).await);
        let store = match node::store_options(config, &access.secrets) {
            Ok(options) => EventStore::open(pool.clone(), options).await.map_err(anyhow::Error::new),
            Err(error) => Err(error),
        };
        let keys_what_to_do =
            "give the master key of this log: secrets.master_key, or master.key in <data>/secrets";
        let store = match store {
            Ok(store) => store,
            Err(error) => return findings.tell("keys", keys_what_to_do, Err(error)),
        };
        findings.tell("keys", keys_what_to_do, log::keys(pool).await);
        let found = claims::claims(&store, self.claims).await;
        findings.tell("claims", "report it with this line; until then the holder keeps what it holds", found);
        let found = second_reading::second_reading(&store, self.streams).await;
        findings.tell("second reading", RESTORE, found);
        match node::notary_key(config, &access.secrets) {
            Ok(key) => {
                let found = notary::notary(&Notary::new(pool.clone(), key), self.events).await;
                findings.tell("notary", "annals audit check names each event; then as for positions", found);
            }
            Err(error) => findings.tell("notary", "give its key: secrets.notary_key", Err(error)),
        }
        let found = read_models::models(&store).await;
        findings.tell("read models", "fix the projector, then annals projections replay NAME", found);
        let found = read_models::fresh_builds(&store, self.events).await;
        findings.tell("fresh builds", "build it again: annals projections rebuild NAME", found);
        findings.tell("timers", "annals timers retry ID, or cancel it", parked_timers(pool).await);
        store.close().await;
    }
}

async fn parked_timers(pool: &PgPool) -> anyhow::Result<String> {
    let filter = TimerFilter { state: Some(TimerState::Parked), ..TimerFilter::default() };
    let parked = timers::list(pool, chrono::Utc::now(), &filter, 1000).await?.len();
    anyhow::ensure!(parked == 0, "{parked} are parked and wait for a person (annals timers list)");
    Ok("none is parked".to_string())
}
