//! Stock postgres-es, as its users have it: `CqrsFramework` over its repository and its table.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use annals_eventstore::testing::PrivatePostgres;
use anyhow::anyhow;
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::{Executor, postgres::PgPoolOptions};
use uuid::Uuid;

use super::AGGREGATE_TYPE;
use crate::figures::Figures;

/// A connection per writer up to here; more only made it slower.
const CONNECTIONS_MAX: u32 = 64;

/// Its own table, from its own `init.sql`.
pub(crate) const TABLE: &str = "CREATE TABLE events
(
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Post {
    content: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum PostEvent {
    Scheduled {
        id: String,
        content: String,
        channels: Vec<String>,
        scheduled_at: String,
        time_zone: String,
        tags: Vec<String>,
    },
}

impl PostEvent {
    pub(super) fn scheduled(id: &str) -> Self {
        Self::Scheduled {
            id: id.to_string(),
            content:
                "We are opening a second workshop in spring, and everyone is invited to come and see it."
                    .to_string(),
            channels: vec!["0198c0de-0000-7000-8000-00000000000a".to_string()],
            scheduled_at: "2026-11-20T18:30:00Z".to_string(),
            time_zone: "Europe/Berlin".to_string(),
            tags: vec!["news".to_string(), "workshop".to_string()],
        }
    }
}

impl DomainEvent for PostEvent {
    fn event_type(&self) -> String {
        super::EVENT_TYPE.to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

impl Aggregate for Post {
    const TYPE: &'static str = AGGREGATE_TYPE;
    type Command = String;
    type Event = PostEvent;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        id: String,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        sink.write(PostEvent::scheduled(&id), self).await;
        Ok(())
    }

    fn apply(&mut self, event: PostEvent) {
        let PostEvent::Scheduled { content, .. } = event;
        self.content = content;
    }
}

pub(super) struct Contender {
    cqrs: Arc<PostgresCqrs<Post>>,
}

impl Contender {
    pub(super) async fn new(postgres: &PrivatePostgres) -> anyhow::Result<Self> {
        let url = super::database(postgres, "postgres_es").await?;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).connect(&url).await?;
        pool.execute(TABLE).await?;
        Ok(Self { cqrs: Arc::new(postgres_cqrs(pool, Vec::new(), ())) })
    }

    pub(super) fn pool_size(&self) -> String {
        format!("a pool of up to {CONNECTIONS_MAX} connections")
    }

    pub(super) async fn run(&mut self, writers: usize, time: Duration) -> anyhow::Result<Figures> {
        let start = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|_| {
                let cqrs = self.cqrs.clone();
                tokio::spawn(async move {
                    let mut latencies_us = Vec::new();
                    while start.elapsed() < time {
                        let began = Instant::now();
                        let id = Uuid::now_v7().to_string();
                        cqrs.execute_with_metadata(&id, id.clone(), metadata(&id))
                            .await
                            .map_err(|error| anyhow!("postgres-es: {error}"))?;
                        latencies_us.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    anyhow::Ok(latencies_us)
                })
            })
            .collect();
        let mut latencies_us = Vec::new();
        for task in tasks {
            latencies_us.extend(task.await??);
        }
        Ok(Figures::of(latencies_us, start.elapsed()))
    }
}

/// The same facts as in the log's metadata, in clear.
pub(super) fn metadata(id: &str) -> HashMap<String, String> {
    [
        ("correlation_id", id),
        ("command", "SchedulePost"),
        ("actor", "user:0198c0de-0000-7000-8000-000000000001"),
        ("organization_id", "00000000-0000-0000-0000-00000198c0de"),
        ("source", "WEB"),
        ("request_id", id),
        ("trace_parent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("ip", "192.0.2.7"),
        ("user_agent", "Mozilla/5.0 (X11; Linux)"),
    ]
    .map(|(key, value)| (key.to_string(), value.to_string()))
    .into()
}
