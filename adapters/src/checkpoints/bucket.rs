//! Checkpoints in an object store (S3 and what speaks like it), one object each, never written over.
//!
//! The key is the size with leading zeros, so that a listing is in order. An object that is there with
//! another text is not passed over: somebody signed two pasts.

use std::sync::Arc;

use annals_commands::ports::checkpoints::{CheckpointPublisher, NotPublished, SignedCheckpoint};
use async_trait::async_trait;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, path::Path};
use url::Url;

use crate::files::{open_bucket, prefix_of};

/// Puts each checkpoint into a bucket.
#[derive(Debug)]
pub struct CheckpointBucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    place: String,
}

impl CheckpointBucket {
    /// `s3://bucket/path`; credentials, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`).
    ///
    /// # Errors
    /// In words, if the address or the environment is not understood.
    pub fn open(url: &Url) -> Result<Self, NotPublished> {
        let store = open_bucket(url).map_err(|error| NotPublished(format!("{url}: {error}")))?;
        let prefix = prefix_of(url).map_err(|error| NotPublished(format!("{url}: {error}")))?;
        Ok(Self { store, prefix, place: format!("object store {url}") })
    }

    fn key(&self, checkpoint: &SignedCheckpoint) -> Path {
        self.prefix.clone().join(format!("{:020}.checkpoint", checkpoint.size))
    }
}

#[async_trait]
impl CheckpointPublisher for CheckpointBucket {
    fn place(&self) -> &str {
        &self.place
    }

    async fn publish(&self, checkpoint: &SignedCheckpoint) -> Result<(), NotPublished> {
        let key = self.key(checkpoint);
        let failed = |error: Error| NotPublished(format!("{key}: {error}"));
        let payload = PutPayload::from(checkpoint.note.clone().into_bytes());
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&key, payload, options).await {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. }) => {
                let there = self.store.get(&key).await.map_err(failed)?.bytes().await.map_err(failed)?;
                if there == checkpoint.note.as_bytes() {
                    return Ok(());
                }
                Err(NotPublished(format!("{key} is there and is another checkpoint: it is left as it is")))
            }
            Err(error) => Err(failed(error)),
        }
    }
}
