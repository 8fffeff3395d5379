//! `annals audit export`.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use annals_eventstore::notary::{
    KeyChange, Notary, NotaryError,
    bundle::{Export, ExportOptions, Scope},
};
use anyhow::Context as _;
use clap::Args;
use uuid::Uuid;

use super::{counted, open, progress::Progress};
use crate::cli::{ConfigArgs, out};

#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    settings: ConfigArgs,
    /// The file to write; one that is there is replaced once the new one is whole
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// This organization's events only, each with its proof
    #[arg(long, value_name = "ID")]
    organization: Option<Uuid>,
    /// The size of a checkpoint that the auditor keeps: its proof comes with the bundle
    #[arg(long, value_name = "SIZE")]
    since: Vec<u64>,
}

impl ExportArgs {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (access, notary) = open(&self.settings).await?;
        let written = self.write(&notary).await;
        access.close().await?;
        out::print(&written?);
        Ok(ExitCode::SUCCESS)
    }

    async fn write(&self, notary: &Notary) -> anyhow::Result<String> {
        let mut notes = String::new();
        match notary.checkpoint_now(KeyChange::Refused).await {
            Ok(_) => {}
            // Without the key the newest signed checkpoint has to do.
            Err(error @ NotaryError::OtherKey { .. }) => {
                notes = format!("no new checkpoint was signed: {error}\n");
            }
            // What is wrong with the log is for the verifier to say: the export must not hide it.
            Err(
                error @ (NotaryError::Missing { .. }
                | NotaryError::Rewritten { .. }
                | NotaryError::Damaged { .. }),
            ) => {
                notes = format!("WRONG: no new checkpoint was signed: {error}\n");
            }
            Err(error) => return Err(error.into()),
        }
        let scope = self.organization.map_or(Scope::Log, Scope::Organization);
        let options = ExportOptions { scope, since: self.since.clone() };
        let export = Export::start(notary, options).await?;
        let mut export = export.context("nothing was signed yet: there is nothing to prove anything by")?;
        let unfinished = unfinished(&self.out);
        let mut file = File::create(&unfinished)
            .with_context(|| format!("{} can't be written", unfinished.display()))?;
        let mut progress = Progress::new("positions");
        while let Some(chunk) = export.next_chunk().await? {
            file.write_all(&chunk).with_context(|| format!("{} can't be written", unfinished.display()))?;
            let (done, total) = export.progress();
            progress.tell(done, Some(total));
        }
        drop(progress);
        file.sync_all()?;
        fs::rename(&unfinished, &self.out)
            .with_context(|| format!("{} can't be written", self.out.display()))?;
        Ok(format!(
            "{notes}{} of the {scope} up to position {} are in {}\nthe key to verify it with: {}\n",
            counted(export.events(), "event"),
            export.checkpoint().size,
            self.out.display(),
            export.checkpoint().verifier_key,
        ))
    }
}

/// Beside the file, so that it can be put in its place at once.
fn unfinished(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".unfinished");
    out.with_file_name(name)
}
