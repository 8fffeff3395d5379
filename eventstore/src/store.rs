//! The store: one handle per node, cheap to clone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use parking_lot::Mutex;
use sqlx::{PgPool, migrate::Migrator};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    Append, AppendError, ClaimKey, Filter, IdempotencyRef, KeyringError, LoadError, Loaded, MasterKey,
    MetadataNeeds, Opening, Receipt, RecordedEvent, SnapshotPolicy, StoredEvent, StoredEvents, StreamId,
    Subscription, UnparsedEvent, Upcaster,
    aggregates::Aggregates,
    commit::{self, Queue, Refusal, Waiting},
    follow::{self, Follower},
    keyring::Keyring,
    load, page, prepare, read,
    shared::Shared,
    stored,
};

/// The log's own tables.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../eventstore-migrations");

/// How often an append is sealed again because another one made the same owner's key first.
const SEALINGS_MAX: usize = 5;

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
    /// How long an append is tried that surely did not happen, before it is answered with
    /// [`AppendError::Unavailable`].
    pub append_timeout: Duration,
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
            append_timeout: Duration::from_secs(10),
        }
    }
}

/// The log, as one node sees it.
#[derive(Clone)]
pub struct EventStore {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    committers: Mutex<Vec<JoinHandle<()>>>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        self.shared.follower.stop.cancel();
    }
}

impl EventStore {
    /// Brings the log's tables up to date, opens the key ring and starts the committers and the follower.
    ///
    /// # Errors
    /// If the database can't be reached, a migration fails, or the master key is another installation's.
    pub async fn open(pool: PgPool, options: StoreOptions) -> Result<Self, StoreError> {
        MIGRATOR.run(&pool).await?;
        let former = options.former_master_keys.clone();
        let keyring = Keyring::open(pool.clone(), options.master_key.clone(), former).await?;
        let (head, _) = read::head(&pool).await?;
        let aggregates = Arc::new(Aggregates::new(options.cache_aggregates_max));
        let follower = Follower::new(head);
        let shared = Arc::new(Shared { pool, options, keyring, aggregates, follower });
        let queue = Arc::new(Queue::new());
        let committers = commit::start(&shared, &queue);
        let follower = follow::start(&shared);
        let inner =
            Inner { shared, queue, committers: Mutex::new(committers), follower: Mutex::new(Some(follower)) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Only brings the log's tables up to date: what a restore fills.
    ///
    /// # Errors
    /// If the database can't be reached or a migration fails.
    pub async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
        Ok(MIGRATOR.run(pool).await?)
    }

    pub fn pool(&self) -> &PgPool {
        &self.inner.shared.pool
    }

    /// Finishes the batches under way and stops the node's tasks.
    pub async fn close(&self) {
        self.inner.queue.close();
        let committers = std::mem::take(&mut *self.inner.committers.lock());
        let finished = futures::future::join_all(committers);
        if tokio::time::timeout(self.inner.shared.options.append_timeout, finished).await.is_err() {
            tracing::warn!("the log could not be reached while closing: what still waited is refused");
            self.inner.queue.abandon();
        }
        self.inner.shared.follower.stop.cancel();
        let follower = self.inner.follower.lock().take();
        if let Some(Err(error)) = futures::future::OptionFuture::from(follower).await {
            tracing::error!(error = %error, "the follower had failed");
        }
    }

    /// Writes one append, all or nothing, together with whatever else is waiting (group commit).
    ///
    /// Dropping the future does not take it back: it may still be written.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing of the append is written then.
    pub async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        let answer = self.try_append(&append).await;
        match &answer {
            Err(error) => {
                if let AppendError::VersionConflict { stream, actual, .. } = error {
                    // What the node holds is behind: the next load must not trust it.
                    self.inner.shared.aggregates.saw(stream, *actual);
                }
                metrics::counter!("annals_append_refusals_total", "reason" => error.reason()).increment(1);
            }
            Ok(receipt) => {
                for (stream, version) in &receipt.versions {
                    self.inner.shared.aggregates.saw(stream, *version);
                }
            }
        }
        answer
    }

    async fn try_append(&self, append: &Append) -> Result<Receipt, AppendError> {
        let shared = &self.inner.shared;
        let deadline = Instant::now() + shared.options.append_timeout;
        for _ in 0..SEALINGS_MAX {
            let prepared = prepare::prepare(append, &shared.keyring, shared.options.event_bytes_max).await?;
            let (reply, answer) = oneshot::channel();
            self.inner.queue.push(Waiting { append: prepared, reply, deadline }).await?;
            match answer.await {
                Ok(Ok(receipt)) => return Ok(receipt),
                Ok(Err(Refusal::Final(error))) => return Err(error),
                Ok(Err(Refusal::SealAgain)) => {}
                Err(_) => return Err(commit::closed()),
            }
        }
        Err(AppendError::Malformed { why: "its owners' keys changed again and again".to_string() })
    }

    /// The receipt of an earlier append under this key, if there is one.
    ///
    /// # Errors
    /// [`AppendError::KeyReused`] if the key was used for another request.
    pub async fn find_receipt(&self, reference: &IdempotencyRef) -> Result<Option<Receipt>, AppendError> {
        read::find_receipt(&self.inner.shared, reference).await
    }

