//! `annals backup`: the log in a folder, while everything goes on.

use std::path::PathBuf;

use annals_eventstore::backup;
use anyhow::Context as _;
use clap::Args;

use super::{ConfigArgs, database::Access, out};

/// Told again after so many bytes of one table.
const TELL_EVERY_BYTES: u64 = 256 << 20;

#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(flatten)]
    settings: ConfigArgs,
    /// The folder to write the backup into: a new or an empty one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Copy the secrets of the data folder here, too; keep them apart from the backup
    ///
    /// Without the master key nobody can open what is sealed in a backup, and so nobody can restore it.
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
}

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.settings.load()?.config;
        let access = Access::open(&config).await?;
        let done = async {
            if let Some(folder) = &self.secrets {
                access.secrets.copy_to(folder).context("the secrets can't be copied")?;
            }
            let mut told = Told::default();
            let made = backup::export(&access.pool, &self.out, |progress| told.tell(progress)).await?;
            told.end();
            anyhow::Ok(made)
        }
        .await;
        access.close().await?;
        let made = done?;
        let bytes: u64 = made.tables.iter().map(|table| table.bytes).sum();
        let keys = match (&self.secrets, &config.secrets.master_key) {
            (Some(folder), _) => format!("The secrets are in {}: keep them apart from it.", folder.display()),
            (None, Some(_)) => "Its master key is the one of secrets.master_key.".to_string(),
            (None, None) => format!(
                "It opens only with the secrets in {}: keep a copy of them elsewhere (--secrets).",
                config.data.join("secrets").display()
            ),
        };
        out::print(&format!(
            "{} events and all that belongs to them, {} bytes, in {}.\n{keys}\n",
            made.position,
            bytes,
            self.out.display()
        ));
        Ok(())
    }
}

/// Says on standard error how far it is.
#[derive(Default)]
pub(super) struct Told {
    table: String,
    bytes: u64,
    next: u64,
}

impl Told {
    pub(super) fn tell(&mut self, progress: backup::Progress<'_>) {
        if self.table != progress.table {
            self.end();
            self.table = progress.table.to_string();
            self.next = TELL_EVERY_BYTES;
        }
        self.bytes = progress.bytes;
        if self.bytes >= self.next {
            self.next += TELL_EVERY_BYTES;
            let of = progress.of.map(|of| format!(" of {of}")).unwrap_or_default();
            out::error(&format!("{}: {}{of} bytes\n", self.table, self.bytes));
        }
    }

    pub(super) fn end(&mut self) {
        if !self.table.is_empty() {
            out::error(&format!("{}: {} bytes\n", self.table, self.bytes));
        }
        (self.table, self.bytes) = (String::new(), 0);
    }
}
