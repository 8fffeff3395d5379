//! `annals audit`: bundles, their verification, checkpoints, and the log held to its own tree.

mod check;
mod export;
mod progress;
mod verify;

use std::process::ExitCode;

use annals_eventstore::notary::{KeyChange, Notary};
use clap::{Args, Subcommand};

use super::{ConfigArgs, database::Access, out};
use crate::node;

/// Something is not as it was signed.
const EXIT_BROKEN: u8 = 3;
/// Nothing contradicts, but what was brought does not suffice to say so for sure.
const EXIT_INCOMPLETE: u8 = 4;

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Write events with their proofs into one file that verifies without database and network
    Export(export::ExportArgs),
    /// Verify such a file; needs nothing but the file, and a key or checkpoint that you trust
    Verify(verify::VerifyArgs),
    /// Hold every event of the log to the tree that the notary made of it, and say what differs
    Check(ConfigArgs),
    /// Have a checkpoint of the log signed now, and print it
    Checkpoint(CheckpointArgs),
    /// Print the public key that auditors pin
    Key(ConfigArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckpointArgs {
    #[command(flatten)]
    settings: ConfigArgs,
    /// The notary's key was changed on purpose: sign with it though another one signed before
    #[arg(long)]
    new_key: bool,
}

impl Audit {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Export(args) => args.run().await,
            Self::Verify(args) => args.run(),
            Self::Check(settings) => check::run(&settings).await,
            Self::Checkpoint(args) => checkpoint(&args).await,
            Self::Key(settings) => key(&settings),
        }
    }
}

async fn checkpoint(args: &CheckpointArgs) -> anyhow::Result<ExitCode> {
    let (access, notary) = open(&args.settings).await?;
    let change = if args.new_key { KeyChange::Allowed } else { KeyChange::Refused };
    let signed = notary.checkpoint_now(change).await;
    access.close().await?;
    out::print(&signed?.note);
    Ok(ExitCode::SUCCESS)
}

fn key(settings: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let config = settings.load()?.config;
    let secrets = super::database::secrets(&config)?;
    let key = node::notary_key(&config, &secrets)?;
    out::print(&format!("{}\n", key.verifier_key()));
    Ok(ExitCode::SUCCESS)
}

/// The database with the notary's tables, beside a running server or without one.
async fn open(settings: &ConfigArgs) -> anyhow::Result<(Access, Notary)> {
    let config = settings.load()?.config;
    let access = Access::open(&config).await?;
    let opened = async {
        let key = node::notary_key(&config, &access.secrets)?;
        anyhow::Ok(Notary::open(access.pool.clone(), key).await?)
    }
    .await;
    match opened {
        Ok(notary) => Ok((access, notary)),
        Err(error) => {
            access.close().await?;
            Err(error)
        }
    }
}

/// "1 event", "2 events".
fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