    /// An aggregate at its newest version, from the cache where it is known to be current.
    ///
    /// What another node wrote within the last second may be missing: decisions are checked by
    /// the append's versions or by [`EventStore::confirm`].
    ///
    /// # Errors
    /// If the database does not answer or an event can't be decoded.
    pub async fn load<A>(&self, aggregate_id: &str) -> Result<Loaded<A>, LoadError>
    where
        A: Aggregate + Clone + 'static,
    {
        load::load(&self.inner.shared, aggregate_id).await
    }

    /// Drops an aggregate from this node's cache, before deciding again after a conflict.
    pub fn evict(&self, stream: &StreamId) {
        self.inner.shared.aggregates.evict(stream);
    }

    /// Whether these streams still have these versions, asked of the database: confirms a
    /// decision that appends nothing to them (a refusal, a login).
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn confirm(&self, versions: &[(StreamId, u64)]) -> Result<bool, StoreError> {
        read::confirm(self.pool(), versions).await
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
        read::stream(self.pool(), stream, after_sequence, limit).await
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
        read::range(self.pool(), after_position, u64::MAX, filter, limit).await
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
        Ok(read::open(&self.inner.shared, [event], opening).await?.0)
    }

    /// Several stored events, with one query for all their keys.
    ///
    /// # Errors
    /// As [`EventStore::open_event`].
    pub async fn open_events(
        &self,
        events: &[StoredEvent],
        opening: Opening,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(read::open(&self.inner.shared, events, opening).await?.0)
    }

    /// The same for projectors: a damaged event comes too, and says so when it is decoded.
    ///
    /// # Errors
    /// If the key ring can't be read.
    pub async fn open_unparsed(
        &self,
        events: Vec<StoredEvent>,
        opening: Opening,
    ) -> Result<Vec<UnparsedEvent>, StoreError> {
        page::open(&self.inner.shared, events, opening, MetadataNeeds::Everything).await
    }

    /// Everything after `after_position` that the filter lets through: first what is there, then what comes.
    pub fn subscribe(&self, after_position: u64, filter: Filter, opening: Opening) -> Subscription {
        Subscription::new(Arc::clone(&self.inner.shared), after_position, filter, opening)
    }

    /// The rows of `after_position < position <= up_to` as they are, then what comes, read ahead of
    /// their reader: for whoever passes them on. Give `u64::MAX` for no end.
    pub fn stored_events(&self, after_position: u64, up_to: u64) -> StoredEvents {
        stored::read_ahead(Arc::clone(&self.inner.shared), after_position, up_to)
    }

    /// The position of the last event that this node knows of, without asking the database.
    pub fn known_head(&self) -> u64 {
        *self.inner.shared.follower.watch().borrow()
    }

    /// The position of the last event.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn head(&self) -> Result<u64, StoreError> {
        Ok(read::head(self.pool()).await?.0)
    }

    /// The head as this node knows it, told when it moves.
    pub(crate) fn watch_head(&self) -> watch::Receiver<u64> {
        self.inner.shared.follower.watch()
    }

    /// Who holds a claim: how an address leads to its user.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn claim_holder(&self, key: &ClaimKey) -> Result<Option<String>, StoreError> {
        read::claim_holder(self.pool(), key).await
    }

    /// A claim's key for a personal value: an HMAC under a key that does not rotate.
    pub fn claim_key(&self, namespace: &str, personal: &str) -> ClaimKey {
        let hash = self.inner.shared.keyring.claim_hash(namespace, personal);
        ClaimKey { namespace: namespace.to_string(), key: URL_SAFE_NO_PAD.encode(hash) }
    }

    /// An HMAC-SHA256 of a request under a key of this log, for [`IdempotencyRef`].
    pub fn digest(&self, request: &[u8]) -> [u8; 32] {
        self.inner.shared.keyring.request_digest(request)
    }

    /// An HMAC-SHA256 under a key of this log derived for `purpose`: for tokens in mail.
    pub fn derive(&self, purpose: &str, input: &[u8]) -> [u8; 32] {
        self.inner.shared.keyring.derive(&format!("derived.{purpose}"), &[input])
    }

    /// Seals what leaves and comes back, such as the state of an authorization, under a key of this log
    /// derived for `purpose`. Every node can open it.
    pub fn seal_for(&self, purpose: &str, text: &[u8]) -> Vec<u8> {
        self.inner.shared.keyring.seal_for(purpose, text)
    }

    /// What [`EventStore::seal_for`] sealed for the same purpose; `None` for anything else.
    pub fn open_for(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.inner.shared.keyring.open_for(purpose, sealed)
    }

    /// Wraps every key under the newest master key; returns how many were rewrapped.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn rotate_master_key(&self) -> Result<u64, StoreError> {
        self.inner.shared.keyring.rotate().await
    }

    /// How many keys were ever destroyed: whether [`EventStore::forgotten_owners`] has more by now.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn destroyed_keys(&self) -> Result<u64, StoreError> {
        Ok(read::head(self.pool()).await?.1)
    }

    /// Everyone who was forgotten, with when: to forget them again after an older backup was restored.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn forgotten_owners(&self) -> Result<Vec<(String, DateTime<Utc>)>, StoreError> {
        read::forgotten_owners(self.pool()).await
    }
}
