//! Checkpoints in a file that only grows: one after the other, an empty line between them.
//!
//! The file is worth what the medium is worth: a write-once volume, a repository that is pushed, a
//! directory that somebody else copies.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
};

use annals_commands::ports::checkpoints::{CheckpointPublisher, NotPublished, SignedCheckpoint};
use async_trait::async_trait;
use tokio::{
    fs::{File, OpenOptions},
    io::{self, AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

/// Appends to a file.
#[derive(Clone, Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    place: String,
}

impl CheckpointFile {
    /// `path` is made with the first checkpoint.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { place: format!("file {}", path.display()), path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn append(&self, note: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.path).await?;
        let entry = format!("{note}\n");
        if ends_with(&mut file, entry.as_bytes()).await? {
            return Ok(());
        }
        file.write_all(entry.as_bytes()).await?;
        file.sync_all().await
    }
}

/// Whether the last try got as far as the file and no further.
async fn ends_with(file: &mut File, entry: &[u8]) -> io::Result<bool> {
    let length = file.metadata().await?.len();
    let Some(start) = length.checked_sub(entry.len() as u64) else { return Ok(false) };
    file.seek(SeekFrom::Start(start)).await?;
    let mut end = Vec::with_capacity(entry.len());
    file.read_to_end(&mut end).await?;
    Ok(end == entry)
}

#[async_trait]
impl CheckpointPublisher for CheckpointFile {
    fn place(&self) -> &str {
        &self.place
    }

    async fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), NotPublished> {
        let appended = self.append(&checkpoint.note).await;
        appended.map_err(|error| NotPublished(format!("{}: {error}", self.path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(size: u64) -> SignedCheckpoint {
        SignedCheckpoint { size, note: format!("log\n{size}\nroot\n\n— log signature\n") }
    }

    #[tokio::test]
    async fn a_file_only_grows_and_has_each_checkpoint_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = CheckpointFile::new(folder.path().join("checkpoints"));
        for size in [1, 1, 2] {
            place.publish(&checkpoint(size)).await.expect("is appended");
        }
        let text = std::fs::read_to_string(place.path()).expect("is there");
        assert_eq!(text, format!("{}\n{}\n", checkpoint(1).note, checkpoint(2).note));
        let nowhere = CheckpointFile::new(folder.path().join("no/such/folder"));
        let refused = nowhere.publish(&checkpoint(1)).await.expect_err("there is no such folder");
        assert!(refused.to_string().contains("no/such/folder"), "{refused}");
    }
}
