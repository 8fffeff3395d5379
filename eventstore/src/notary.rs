//! The notary: an RFC 6962 Merkle tree over the log's rows, checkpoints signed of it, and proofs.
//!
//! It follows the log and never stands in an append's way. Whoever has an earlier checkpoint and the
//! public key can prove that nothing before it was changed; `docs/audit.md` says how.

pub mod bundle;
mod check;
mod checkpoint;
mod compare;
mod follow;
mod key;
mod proofs;
mod record;
mod tables;
mod tree;

use std::time::Duration;

use futures::TryStreamExt;
use sqlx::PgPool;
use tlog_tiles::Hash;

use crate::{StoreError, StoredEvent, read, store::MIGRATOR};

pub use check::{Check, CheckedCheckpoint};
pub use checkpoint::{Checkpoint, TreeHead, open_checkpoint};
pub use compare::{Comparison, Finding};
pub use follow::NotaryOptions;
pub use key::{NotaryKey, NoteError, is_origin, open_note};
pub use proofs::{ConsistencyProof, InclusionProof};
pub use record::{RECORD_TAG, canonical_record, leaf_hash};
pub use tlog_tiles::Hash as TreeHash;
pub use tree::Frontier;

/// The tree grows by at most so many events in one transaction.
const PAGE_EVENTS: u64 = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum NotaryError {
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    #[error("event {position} is not in the log, and a later one is: annals audit check says more")]
    Missing { position: u64 },
    #[error(
        "the tree does not contain what was signed at {size} events: the past was rewritten, or the tree is damaged. \
         Nothing is signed until that is settled; annals audit check says where"
    )]
    Rewritten { size: u64 },
    #[error("the notary's tables do not fit together: {why}")]
    Damaged { why: String },
    #[error("{0:?} can't name a log: 1 to 200 bytes without spaces, control characters and plus signs")]
    Origin(String),
    #[error("the tree has {size} events, not {asked}")]
    NotInTree { asked: u64, size: u64 },
    #[error(
        "this node's key is not the one that signed before ({former}): give it the notary's key (secrets.notary_key)"
    )]
    OtherKey { former: String },
}

/// The notary of one log, as one node sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notary {
    pool: PgPool,
    key: NotaryKey,
}

/// What happens where another key has signed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// Nothing is signed: more likely a node was not given the notary's key.
    Refused,
    /// The key was changed on purpose: from here on this one signs.
    Allowed,
}

/// How far the tree is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tree {
    /// Events at positions 1 to `size` are in it.
    pub size: u64,
    pub root: Hash,
    /// The log's last position.
    pub head: u64,
}

impl Notary {
    pub fn new(pool: PgPool, key: NotaryKey) -> Self {
        Self { pool, key }
    }

    /// The same after bringing the log's tables up to date: for a program that opens no store.
    ///
    /// # Errors
    /// If the database does not answer or a migration fails.
    pub async fn open(pool: PgPool, key: NotaryKey) -> Result<Self, StoreError> {
        MIGRATOR.run(&pool).await?;
        Ok(Self::new(pool, key))
    }

    pub fn key(&self) -> &NotaryKey {
        &self.key
    }

    /// How far the tree is, and the log.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn tree(&self) -> Result<Tree, NotaryError> {
        let head = tables::head(&self.pool).await?;
        Ok(Tree { size: head.size, root: head.root, head: head.log })
    }

    /// The row at a position, as stored.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn event(&self, position: u64) -> Result<Option<StoredEvent>, NotaryError> {
        let mut connection = self.pool.acquire().await?;
        let row = read::rows(&mut connection, position.saturating_sub(1), position).try_next().await?;
        Ok(row)
    }

    /// The newest checkpoint, if anything was signed yet.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, NotaryError> {
        tables::latest_checkpoint(&self.pool).await
    }

    /// The newest checkpoints with numbers below `before`, newest first.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn checkpoints(&self, before: Option<u64>, limit: u32) -> Result<Vec<Checkpoint>, NotaryError> {
        tables::checkpoints(&self.pool, before, limit).await
    }

    /// The checkpoints that a place of publication does not have yet, the oldest first.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn unpublished(&self, place: &str, limit: u32) -> Result<Vec<Checkpoint>, NotaryError> {
        tables::unpublished(&self.pool, place, limit).await
    }

    /// Remembers that a place has the checkpoints up to this number.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn published(&self, place: &str, number: u64) -> Result<(), NotaryError> {
        tables::published(&self.pool, place, number).await
    }

    /// Brings the tree up to the log's head of this moment and signs a checkpoint of it; the one that
    /// is there if nothing has happened since.
    ///
    /// # Errors
    /// [`NotaryError::Rewritten`] if what was signed before is not in the tree any more,
    /// [`NotaryError::OtherKey`] if another key signed before and that is not allowed, or if the database
    /// does not answer.
    pub async fn checkpoint_now(&self, change: KeyChange) -> Result<Checkpoint, NotaryError> {
        let head = tables::head(&self.pool).await?.log;
        self.catch_up(head).await?;
        self.sign(Duration::ZERO, change).await?.ok_or_else(|| NotaryError::Damaged {
            why: "a checkpoint was signed and can't be found".to_string(),
        })
    }

    /// Lets the tree grow until it has the event at `position`.
    ///
    /// # Errors
    /// As [`Notary::advance`].
    pub async fn catch_up(&self, position: u64) -> Result<(), NotaryError> {
        while self.advance().await?.size < position {}
        Ok(())
    }
}
