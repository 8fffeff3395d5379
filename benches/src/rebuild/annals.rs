//! This log's read models, by the projector that runs live.

use std::time::{Duration, Instant};

use annals_eventstore::{EventStore, StoreOptions, testing::master_key};
use annals_projections::{
    Projector,
    identity::{ApiKeys, Organizations, Sessions, Users},
    publishing::{Activity, Channels, Posts, Tags},
    runtime,
};
use anyhow::{Context, bail};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;

/// Those that read a good part of the log.
pub(super) const MODELS: [&str; 3] = ["posts", "activity", "sessions"];

pub(super) struct Contender {
    store: EventStore,
}

impl Contender {
    pub(super) async fn open(url: &str) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(16).connect(url).await?;
        Ok(Self { store: EventStore::open(pool, StoreOptions::new(master_key())).await? })
    }

    pub(super) fn store(&self) -> &EventStore {
        &self.store
    }

    /// Builds a read model from position 0 until readers see it, indexes and swap included.
    pub(super) async fn build(&self, name: &str) -> anyhow::Result<Duration> {
        let pool = self.store.pool();
        let stop = CancellationToken::new();
        let projector = Projector::new(self.store.clone());
        let projector = match name {
            "posts" => projector.with(Posts),
            "activity" => projector.with(Activity),
            "sessions" => projector.with(Sessions),
            "users" => projector.with(Users),
            "organizations" => projector.with(Organizations),
            "api_keys" => projector.with(ApiKeys),
            "channels" => projector.with(Channels),
            "tags" => projector.with(Tags),
            other => bail!("there is no read model {other:?}"),
        };
        let before = live(pool, name).await.unwrap_or(0);
        let began = Instant::now();
        if before > 0 {
            runtime::request_rebuild(pool, name).await?;
        }
        let running = projector.start(stop.clone()).await?;
        while live(pool, name).await? == before {
            if began.elapsed() > super::BUILT_WITHIN {
                bail!("{name} was not built in time");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = began.elapsed();
        stop.cancel();
        running.wait().await;
        Ok(took)
    }
}

/// The live generation; 0 while there is none.
async fn live(pool: &PgPool, name: &str) -> anyhow::Result<i32> {
    sqlx::query_scalar(
        "SELECT coalesce(max(generation), 0) FROM projection.versions WHERE name = $1 AND state = 'live'",
    )
    .bind(name)
    .fetch_one(pool)
    .await
    .context("the books of the read models")
}
