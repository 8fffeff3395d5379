//! Aggregates from their streams: the bounded cache, snapshots, upcasters.

use std::{collections::HashSet, sync::Arc};

use cqrs_es::Aggregate;

use crate::{
    Opening, RecordedEvent, StoreError, StreamId, aggregates::Entry, keyring::KeyName, read, shared::Shared,
    snapshot,
};

const PAGE_EVENTS: usize = 1_000;

/// An aggregate as it stood at a version.
#[derive(Clone, Debug)]
pub struct Loaded<A> {
    pub state: Arc<A>,
    /// 0 if the stream has no event.
    pub version: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the log could not be read")]
    Store(#[from] StoreError),
    #[error("event {position} ({event_type} {event_version}) can't be decoded")]
    Decode {
        position: u64,
        event_type: String,
        event_version: String,
        #[source]
        source: serde_json::Error,
    },
}

/// When an aggregate type is snapshot, and which snapshots still fit its code.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPolicy {
    /// A snapshot is written when at least so many events were applied since the last one.
    pub every: u64,
    /// Changes with the aggregate's state: snapshots with another fingerprint are ignored.
    pub fingerprint: &'static str,
}

/// What becomes of an event of an old version.
#[expect(
    clippy::large_enum_variant,
    reason = "a box would cost an allocation for each event that passes through"
)]
pub enum Upcast {
    /// It is not this upcaster's business.
    Unchanged(RecordedEvent),
    /// These, in order; none if the event means nothing any more.
    Into(Vec<RecordedEvent>),
}

/// Turns events of an old version into the newest: one into one, several or none.
///
/// Must accept erased values (`"value": null`). Upcasters run in the order of
/// registration, each over the results of those before it.
pub trait Upcaster: Send + Sync {
    fn upcast(&self, event: RecordedEvent) -> Upcast;
}

/// What a load starts from.
struct Base<A> {
    state: Option<Arc<A>>,
    version: u64,
    snapshot: u64,
    owners: HashSet<KeyName>,
}

pub(crate) async fn load<A>(shared: &Arc<Shared>, aggregate_id: &str) -> Result<Loaded<A>, LoadError>
where
    A: Aggregate + Clone + 'static,
{
    let stream = StreamId::of::<A>(aggregate_id);
    let cached = shared.aggregates.get(&stream);
    if let Some(loaded) = cached.as_ref().filter(|entry| !entry.is_behind()).and_then(|entry| current(entry))
        && shared.follower.is_current()
    {
        return Ok(loaded);
    }
    let reading = shared.aggregates.start_reading(&stream);
    let mut base = match cached.as_ref().and_then(|entry| Some((entry, current::<A>(entry)?))) {
        Some((entry, Loaded { state, version })) => {
            Base { state: Some(state), version, snapshot: entry.snapshot, owners: (*entry.owners).clone() }
        }
        None => from_snapshot(shared, &stream).await?,
    };
    let mut state = base.state.take().unwrap_or_default();
    loop {
        let page = read::stream(&shared.pool, &stream, base.version, PAGE_EVENTS).await?;
        let Some(last) = page.last() else { break };
        let (events, owners) = read::open(shared, &page, Opening::Everything).await?;
        base.owners.extend(owners);
        for event in events {
            let decoded =
                serde_json::from_value::<A::Event>(event.payload).map_err(|source| LoadError::Decode {
                    position: event.position,
                    event_type: event.event_type,
                    event_version: event.event_version,
                    source,
                })?;
            Arc::make_mut(&mut state).apply(decoded);
        }
        base.version = last.sequence;
        if page.len() < PAGE_EVENTS {
            break;
        }
    }
    if let Some(policy) = shared.options.snapshots.get(A::TYPE)
        && base.version >= base.snapshot + policy.every.max(1)
    {
        snapshot::write_later(shared, &stream, base.version, policy.fingerprint, &*state);
        base.snapshot = base.version;
    }
    reading.keep(Entry::new(state.clone(), base.version, base.snapshot, Arc::new(base.owners)));
    Ok(Loaded { state, version: base.version })
}

fn current<A: 'static + Send + Sync>(entry: &Entry) -> Option<Loaded<A>> {
    let state = Arc::clone(&entry.state).downcast::<A>().ok()?;
    Some(Loaded { state, version: entry.version })
}

async fn from_snapshot<A>(shared: &Arc<Shared>, stream: &StreamId) -> Result<Base<A>, StoreError>
where
    A: Aggregate + 'static,
{
    let none = Base { state: None, version: 0, snapshot: 0, owners: HashSet::new() };
    let Some(policy) = shared.options.snapshots.get(A::TYPE) else { return Ok(none) };
    let Some(found) = snapshot::read(shared, stream, policy.fingerprint).await? else { return Ok(none) };
    match serde_json::from_value::<A>(found.state) {
        Ok(state) => Ok(Base {
            state: Some(Arc::new(state)),
            version: found.version,
            snapshot: found.version,
            owners: found.owners,
        }),
        Err(error) => {
            tracing::warn!(aggregate.r#type = A::TYPE, error = %error, "a snapshot does not fit and is ignored");
            Ok(none)
        }
    }
}
