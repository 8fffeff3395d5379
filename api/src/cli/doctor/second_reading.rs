//! Streams of every kind read with `postgres-es`, byte for byte what we read.

use annals_domain::{
    identity::{ApiKey, Holdings, Organization, Session, User},
    publishing::{Integration, MediaAsset, MediaLibrary, Post, PostingMonth, TagBook},
};
use annals_eventstore::{EventStore, StreamId};
use anyhow::Context as _;
use cqrs_es::{Aggregate, persist::PersistedEventRepository as _};
use postgres_es::PostgresEventRepository;

/// The newest `streams` of each kind.
pub(super) async fn second_reading(store: &EventStore, streams: u32) -> anyhow::Result<String> {
    let mut compared = 0;
    compared += compare::<User>(store, streams).await?;
    compared += compare::<Session>(store, streams).await?;
    compared += compare::<Organization>(store, streams).await?;
    compared += compare::<ApiKey>(store, streams).await?;
    compared += compare::<Holdings>(store, streams).await?;
    compared += compare::<Integration>(store, streams).await?;
    compared += compare::<MediaAsset>(store, streams).await?;
    compared += compare::<MediaLibrary>(store, streams).await?;
    compared += compare::<Post>(store, streams).await?;
    compared += compare::<PostingMonth>(store, streams).await?;
    compared += compare::<TagBook>(store, streams).await?;
    Ok(format!("postgres-es reads {compared} events of the newest streams as we do"))
}

/// The newest streams of one kind, read both ways; how many events were compared.
async fn compare<A: Aggregate>(store: &EventStore, streams: u32) -> anyhow::Result<usize> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT aggregate_id FROM events WHERE aggregate_type = $1 AND sequence = 1 ORDER BY position DESC LIMIT $2",
    )
    .bind(A::TYPE)
    .bind(i64::from(streams))
    .fetch_all(store.pool())
    .await?;
    let repository = PostgresEventRepository::new(store.pool().clone());
    let mut compared = 0;
    for id in ids {
        let stream = StreamId::new(A::TYPE, &id);
        // The other way first: what is appended in between is only in ours.
        let theirs = repository
            .get_events::<A>(&id)
            .await
            .with_context(|| format!("postgres-es can't read {stream}"))?;
        let mut ours = Vec::new();
        while let Some(page) =
            Some(store.read_stream(&stream, ours.len() as u64, 1000).await?).filter(|p| !p.is_empty())
        {
            ours.extend(page);
        }
        anyhow::ensure!(
            ours.len() >= theirs.len(),
            "{stream}: we read {} events, postgres-es {}",
            ours.len(),
            theirs.len()
        );
        for (our, their) in ours.iter().zip(&theirs) {
            let same = u64::try_from(their.sequence).ok() == Some(our.sequence)
                && their.event_type == our.event_type
                && their.event_version == our.event_version
                && serde_json::from_str::<serde_json::Value>(&our.payload).ok().as_ref()
                    == Some(&their.payload)
                && serde_json::from_str::<serde_json::Value>(&our.metadata).ok().as_ref()
                    == Some(&their.metadata);
            anyhow::ensure!(same, "event {} ({stream}) reads differently", our.position);
        }
        compared += theirs.len();
    }
    Ok(compared)
}
