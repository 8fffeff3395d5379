//! What is found out about files, and what is made of them.

use std::path::{Path, PathBuf};

use annals_domain::publishing::media::{MediaType, StoredFile, Variant};
use async_trait::async_trait;

/// The variant that platforms are given.
pub const LARGE: &str = "large";
/// Bytes of it: Bluesky takes a million.
pub const LARGE_BYTES_MAX: u64 = 1_000_000;

/// What browsers and platforms play, where the file itself is not.
pub const VIDEO: &str = "video";

/// Makes thumbnails and other sizes of what was uploaded.
#[async_trait]
pub trait Workshop: Send + Sync + 'static {
    /// Whether anything is made of such files here.
    fn makes(&self, media_type: MediaType) -> bool;

    /// An empty file for what is fetched from the store; it goes when this is dropped.
    ///
    /// # Errors
    /// If there is no room to work in.
    fn bench(&self) -> Result<Box<dyn Bench>, WorkshopError>;

    /// The variants of a file that lies at `path`. They lie in files of their own until the answer is dropped.
    ///
    /// # Errors
    /// If nothing can be made of it, in words for the person who uploaded it.
    async fn make(&self, path: &Path, file: &StoredFile) -> Result<Made, WorkshopError>;
}

/// A file on this machine for a while.
pub trait Bench: Send + Sync {
    fn path(&self) -> &Path;
}

/// What was made of a file, and what was found out about it.
pub struct Made {
    pub variants: Vec<MadeVariant>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub duration_ms: Option<u64>,
    /// Keeps the variants' files.
    pub keeper: Box<dyn Send + Sync>,
}

/// A variant that is not stored yet.
#[derive(Clone, Debug)]
pub struct MadeVariant {
    pub variant: Variant,
    pub path: PathBuf,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum WorkshopError {
    /// It will be no better next time.
    #[error("{0}")]
    Refused(String),
    /// Something else is being made: ask again in a while.
    #[error("another file is being worked on")]
    Busy,
    /// This machine is at fault: another try may help.
    #[error("{0}")]
    Unavailable(String),
}
