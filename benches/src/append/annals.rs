//! This log, with all it does.

use std::time::{Duration, Instant};

use annals_eventstore::{
    Actor, ActorKind, Append, Claim, ClientInfo, EventStore, Expected, Idempotency, IdempotencyRef, Metadata,
    NewEvent, Source, StoreOptions, StreamAppend, StreamId,
    testing::{PrivatePostgres, master_key},
};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::{AGGREGATE_TYPE, EVENT_TYPE};
use crate::figures::Figures;

/// People who act: each has a key under which the client's address is sealed.
const PEOPLE: usize = 200;

/// The body of the request, of which the log keeps a digest.
const REQUEST: &[u8] = &[b'x'; 300];

pub(super) struct Contender {
    store: EventStore,
}

impl Contender {
    pub(super) async fn new(postgres: &PrivatePostgres) -> anyhow::Result<Self> {
        let url = super::database(postgres, "annals").await?;
        let pool = PgPoolOptions::new().max_connections(8).connect(&url).await?;
        Ok(Self { store: EventStore::open(pool, StoreOptions::new(master_key())).await? })
    }

    pub(super) async fn run(&mut self, writers: usize, time: Duration) -> anyhow::Result<Figures> {
        let start = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let store = self.store.clone();
                tokio::spawn(async move {
                    let mut latencies_us = Vec::new();
                    let mut turn = writer;
                    while start.elapsed() < time {
                        turn += 1;
                        let append = create(&store, turn % PEOPLE);
                        let began = Instant::now();
                        store.append(append).await?;
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

/// A command that creates a post: what the command bus would append for it.
fn create(store: &EventStore, person: usize) -> Append {
    let id = Uuid::now_v7();
    let person = format!("user:0198c0de-0000-7000-8000-{person:012}");
    let metadata = Metadata {
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        command: "SchedulePost".into(),
        actor: Actor { kind: ActorKind::User, id: Some(person.clone()) },
        organization_id: Some(Uuid::from_u128(0x0198_c0de)),
        source: Source::Web,
        request_id: Some(id.to_string()),
        trace_parent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_string()),
        client: None,
    }
    .with_client(
        &person,
        &ClientInfo {
            ip: Some("192.0.2.7".to_string()),
            user_agent: Some("Mozilla/5.0 (X11; Linux)".to_string()),
        },
    );
    let mut append = Append::new(metadata);
    append.streams.push(StreamAppend {
        stream: StreamId::new(AGGREGATE_TYPE, id),
        expected: Expected::Exact(0),
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            event_type: EVENT_TYPE.to_string(),
            event_version: "1".to_string(),
            payload: payload(&id.to_string()),
        }],
    });
    append.claims.push(Claim::Take {
        key: store.claim_key("publishing.slug", &id.to_string()),
        holder: id.to_string(),
    });
    append.idempotency = Some(Idempotency {
        reference: IdempotencyRef {
            scope: person,
            key: Uuid::now_v7().to_string(),
            request_digest: store.digest(REQUEST),
        },
        result: serde_json::json!({ "id": id }),
        shown_once: None,
    });
    append
}

/// The event, about 300 bytes.
pub(super) fn payload(id: &str) -> String {
    serde_json::to_string(&super::postgres_es::PostEvent::scheduled(id)).unwrap_or_default()
}
