//! The query side: waiting for a position, and how far everything is.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::RwLock;
use sqlx::PgPool;
use tokio::time::Instant;

use super::{Projection, projector::Progress, small, tables::or_empty, unsigned, unsigned_small};

const POLL_MIN: Duration = Duration::from_millis(2);
const POLL_MAX: Duration = Duration::from_millis(50);

/// How far a projection is.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    pub name: String,
    pub version: u32,
    pub generation: u32,
    pub position: u64,
    pub head: u64,
    /// `building`, `live` or `retired`.
    pub state: String,
    pub parked_keys: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The read model has never been built; it is on its way.
    #[error("{name} is being built: at {position} of {head}")]
    NotBuilt { name: &'static str, position: u64, head: u64 },
    /// The read model did not reach the position in time.
    #[error("{name} has not reached position {wanted} yet")]
    Behind { name: &'static str, wanted: u64 },
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
}

/// The query side's handle: a pool, and how to wait for a position. One per node, cheap to clone.
#[derive(Clone)]
pub struct Reader {
    inner: Arc<Inner>,
}

struct Inner {
    pool: PgPool,
    /// Of the node's own projector, if it has one.
    progress: Option<Arc<Progress>>,
    /// What was found to be built; it is not asked again.
    built: RwLock<HashSet<(&'static str, u32)>>,
}

impl Reader {
    /// A reader that asks the database how far a projection is. On a node that also projects,
    /// [`super::Projector::reader`] is woken instead.
    pub fn new(pool: PgPool) -> Self {
        Self { inner: Arc::new(Inner { pool, progress: None, built: RwLock::default() }) }
    }

    pub(super) fn following(pool: PgPool, progress: Arc<Progress>) -> Self {
        Self { inner: Arc::new(Inner { pool, progress: Some(progress), built: RwLock::default() }) }
    }

    /// The pool to query `read.*` views with.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// Waits until a projection has applied everything up to `position`: read your writes.
    /// `position` 0 only checks that it was ever built.
    ///
    /// # Errors
    /// [`ReadError::Behind`] after `within`; [`ReadError::NotBuilt`] for a shape never built.
    pub async fn wait<P: Projection>(&self, position: u64, within: Duration) -> Result<(), ReadError> {
        if position == 0 && self.inner.built.read().contains(&(P::NAME, P::VERSION)) {
            return Ok(());
        }
        let mut progress =
            self.inner.progress.as_ref().map(|progress| progress.subscribe(P::NAME, P::VERSION));
        let deadline = Instant::now() + within;
        let mut pause = POLL_MIN;
        loop {
            // Where this node leads, what it committed needs no asking.
            let led = progress.as_ref().map_or(0, |progress| *progress.borrow());
            if position > 0 && led >= position {
                return Ok(());
            }
            let live = self.live_position(P::NAME, P::VERSION).await?;
            if live.is_some() {
                self.inner.built.write().insert((P::NAME, P::VERSION));
            }
            match live {
                Some(live) if live >= position => return Ok(()),
                None if position == 0 => return Err(self.not_built(P::NAME, P::VERSION).await?),
                _ => {}
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(match live {
                    Some(_) => ReadError::Behind { name: P::NAME, wanted: position },
                    None => self.not_built(P::NAME, P::VERSION).await?,
                });
            }
            let woken = async {
                match &mut progress {
                    Some(progress) => {
                        // The sender lives as long as the reader.
                        if progress.wait_for(|led| *led >= position).await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            let ask_again = deadline.min(now + if led > 0 { POLL_MAX } else { pause });
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(ask_again) => {}
            }
            pause = (pause * 2).min(POLL_MAX);
        }
    }

    /// Every projection's state, for readiness, metrics and the admin.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn applied(&self) -> Result<Vec<Applied>, ReadError> {
        type Columns = (String, i32, i32, i64, i64, String, i64);
        let asked: Result<Vec<Columns>, _> = sqlx::query_as(
            "SELECT name, version, generation, position,
                    (SELECT coalesce(max(position), 0) FROM events), state, parked_keys
             FROM projection.versions WHERE dropped_at IS NULL ORDER BY name, version, generation",
        )
        .fetch_all(&self.inner.pool)
        .await;
        Ok(or_empty(asked)?
            .into_iter()
            .map(|(name, version, generation, position, head, state, parked_keys)| Applied {
                name,
                version: unsigned_small(version),
                generation: unsigned_small(generation),
                position: unsigned(position),
                head: unsigned(head),
                state,
                parked_keys: unsigned(parked_keys),
            })
            .collect())
    }

    async fn live_position(&self, name: &str, version: u32) -> Result<Option<u64>, ReadError> {
        let asked: Result<Vec<i64>, _> = sqlx::query_scalar(
            "SELECT position FROM projection.versions WHERE name = $1 AND version = $2 AND state = 'live'",
        )
        .bind(name)
        .bind(small(version))
        .fetch_all(&self.inner.pool)
        .await;
        Ok(or_empty(asked)?.first().map(|position| unsigned(*position)))
    }

    async fn not_built(&self, name: &'static str, version: u32) -> Result<ReadError, ReadError> {
        let building = self
            .applied()
            .await?
            .into_iter()
            .rfind(|applied| applied.name == name && applied.version == version);
        let (position, head) = building.map_or((0, 0), |building| (building.position, building.head));
        Ok(ReadError::NotBuilt { name, position, head })
    }
}
