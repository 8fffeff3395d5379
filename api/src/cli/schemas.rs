//! `annals schemas`: what leaves for Kafka, as files.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::out;
use crate::schemas;

#[derive(Debug, Args)]
pub(super) struct Schemas {
    /// Write the AsyncAPI document and every event's JSON Schema into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Schemas {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let files = schemas::files()?;
        let Some(folder) = self.out else {
            let document = files.into_iter().find(|(path, _)| path == "asyncapi.json");
            out::print(&document.map(|(_, text)| text).unwrap_or_default());
            return Ok(());
        };
        fs::create_dir_all(folder.join("schemas"))
            .with_context(|| format!("{} can't be made", folder.display()))?;
        let mut written = 0;
        for (path, text) in files {
            let path = folder.join(path);
            if fs::read_to_string(&path).is_ok_and(|before| before == text) {
                continue;
            }
            fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))?;
            written += 1;
        }
        out::print(&format!("{written} files written into {}\n", folder.display()));
        Ok(())
    }
}
