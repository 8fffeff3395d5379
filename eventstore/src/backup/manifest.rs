//! What a backup says of itself.

use std::{fs, io::Write as _, path::Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{BackupError, FORMAT, MANIFEST};

/// `manifest.json`: written last, so a backup without it is not finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Of Annals.
    pub version: String,
    pub created_at: DateTime<Utc>,
    /// The log's last event at that moment.
    pub position: u64,
    pub recorded_at: DateTime<Utc>,
    /// How many keys were destroyed until then.
    pub forgotten: u64,
    /// The migrations that had been applied, by number.
    pub migrations: Vec<i64>,
    pub tables: Vec<BackedUpTable>,
}

/// A table's file, `<name>.copy`: its rows in the text form of Postgres' COPY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUpTable {
    pub name: String,
    pub columns: Vec<String>,
    pub rows: u64,
    pub bytes: u64,
    /// Of the file, in hexadecimal digits.
    pub sha256: String,
}

impl BackedUpTable {
    pub(super) fn file(&self) -> String {
        format!("{}.copy", self.name)
    }
}

impl Manifest {
    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// [`BackupError::NotABackup`], [`BackupError::TooNew`].
    pub fn read(folder: &Path) -> Result<Self, BackupError> {
        let not = |why: String| BackupError::NotABackup { path: folder.to_path_buf(), why };
        let text = fs::read_to_string(folder.join(MANIFEST))
            .map_err(|error| not(format!("{MANIFEST} can't be read ({error})")))?;
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| not(format!("{MANIFEST}: {error}")))?;
        if manifest.format > FORMAT {
            let why = format!("its format is {}, this binary knows {FORMAT}", manifest.format);
            return Err(BackupError::TooNew { why });
        }
        Ok(manifest)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(MANIFEST);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| BackupError::NotABackup { path: path.clone(), why: error.to_string() })?;
        let mut file = super::export::private_file(&path)?;
        writeln!(file, "{text}")
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::File::open(folder)?.sync_all())
            .map_err(BackupError::io("can't write", path))
    }
}
