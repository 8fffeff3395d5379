//! The log's tables as files in a folder, and back into an empty database.
//!
//! What is in a backup, and what a restore does, is in `docs/operations.md`. Read models, snapshots and
//! what process managers remember are not in it: events rebuild them. Neither is the master key.

mod export;
mod import;
mod manifest;

use std::path::PathBuf;

use crate::KeyringError;

pub use export::export;
pub use import::{import, is_in_use};
pub use manifest::{BackedUpTable, Manifest};

/// The only form there has been.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// Who was forgotten, a line each: the owner, a tab, when.
pub const FORGOTTEN: &str = "forgotten";

/// What is made again by itself, or by migrations.
const LEFT_OUT: [&str; 2] = ["_sqlx_migrations", "snapshots"];

/// How far a backup or restore is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'p> {
    pub table: &'p str,
    /// Of this table, so far.
    pub bytes: u64,
    /// Of this table in all, where it is known.
    pub of: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    #[error("{what} {}: {source}", .path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} is not empty: a backup is written into a folder of its own", .path.display())]
    Occupied { path: PathBuf },
    #[error("{} is no finished backup: {why}", .path.display())]
    NotABackup { path: PathBuf, why: String },
    #[error("the backup was made by a newer version of Annals: {why}")]
    TooNew { why: String },
    #[error("the database is not empty: {why}; a restore goes into one that holds nothing")]
    NotEmpty { why: String },
    #[error("the backup is damaged: {why}; nothing was restored")]
    Damaged { why: String },
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

impl BackupError {
    fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
