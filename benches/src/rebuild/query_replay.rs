//! cqrs-es' own way: `QueryReplay` into postgres-es' `PostgresViewRepository`, over the same posts,
//! folded by the same aggregate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use annals_domain::publishing::Post;
use annals_eventstore::{EventStore, testing::PrivatePostgres};
use anyhow::anyhow;
use cqrs_es::{
    Aggregate, EventEnvelope, View,
    persist::{GenericQuery, QueryReplay},
};
use postgres_es::{PostgresEventRepository, PostgresViewRepository};
use serde::{Deserialize, Serialize};
use sqlx::{Executor, PgPool, postgres::PgPoolOptions};

/// A view's table, from its own `init.sql`.
const VIEW: &str = "CREATE TABLE post_view
(
    view_id text                         NOT NULL,
    version bigint CHECK (version >= 0) NOT NULL,
    payload json                         NOT NULL,
    PRIMARY KEY (view_id)
)";

/// The post as a view of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct PostView(Post);

impl View<Post> for PostView {
    fn update(&mut self, event: &EventEnvelope<Post>) {
        self.0.apply(event.payload.clone());
    }
}

pub(super) struct Contender {
    pool: PgPool,
    events: u64,
}

impl Contender {
    /// The first `limit` events of posts, in a table of its own.
    pub(super) async fn new(
        postgres: &PrivatePostgres,
        store: &EventStore,
        limit: i64,
    ) -> anyhow::Result<Self> {
        let url = crate::append::database(postgres, "query_replay").await?;
        // As many connections as its own `default_postgress_pool` opens.
        let pool = PgPoolOptions::new().max_connections(10).connect(&url).await?;
        pool.execute(crate::append::POSTGRES_ES_TABLE).await?;
        pool.execute(VIEW).await?;
        type Row = (String, String, i64, String, String, String);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text
             FROM events WHERE aggregate_type = $1 ORDER BY position LIMIT $2",
        )
        .bind(Post::TYPE)
        .bind(limit)
        .fetch_all(store.pool())
        .await?;
        let events = rows.len() as u64;
        let mut columns: [Vec<String>; 5] = Default::default();
        let mut sequences = Vec::with_capacity(rows.len());
        for (aggregate_type, id, sequence, event_type, version, payload) in rows {
            sequences.push(sequence);
            for (column, text) in columns.iter_mut().zip([aggregate_type, id, event_type, version, payload]) {
                column.push(text);
            }
        }
        let [types, ids, event_types, versions, payloads] = columns;
        sqlx::query(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
             SELECT t, i, s, e, v, p::json, '{}' FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[],
                 $5::text[], $6::text[]) AS row (t, i, s, e, v, p)",
        )
        .bind(types)
        .bind(ids)
        .bind(sequences)
        .bind(event_types)
        .bind(versions)
        .bind(payloads)
        .execute(&pool)
        .await?;
        Ok(Self { pool, events })
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) async fn run(&self) -> anyhow::Result<Duration> {
        self.pool.execute("TRUNCATE post_view").await?;
        let views = PostgresViewRepository::<PostView, Post>::new("post_view", self.pool.clone());
        let query = GenericQuery::new(Arc::new(views));
        let replay = QueryReplay::new(PostgresEventRepository::new(self.pool.clone()), query);
        let began = Instant::now();
        replay.replay_all().await.map_err(|error| anyhow!("QueryReplay: {error}"))?;
        let took = began.elapsed();
        let folded: i64 =
            sqlx::query_scalar("SELECT sum(version)::bigint FROM post_view").fetch_one(&self.pool).await?;
        anyhow::ensure!(
            folded.cast_unsigned() == self.events,
            "QueryReplay lost events: {folded} of {}",
            self.events
        );
        Ok(took)
    }
}
