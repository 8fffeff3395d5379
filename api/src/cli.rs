//! The command line of `annals`: what can be asked, and how it is answered.

mod audit;
mod backup;
mod configuration;
mod database;
mod doctor;
mod keys;
mod nodes;
mod office;
mod organizations;
mod out;
mod progress;
mod projections;
mod relay;
mod replay;
mod restore;
mod schemas;
mod serve;
mod tables;
mod test_postgres;
mod timers;
mod tools;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    config::{self, Flags, Loaded, NodeRole},
    openapi, server,
};

const LONG_ABOUT: &str = "\
Annals is a backend whose every change is an event: accounts, organizations, channels and scheduled \
posts, behind an HTTP API.

`annals serve` needs nothing: it runs a private PostgreSQL in its data folder, keeps its secrets \
there, and prints where to look.";

const AFTER_HELP: &str = "\
Start here:
  annals serve                       everything on http://127.0.0.1:3000, data in .annals
  annals serve --listen 0.0.0.0:80 --data /var/lib/annals/data
  DATABASE_URL=postgres://… annals serve --role commands,queries
  annals doctor                      is everything as it should be
  annals config                      every setting, its value and where it came from

Settings come from flags, then variables (ANNALS_HTTP_WORKERS), then annals.toml; \
annals.example.toml documents them all.";

#[derive(Debug, Parser)]
#[command(name = "annals", version, about = "The event-sourced backend", long_about = LONG_ABOUT,
    after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until it is told to stop (Ctrl-C, SIGTERM)
    Serve(serve::Serve),
    /// Show every setting, its value and where it came from; secrets are hidden
    Config(ConfigArgs),
    /// Handle the keys that personal data and secrets are sealed under
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Write the log into a folder; beside a running server too
    Backup(backup::Backup),
    /// Fill an empty installation from a backup; those who were forgotten since stay forgotten
    Restore(restore::Restore),
    /// Check the installation, its log above all, and say what is wrong; beside a running server too
    Doctor(doctor::Doctor),
    /// See how far the read models are, build them again, replay what they could not apply
    #[command(subcommand)]
    Projections(projections::Projections),
    /// See the timers that are set, try parked ones again, cancel them
    #[command(subcommand)]
    Timers(timers::Timers),
    /// See how far the process managers are, and which node leads them
    Processes(nodes::Listing),
    /// See the nodes that live, and what each leads
    Nodes(nodes::Listing),
    /// See the organizations with their tier and what they have of it; set a tier
    #[command(subcommand)]
    Organizations(organizations::Organizations),
    /// See what each tier lets an organization have
    Tiers(organizations::ListTiers),
    /// Let an account run the installation
    #[command(subcommand)]
    Grant(office::Office),
    /// Take that right back
    #[command(subcommand)]
    Revoke(office::Office),
    /// Prove that nobody changed the log: bundles, their verification, checkpoints
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Write what happened as lines of JSON; beside a running server too
    Replay(replay::Replay),
    /// See how far the relay to Kafka is, copy a part of the log beside it
    #[command(subcommand)]
    Relay(relay::Relay),
    /// Print what leaves for Kafka as an AsyncAPI document, or write it with the events' JSON Schemas
    Schemas(schemas::Schemas),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Run a Postgres without durable data, for the tests
    #[command(hide = true)]
    TestPostgres(test_postgres::TestPostgres),
}

/// Where settings come from; every command takes these.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration file [default: annals.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder [default: .annals]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Any other setting, such as http.workers=2; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Switch {
    On,
    Off,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.trim().to_string(), value.trim().to_string()))
}

impl ConfigArgs {
    fn flags(&self) -> Flags {
        let mut settings = self.set.clone();
        if let Some(data) = &self.data {
            settings.push(("data".to_string(), data.display().to_string()));
        }
        Flags { config: self.config.clone(), settings }
    }

    fn load(&self) -> anyhow::Result<Loaded> {
        load(&self.flags())
    }
}

/// The configuration with this process's environment.
fn load(flags: &Flags) -> anyhow::Result<Loaded> {
    // A variable that is no text can't be a setting of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::load(flags, environment)
        .map_err(|error| anyhow::Error::new(error).context("the configuration does not hold"))
}

/// Roles as the configuration writes them.
fn roles_text(roles: &[NodeRole]) -> String {
    let names = roles.iter().filter_map(ValueEnum::to_possible_value);
    names.map(|value| value.get_name().to_string()).collect::<Vec<_>>().join(",")
}

/// Parses the command line and does what it says; the exit code is 1 if that failed, 2 if it was
/// not understood.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("the runtime can't be started")),
    };
    let done = runtime.block_on(run(cli.command));
    match done {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        // Its exit codes say what was found.
        Command::Audit(audit) => return audit.run().await,
        Command::Serve(serve) => serve.run().await,
        Command::Config(args) => configuration::run(&args),
        Command::Keys(keys) => keys.run().await,
        Command::Backup(backup) => backup.run().await,
        Command::Restore(restore) => restore.run().await,
        Command::Doctor(doctor) => doctor.run().await,
        Command::Projections(projections) => projections.run().await,
        Command::Timers(timers) => timers.run().await,
        Command::Processes(listing) => nodes::processes(listing).await,
        Command::Nodes(listing) => nodes::nodes(listing).await,
        Command::Organizations(organizations) => organizations.run().await,
        Command::Tiers(list) => list.run().await,
        Command::Grant(office) => office::change(office, office::Change::Grant).await,
        Command::Revoke(office) => office::change(office, office::Change::Revoke).await,
        Command::Replay(replay) => replay.run().await,
        Command::Relay(relay) => relay.run().await,
        Command::Schemas(schemas) => schemas.run(),
        Command::Openapi => openapi(),
        Command::TestPostgres(test_postgres) => test_postgres.run().await,
    }
    .map(|()| ExitCode::SUCCESS)
}

fn openapi() -> anyhow::Result<()> {
    let document = openapi::document(server::routes().infos(), server::documents());
    out::print(&document.to_pretty_json()?);
    out::print("\n");
    Ok(())
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let mut text = format!("annals: {error}\n");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Transparent errors repeat their source.
        if cause != last {
            text.push_str(&format!("  {}\n", cause.replace('\n', "\n  ")));
        }
        last = cause;
    }
    out::error(&text);
    ExitCode::FAILURE
}
