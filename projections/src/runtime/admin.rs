//! What an admin does: see how the read models are, rebuild them, and repair what got stuck.

use std::sync::Arc;

use annals_domain::operations::{Build, EventsPerSecond, SkippedKey};
use annals_eventstore::{EventStore, StoreError};
use sqlx::PgPool;
use tokio::sync::OnceCell;

use super::{
    compare::{self, Compared},
    control::{self, UnderWay},
    model::Model,
    parked::{self, ParkedEvent, ParkedKey},
    replay::{self, Replayed},
    status::{self, GenerationStatus},
    tables,
};

/// Keys that are listed at once.
const PARKED_KEYS_LISTED_MAX: u32 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("there is no projection {name}")]
    Unknown { name: String },
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    #[error("the log could not be read")]
    Store(#[from] StoreError),
}

/// Begins a rebuild as [`Admin::rebuild`], unbounded and with no event that asked for it. Needs no
/// projector in this process. Returns the generation that is being built.
///
/// # Errors
/// [`AdminError::Unknown`] if no version of it is live or being built.
pub async fn request_rebuild(pool: &PgPool, name: &str) -> Result<u32, AdminError> {
    Ok(control::rebuild(pool, name, 0, None).await?.generation)
}

/// The admin's handle for the projections of this binary. Works on any node: the checkpoint row's lock
/// makes it and the leader take turns.
#[derive(Clone)]
pub struct Admin {
    store: EventStore,
    models: Vec<Arc<dyn Model>>,
    /// Whether the books were seen to: a node that projects nothing may be the first to ask.
    books: Arc<OnceCell<()>>,
}

impl Admin {
    pub(super) fn new(store: EventStore, models: Vec<Arc<dyn Model>>) -> Self {
        Self { store, models, books: Arc::default() }
    }

    /// Whether this binary has a read model of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.models.iter().any(|model| model.name() == name)
    }

    /// The read models of this binary.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.models.iter().map(|model| model.name())
    }

    /// Compares a live read model with a fresh build of it, if the log has no more than `events_max`
    /// events up to there.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] for a projection this binary does not have; otherwise if the database
    /// does not answer.
    pub async fn compare(&self, name: &str, events_max: u64) -> Result<Compared, AdminError> {
        let model = self.models.iter().find(|model| model.name() == name);
        let model = model.ok_or_else(|| AdminError::Unknown { name: name.to_string() })?;
        compare::compare(&self.store, model, events_max).await
    }

    /// Every generation that is live or being built, by name, version and generation.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn generations(&self) -> Result<Vec<GenerationStatus>, AdminError> {
        Ok(tables::or_empty(status::generations(self.store.pool()).await)?)
    }

    /// The newest build of a read model that is under way.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] if no version of it is live or being built.
    pub async fn under_way(&self, name: &str) -> Result<Option<UnderWay>, AdminError> {
        control::under_way(self.pool().await?, name).await
    }

    /// Begins a rebuild of a read model's newest live version beside the live generation, at most so
    /// fast; it takes over by itself. One that is under way is not begun again, nor one that the event
    /// at `requested_at` began before.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] if no version of it is live or being built.
    pub async fn rebuild(
        &self,
        name: &str,
        requested_at: u64,
        events_per_second_max: Option<EventsPerSecond>,
    ) -> Result<Build, AdminError> {
        control::rebuild(self.pool().await?, name, requested_at, events_per_second_max).await
    }

    /// Holds a build where it is, or lets it go on, unless an event after `controlled_at` said otherwise.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn pause(
        &self,
        name: &str,
        build: Build,
        is_paused: bool,
        controlled_at: u64,
    ) -> Result<(), AdminError> {
        control::pause(self.pool().await?, name, build, is_paused, controlled_at).await
    }

    /// Bounds how fast a build goes (`None`: not at all), unless an event after `controlled_at` said otherwise.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn throttle(
        &self,
        name: &str,
        build: Build,
        events_per_second_max: Option<EventsPerSecond>,
        controlled_at: u64,
    ) -> Result<(), AdminError> {
        control::throttle(self.pool().await?, name, build, events_per_second_max, controlled_at).await
    }

    /// Gives a build up; the live generation is not touched. False if it was over before.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn cancel(&self, name: &str, build: Build) -> Result<bool, AdminError> {
        control::cancel(self.pool().await?, name, build).await
    }

    /// Lets a build take over although it has parked keys. False if it was over before.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn accept_parked(&self, name: &str, build: Build) -> Result<bool, AdminError> {
        control::accept_parked(self.pool().await?, name, build).await
    }

    /// The keys of a projection that wait, oldest first; at most 1,000.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn parked(&self, name: &str) -> Result<Vec<ParkedKey>, AdminError> {
        self.parked_after(name, None, PARKED_KEYS_LISTED_MAX).await
    }

    /// At most `limit` of the keys that wait behind a key that was listed, in that order.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn parked_after(
        &self,
        name: &str,
        after: Option<&ParkedKey>,
        limit: u32,
    ) -> Result<Vec<ParkedKey>, AdminError> {
        Ok(tables::or_empty(parked::keys(self.store.pool(), name, after, limit).await)?)
    }

    /// The first `limit` events that wait on a key, oldest first, with every sealed value erased.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn parked_events(
        &self,
        name: &str,
        key: &str,
        limit: u32,
    ) -> Result<Vec<ParkedEvent>, AdminError> {
        parked::events(&self.store, name, key, limit).await
    }

    /// What a skip of this key would leave out now, per generation that parked it.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn skippable(&self, name: &str, key: &str) -> Result<Vec<SkippedKey>, AdminError> {
        Ok(tables::or_empty(parked::skippable(self.store.pool(), name, key).await)?)
    }

    /// Leaves out what was parked on a key up to the skip's last position, and applies what came after.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] for a projection this binary does not have; otherwise if the database
    /// does not answer.
    pub async fn skip(&self, name: &str, skipped: &SkippedKey) -> Result<Replayed, AdminError> {
        let model = self.model(name)?;
        parked::skip(self.pool().await?, name, skipped).await?;
        replay::replay(&self.store, model, Some(&skipped.key)).await
    }

    /// Applies what is parked, in order, after a fix: one key, or all of them with `None`. A key that
    /// fails again goes on waiting from there; the others are not held up.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] for a projection this binary does not have; otherwise if the database
    /// does not answer: what was applied until then is applied.
    pub async fn replay_parked(&self, name: &str, key: Option<&str>) -> Result<Replayed, AdminError> {
        let model = self.model(name)?;
        self.pool().await?;
        replay::replay(&self.store, model, key).await
    }

    fn model(&self, name: &str) -> Result<&dyn Model, AdminError> {
        let model = self.models.iter().find(|model| model.name() == name);
        model.map(|model| &**model).ok_or_else(|| AdminError::Unknown { name: name.to_string() })
    }

    /// The pool, once the books are there: for what changes them. Queries never make a table.
    async fn pool(&self) -> Result<&PgPool, sqlx::Error> {
        self.books.get_or_try_init(|| tables::ensure(self.store.pool())).await?;
        Ok(self.store.pool())
    }
}
