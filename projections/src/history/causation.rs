//! Which events came of one request, and which were caused by which: numbers only.
//!
//! The log has no index for it, because each would slow every append; a read model is only as late
//! as it is busy.

use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    Projection, ProjectionError, ReadError, Reader,
    runtime::{CopyIn, give_way, metadata},
};

pub struct Causation;

#[async_trait]
impl Projection for Causation {
    const NAME: &'static str = "causation";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["causation"];
    const CREATE: &'static str = "
        CREATE TABLE causation (
            position bigint PRIMARY KEY,
            correlation_id uuid NOT NULL,
            causation_id uuid
        )";
    const INDEXES: &'static str = "
        CREATE INDEX causation_by_correlation ON causation (correlation_id, position);
        CREATE INDEX causation_by_cause ON causation (causation_id, position) WHERE causation_id IS NOT NULL";

    fn filter(&self) -> Filter {
        Filter::default()
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::WithoutClient
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        let mut copy =
            CopyIn::begin(tables, "causation", &["position", "correlation_id", "causation_id"]).await?;
        // An event that is upcast to several is one row of the log.
        for (nth, event) in events.iter().filter(|event| event.part == 0).enumerate() {
            let metadata = metadata(event)?;
            copy.row(|row| {
                row.value(event.position.cast_signed())?;
                row.value(metadata.correlation_id)?;
                row.value(metadata.causation_id)
            })
            .await?;
            give_way(nth).await;
        }
        Ok(copy.finish().await?)
    }
}

/// What came of one request, as far as the read model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfRequest {
    /// The read model has every event up to here.
    pub up_to: u64,
    /// Those of the request, the oldest first.
    pub positions: Vec<u64>,
}

/// All events that came of a request. None if the read model is not built, or has parked events, which
/// it would lack, or knows more than `limit` of them.
///
/// # Errors
/// If the database does not answer.
pub async fn of_request(
    reader: &Reader,
    correlation: Uuid,
    limit: usize,
) -> Result<Option<OfRequest>, ReadError> {
    // How far it is first: what it learns in between is left to the log.
    let live = reader.applied().await?.into_iter().find(|applied| {
        applied.name == Causation::NAME && applied.version == Causation::VERSION && applied.state == "live"
    });
    let Some(up_to) = live.filter(|live| live.parked_keys == 0).map(|live| live.position) else {
        return Ok(None);
    };
    let mut positions = correlated(reader.pool(), &[correlation], limit + 1).await?;
    if positions.len() > limit {
        return Ok(None);
    }
    positions.retain(|position| *position <= up_to);
    Ok(Some(OfRequest { up_to, positions }))
}

/// The positions of the events of these requests, the oldest first, at most `limit`.
///
/// # Errors
/// If the database does not answer.
pub async fn correlated(pool: &PgPool, correlations: &[Uuid], limit: usize) -> Result<Vec<u64>, sqlx::Error> {
    let positions: Vec<i64> = sqlx::query_scalar(
        "SELECT position FROM read.causation_v1 WHERE correlation_id = ANY ($1) ORDER BY position LIMIT $2",
    )
    .bind(correlations)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok(positions.into_iter().map(i64::cast_unsigned).collect())
}

/// The positions of the events whose commands these events caused, the oldest first, at most `limit`.
///
/// # Errors
/// If the database does not answer.
pub async fn caused(pool: &PgPool, causes: &[Uuid], limit: usize) -> Result<Vec<u64>, sqlx::Error> {
    let positions: Vec<i64> = sqlx::query_scalar(
        "SELECT position FROM read.causation_v1 WHERE causation_id = ANY ($1) ORDER BY position LIMIT $2",
    )
    .bind(causes)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok(positions.into_iter().map(i64::cast_unsigned).collect())
}
