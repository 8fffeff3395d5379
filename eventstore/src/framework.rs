//! The log behind `cqrs-es`'s own trait, so that its `CqrsFramework` runs on it.
//!
//! Its own stores apply every event twice to what they snapshot (the sink does
//! when the event is written, the store again when it commits), and its trait has
//! no room for a position: here the envelopes' metadata carries it.

use std::{collections::HashMap, marker::PhantomData};

use cqrs_es::{Aggregate, AggregateContext, AggregateError, DomainEvent, EventEnvelope};
use uuid::Uuid;

use crate::{
    Append, AppendError, EventStore, Expected, LoadError, Metadata, NewEvent, Opening, StoreError,
    StreamAppend, StreamId,
};

const PAGE_EVENTS: usize = 1_000;

/// A handle for one aggregate type; `metadata` is that of every event appended through it.
pub struct CqrsLog<A> {
    store: EventStore,
    metadata: Metadata,
    aggregate: PhantomData<fn() -> A>,
}

/// An aggregate as it was loaded, for the command that decides on it.
pub struct CqrsContext<A> {
    aggregate_id: String,
    aggregate: A,
    version: u64,
}

impl<A: Aggregate> AggregateContext<A> for CqrsContext<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

impl<A> CqrsLog<A> {
    pub fn new(store: EventStore, metadata: Metadata) -> Self {
        Self { store, metadata, aggregate: PhantomData }
    }

    /// The handle's metadata with what the caller says about this command.
    fn metadata(&self, said: &HashMap<String, String>) -> Result<Metadata, String> {
        let mut metadata = self.metadata.clone();
        let id = |text: &str| Uuid::parse_str(text).map_err(|error| error.to_string());
        for (key, value) in said {
            match key.as_str() {
                "correlation_id" => metadata.correlation_id = id(value)?,
                "causation_id" => metadata.causation_id = Some(id(value)?),
                "request_id" => metadata.request_id = Some(value.clone()),
                "trace_parent" => metadata.trace_parent = Some(value.clone()),
                "command" => metadata.command = value.clone().into(),
                _ => return Err(format!("the log's metadata has no {key}")),
            }
        }
        Ok(metadata)
    }
}

impl<A> cqrs_es::EventStore<A> for CqrsLog<A>
where
    A: Aggregate + Clone + 'static,
{
    type AC = CqrsContext<A>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let stream = StreamId::of::<A>(aggregate_id);
        let mut envelopes = Vec::new();
        let mut after = 0;
        loop {
            let page = self.store.read_stream(&stream, after, PAGE_EVENTS).await.map_err(unreachable_log)?;
            let Some(last) = page.last() else { return Ok(envelopes) };
            after = last.sequence;
            for event in self.store.open_events(&page, Opening::Everything).await.map_err(unreachable_log)? {
                let (sequence, position) = (event.sequence, event.position);
                let payload = serde_json::from_value(event.payload)
                    .map_err(|error| AggregateError::DeserializationError(Box::new(error)))?;
                envelopes.push(envelope(aggregate_id, sequence, payload, &HashMap::new(), position)?);
            }
        }
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<CqrsContext<A>, AggregateError<A::Error>> {
        let loaded = self.store.load::<A>(aggregate_id).await.map_err(|error| match error {
            LoadError::Store(error) => unreachable_log(error),
            LoadError::Decode { .. } => AggregateError::DeserializationError(Box::new(error)),
        })?;
        Ok(CqrsContext {
            aggregate_id: aggregate_id.to_string(),
            aggregate: (*loaded.state).clone(),
            version: loaded.version,
        })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: CqrsContext<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let unexpected = |why: String| AggregateError::UnexpectedError(why.into());
        let mut append = Append::new(self.metadata(&metadata).map_err(unexpected)?);
        let new = |event: &A::Event| NewEvent::of(Uuid::now_v7(), event);
        append.streams.push(StreamAppend {
            stream: StreamId::of::<A>(&context.aggregate_id),
            expected: Expected::Exact(context.version),
            events: events
                .iter()
                .map(new)
                .collect::<Result<_, _>>()
                .map_err(|error| AggregateError::UnexpectedError(Box::new(error)))?,
        });
        let receipt = self.store.append(append).await.map_err(|error| match error {
            AppendError::VersionConflict { .. } => AggregateError::AggregateConflict,
            AppendError::Unavailable(error) => unreachable_log(error),
            error => AggregateError::UnexpectedError(Box::new(error)),
        })?;
        let first = receipt.position + 1 - events.len() as u64;
        (0_u64..)
            .zip(events)
            .map(|(nth, event)| {
                let sequence = context.version + 1 + nth;
                envelope(&context.aggregate_id, sequence, event, &metadata, first + nth)
            })
            .collect()
    }
}

fn envelope<A: Aggregate>(
    aggregate_id: &str,
    sequence: u64,
    payload: A::Event,
    metadata: &HashMap<String, String>,
    position: u64,
) -> Result<EventEnvelope<A>, AggregateError<A::Error>>
where
    A::Event: DomainEvent,
{
    let mut metadata = metadata.clone();
    metadata.insert("position".to_string(), position.to_string());
    let sequence =
        usize::try_from(sequence).map_err(|error| AggregateError::UnexpectedError(Box::new(error)))?;
    Ok(EventEnvelope { aggregate_id: aggregate_id.to_string(), sequence, payload, metadata })
}

fn unreachable_log<E: std::error::Error>(error: StoreError) -> AggregateError<E> {
    AggregateError::DatabaseConnectionError(Box::new(error))
}
