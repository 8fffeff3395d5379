//! What comes in, on this machine's disk until it is whole and looked through.
//!
//! Only then does it go into the file store: an upload that dies leaves nothing there. A spooled file goes
//! when it is dropped; what a killed program left is removed at the next start.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};
use tokio::{fs::File, io::AsyncWriteExt};

/// No upload takes so long: what is older was left behind.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// What is kept of a file's beginning, to tell what it is.
const HEAD_BYTES: usize = 8 * 1024;

/// A folder for what comes in.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("must have at most {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    #[error("there is no room to take it in: {0}")]
    Disk(#[from] std::io::Error),
}

impl Spool {
    /// Makes the folder, readable by its owner only, and removes what is older than a day.
    ///
    /// # Errors
    /// If it can't be made or read.
    pub fn open(folder: impl Into<PathBuf>) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = folder.into();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let now = SystemTime::now();
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let is_old = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age > LEFT_BEHIND_AFTER));
            if is_old {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder })
    }

    /// A file to write into, that may have so many bytes.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn begin(&self, bytes_max: u64) -> Result<Spooling, SpoolError> {
        let (file, path) = NamedTempFile::new_in(&self.folder)?.into_parts();
        Ok(Spooling {
            file: File::from_std(file),
            path,
            digest: Sha256::new(),
            head: Vec::new(),
            size_bytes: 0,
            bytes_max,
        })
    }

    /// A path for a program that writes a file itself.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn path(&self) -> std::io::Result<TempPath> {
        Ok(NamedTempFile::new_in(&self.folder)?.into_temp_path())
    }
}

/// A file that is coming in.
pub struct Spooling {
    file: File,
    path: TempPath,
    digest: Sha256,
    head: Vec<u8>,
    size_bytes: u64,
    bytes_max: u64,
}

impl Spooling {
    /// # Errors
    /// If it becomes too large, or the disk is full.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes > self.bytes_max {
            return Err(SpoolError::TooLarge { bytes_max: self.bytes_max });
        }
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.digest.update(bytes);
        self.file.write_all(bytes).await?;
        Ok(())
    }

    /// Its first bytes, so far.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Whether enough has come in to tell what it is.
    pub fn has_head(&self) -> bool {
        self.head.len() >= HEAD_BYTES
    }

    /// Another bound, now that it is known what it is.
    ///
    /// # Errors
    /// If there is more already.
    pub fn bound(&mut self, bytes_max: u64) -> Result<(), SpoolError> {
        self.bytes_max = bytes_max;
        if self.size_bytes > bytes_max { Err(SpoolError::TooLarge { bytes_max }) } else { Ok(()) }
    }

    /// It came in whole.
    ///
    /// # Errors
    /// If the disk is full.
    pub async fn finish(mut self) -> Result<Spooled, SpoolError> {
        self.file.flush().await?;
        Ok(Spooled {
            path: self.path,
            size_bytes: self.size_bytes,
            sha256: hex::encode(self.digest.finalize()),
            head: self.head,
        })
    }
}

/// A whole file on this machine, until it is dropped.
#[derive(Debug)]
pub struct Spooled {
    path: TempPath,
    pub size_bytes: u64,
    /// In hex.
    pub sha256: String,
    /// Its first bytes.
    pub head: Vec<u8>,
}

impl Spooled {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_in_is_counted_hashed_and_gone_when_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path().join("uploads")).expect("opens");
        let mut spooling = spool.begin(5).expect("begins");
        spooling.write(b"hel").await.expect("fits");
        spooling.write(b"lo").await.expect("fits");
        let spooled = spooling.finish().await.expect("is whole");
        assert_eq!(std::fs::read(spooled.path()).expect("is there"), b"hello");
        assert_eq!(spooled.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        let path = spooled.path().to_path_buf();
        drop(spooled);
        assert!(!path.exists());
        let mut spooling = spool.begin(4).expect("begins");
        let refused = spooling.write(b"hello").await.expect_err("is too large");
        assert!(matches!(refused, SpoolError::TooLarge { bytes_max: 4 }));
        drop(spooling);
        assert_eq!(std::fs::read_dir(folder.path().join("uploads")).expect("is there").count(), 0);
    }

    #[test]
    fn what_a_killed_program_left_goes_at_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        std::fs::write(&old, "half").expect("writes");
        std::fs::write(&new, "half").expect("writes");
        let before = SystemTime::now() - LEFT_BEHIND_AFTER - Duration::from_secs(60);
        std::fs::File::options()
            .write(true)
            .open(&old)
            .and_then(|file| file.set_modified(before))
            .expect("ages");
        Spool::open(folder.path()).expect("opens");
        assert!(!old.exists() && new.exists());
    }
}
