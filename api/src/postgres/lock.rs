//! One server per folder: an advisory lock on a file that says whose it is.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

/// A lock that the kernel lets go when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(
        "another annals ({holder}) uses {}: stop it or wait until it is through, or take another --data folder",
        .folder.display()
    )]
    Held { folder: PathBuf, holder: String },
    #[error("can't lock {}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl FolderLock {
    /// Takes the lock at once, and writes the process id into the file for whoever is refused.
    ///
    /// # Errors
    /// [`LockError::Held`], naming the process that has it.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let failed = |source: std::io::Error| LockError::Io { path: path.to_path_buf(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // The holder may not have written its number yet: then it stays unnamed.
                file.read_to_string(&mut holder).map_err(failed)?;
                let holder = match holder.trim() {
                    "" => "process unknown".to_string(),
                    pid => format!("process {pid}"),
                };
                let folder = path.parent().unwrap_or(path).to_path_buf();
                return Err(LockError::Held { folder, holder });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that is just being started holds a copy of the descriptor
        // until it runs its program.
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "a folder's lock could not be let go");
        }
    }
}
