//! Files in an object store: a folder of this machine, or a bucket of S3 and what speaks like it.

mod bucket;
#[cfg(test)]
mod tests;

use std::{ops::Range, path::Path, sync::Arc};

use annals_commands::ports::files::{FileBytes, FileEntry, Files, FilesError};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart,
    local::LocalFileSystem, path::Path as Key,
};
use tokio::io::AsyncReadExt;
use url::Url;

pub(crate) use bucket::{open as open_bucket, prefix_of};

/// Bytes of a part: what is up to this goes in one request, and this is what a file costs in memory at a
/// time, once for the part that is read and once for each that is under way.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts of one file that are under way at once.
const PARTS_AT_ONCE: usize = 2;

/// Files by key in an object store.
#[derive(Clone, Debug)]
pub struct StoredFiles {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    place: String,
}

impl StoredFiles {
    /// A folder, which is made if it is not there, readable by its owner only.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn in_folder(folder: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(std::io::Error::other)?
            .with_automatic_cleanup(true)
            .with_fsync(true);
        let place = format!("folder {}", folder.display());
        Ok(Self { store: Arc::new(store), prefix: Key::default(), place })
    }

    /// `s3://bucket/path`; credentials, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`).
    ///
    /// # Errors
    /// In words, if the address or the environment is not understood.
    pub fn in_bucket(url: &Url) -> Result<Self, FilesError> {
        let unavailable = |why| FilesError::Unavailable(format!("{url}: {why}"));
        let store = open_bucket(url).map_err(|error| unavailable(error.to_string()))?;
        let prefix = prefix_of(url).map_err(|error| unavailable(error.to_string()))?;
        Ok(Self { store, prefix, place: format!("bucket {url}") })
    }

    fn key(&self, key: &str) -> Key {
        key.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

#[async_trait]
impl Files for StoredFiles {
    fn place(&self) -> &str {
        &self.place
    }

    async fn put(&self, key: &str, from: &Path) -> Result<(), FilesError> {
        let location = self.key(key);
        let failed = |error: Error| failure(key, error);
        let unread = |error: std::io::Error| FilesError::Unavailable(format!("{}: {error}", from.display()));
        let mut file = tokio::fs::File::open(from).await.map_err(unread)?;
        let first = read_part(&mut file).await.map_err(unread)?;
        if first.len() < PART_BYTES {
            self.store.put(&location, PutPayload::from(first)).await.map_err(failed)?;
            return Ok(());
        }
        let upload = self.store.put_multipart(&location).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut part = first;
        let written = async {
            while !part.is_empty() {
                upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
                upload.put(part);
                part = read_part(&mut file).await.map_err(unread)?;
            }
            Ok(())
        };
        if let Err(error) = written.await {
            if let Err(left) = upload.abort().await {
                tracing::warn!(file.key = key, error = %left, "parts of an upload that failed may be left in the store");
            }
            return Err(error);
        }
        upload.finish().await.map_err(failed)?;
        Ok(())
    }

    async fn open(&self, key: &str, range: Option<Range<u64>>) -> Result<FileBytes, FilesError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let found =
            self.store.get_opts(&self.key(key), options).await.map_err(|error| failure(key, error))?;
        let key = key.to_string();
        Ok(found.into_stream().map_err(move |error| failure(&key, error)).boxed())
    }

    async fn delete(&self, key: &str) -> Result<(), FilesError> {
        match self.store.delete(&self.key(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure(key, error)),
        }
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry, FilesError>> {
        let own = self.prefix.clone();
        let asked = prefix.to_string();
        self.store
            .list(Some(&self.key(prefix)))
            .map(move |found| {
                let found = found.map_err(|error| failure(&asked, error))?;
                let parts: Vec<_> = match found.location.prefix_match(&own) {
                    Some(parts) => parts.collect(),
                    None => found.location.parts().collect(),
                };
                let key = parts.iter().map(|part| part.as_ref()).collect::<Vec<_>>().join("/");
                Ok(FileEntry { key, size_bytes: found.size, modified_at: found.last_modified })
            })
            .boxed()
    }
}

/// The next part; less than a whole one only at the end.
async fn read_part(file: &mut tokio::fs::File) -> std::io::Result<Bytes> {
    let mut part = BytesMut::with_capacity(PART_BYTES);
    while part.len() < PART_BYTES {
        let room = PART_BYTES - part.len();
        if file.take(room as u64).read_buf(&mut part).await? == 0 {
            break;
        }
    }
    Ok(part.freeze())
}

fn failure(key: &str, error: Error) -> FilesError {
    match error {
        Error::NotFound { .. } => FilesError::NotFound(key.to_string()),
        error => FilesError::Unavailable(error.to_string()),
    }
}
