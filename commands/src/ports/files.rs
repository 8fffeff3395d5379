//! Where the bytes of files lie: a folder, or a bucket. The log has what they are; here is where they are.

use std::{ops::Range, path::Path};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;

/// A file's bytes, as they come.
pub type FileBytes = BoxStream<'static, Result<Bytes, FilesError>>;

/// Files by key. A key is made of ids and names of ours, with `/` between: never of what a person wrote.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// What a person calls it: `folder /var/annals/files`.
    fn place(&self) -> &str;

    /// Stores what is in a local file, whole or not at all; what lay under the key is replaced.
    ///
    /// # Errors
    /// If the store does not take it. Nothing is under the key then that was not before.
    async fn put(&self, key: &str, from: &Path) -> Result<(), FilesError>;

    /// The bytes of a range, or all of them.
    ///
    /// # Errors
    /// [`FilesError::NotFound`], or a store that does not answer.
    async fn open(&self, key: &str, range: Option<Range<u64>>) -> Result<FileBytes, FilesError>;

    /// Removes a file; that it is not there is fine.
    ///
    /// # Errors
    /// If the store does not answer.
    async fn delete(&self, key: &str) -> Result<(), FilesError>;

    /// Everything under a prefix (`media/…`), in no order.
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry, FilesError>>;
}

/// A file that lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    pub key: String,
    pub size_bytes: u64,
    pub modified_at: DateTime<Utc>,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("there is no file {0}")]
    NotFound(String),
    /// In words; another try may help.
    #[error("the file store did not answer: {0}")]
    Unavailable(String),
}
