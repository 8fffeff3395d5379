//! The store: one handle per node, cheap to clone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use cqrs_es::Aggregate;
use sqlx::PgPool;

use crate::{
    Append, AppendError, ClaimKey, Filter, IdempotencyRef, KeyringError, LoadError, Loaded, MasterKey,
    Opening, Receipt, RecordedEvent, SnapshotPolicy, StoredEvent, StreamId, Subscription, Upcaster,
};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    #[error("the log's tables could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error("event {position} is damaged: {why}")]
    Damaged { position: u64, why: String },
}

/// What a store needs to know at start.
pub struct StoreOptions {
    pub master_key: MasterKey,
    /// Former master keys, to open what was wrapped under them.
    pub former_master_keys: Vec<MasterKey>,
    pub upcasters: Vec<Arc<dyn Upcaster>>,
    /// By `Aggregate::TYPE`; a type without a policy is never snapshot.
    pub snapshots: HashMap<&'static str, SnapshotPolicy>,
    /// How many hydrated aggregates the node keeps.
    pub cache_aggregates_max: u64,
    /// An event's payload and metadata together may have so many bytes.
    pub event_bytes_max: usize,
    /// How often the head is read when no notification came.
    pub poll_interval: Duration,
}

impl StoreOptions {
    pub fn new(master_key: MasterKey) -> Self {
        Self {
            master_key,
            former_master_keys: Vec::new(),
            upcasters: Vec::new(),
            snapshots: HashMap::new(),
            cache_aggregates_max: 10_000,
            event_bytes_max: 512 * 1024,
            poll_interval: Duration::from_millis(500),
        }
    }
}

/// The log, as one node sees it.
#[derive(Clone)]
pub struct EventStore {
    inner: Arc<Inner>,
}

struct Inner {
    #[expect(dead_code, reason = "the body is being written")]
    pool: PgPool,
}

#[expect(clippy::todo, unused_variables, reason = "the bodies are being written")]
impl EventStore {
    /// Brings the log's tables up to date, opens the key ring and starts the committers and the follower.
    ///
    /// # Errors
    /// If the database can't be reached, a migration fails, or the master key is another installation's.
    pub async fn open(pool: PgPool, options: StoreOptions) -> Result<Self, StoreError> {
        todo!()
    }

    pub fn pool(&self) -> &PgPool {
        todo!()
    }

    /// Finishes the batches under way and stops the node's tasks.
    pub async fn close(&self) {
        todo!()
    }

    /// Writes one append, all or nothing, together with whatever else is waiting (group commit).
    ///
    /// # Errors
    /// See [`AppendError`]; nothing of the append is written then.
    pub async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        todo!()
    }

    /// The receipt of an earlier append under this key, if there is one.
    ///
    /// # Errors
    /// [`AppendError::KeyReused`] if the key was used for another request.
    pub async fn find_receipt(&self, reference: &IdempotencyRef) -> Result<Option<Receipt>, AppendError> {
        todo!()
    }

    /// An aggregate at its newest version, from the cache where it is known to be current.
    ///
    /// # Errors
    /// If the database does not answer or an event can't be decoded.
    pub async fn load<A: Aggregate + 'static>(&self, aggregate_id: &str) -> Result<Loaded<A>, LoadError> {
        todo!()
    }

    /// Drops an aggregate from this node's cache, before deciding again after a conflict.
    pub fn evict(&self, stream: &StreamId) {
        todo!()
    }

    /// Whether these streams still have these versions, asked of the database: confirms a
    /// decision that appends nothing to them (a refusal, a login).
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn confirm(&self, versions: &[(StreamId, u64)]) -> Result<bool, StoreError> {
        todo!()
    }

    /// The raw rows of one stream, after `after_sequence`, at most `limit`.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn read_stream(
        &self,
        stream: &StreamId,
        after_sequence: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        todo!()
    }

    /// The raw rows after a position, at most `limit`, filtered.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn read_all(
        &self,
        after_position: u64,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        todo!()
    }

    /// A stored event as a reader may see it: opened, then upcast (one to many).
    ///
    /// # Errors
    /// If the key ring can't be read or the row is damaged.
    pub async fn open_event(
        &self,
        event: &StoredEvent,
        opening: Opening,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        todo!()
    }

    /// Everything after `after_position` that the filter lets through: first what is there, then what comes.
    pub fn subscribe(&self, after_position: u64, filter: Filter, opening: Opening) -> Subscription {
        todo!()
    }

    /// The position of the last event.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn head(&self) -> Result<u64, StoreError> {
        todo!()
    }

    /// Who holds a claim: how an address leads to its user.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn claim_holder(&self, key: &ClaimKey) -> Result<Option<String>, StoreError> {
        todo!()
    }

    /// A claim's key for a personal value: an HMAC under a key that does not rotate.
    pub fn claim_key(&self, namespace: &str, personal: &str) -> ClaimKey {
        todo!()
    }

    /// An HMAC-SHA256 of a request under a key of this log, for [`IdempotencyRef`].
    pub fn digest(&self, request: &[u8]) -> [u8; 32] {
        todo!()
    }

    /// An HMAC-SHA256 under a key of this log derived for `purpose`: for tokens in mail.
    pub fn derive(&self, purpose: &str, input: &[u8]) -> [u8; 32] {
        todo!()
    }

    /// Wraps every key under the newest master key; returns how many were rewrapped.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn rotate_master_key(&self) -> Result<u64, StoreError> {
        todo!()
    }
}
