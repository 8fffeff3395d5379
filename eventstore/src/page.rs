//! Pages of the log for readers that follow it: bounded in events and in bytes.

use std::collections::HashSet;

use futures::TryStreamExt;
use serde_json::Value;
use sqlx::PgPool;

use crate::{
    Filter, KeyringError, MetadataNeeds, Opening, StoreError, StoredEvent, UnparsedEvent,
    keyring::KeyName,
    read,
    sealing::{self, Keys, Place},
    shared::Shared,
    unparsed::Body,
};

/// A page ends after so many bytes of payload and metadata, whatever its number of events.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

pub(crate) struct Page {
    pub(crate) events: Vec<StoredEvent>,
    /// Whether something may follow within the range that was asked for.
    pub(crate) is_full: bool,
}

/// Rows of `after < position <= up_to` that the filter lets through; metadata is left empty if nobody
/// needs it.
pub(crate) async fn read(
    pool: &PgPool,
    after_position: u64,
    up_to: u64,
    filter: &Filter,
    limit: usize,
    metadata: MetadataNeeds,
) -> Result<Page, StoreError> {
    let sql = match metadata {
        MetadataNeeds::Nothing => read::filtered_range!("''"),
        MetadataNeeds::WithoutClient | MetadataNeeds::Everything => read::filtered_range!("metadata"),
    };
    let mut rows = sqlx::query(sql)
        .bind(after_position.cast_signed())
        .bind(i64::try_from(up_to).unwrap_or(i64::MAX))
        .bind(&filter.aggregate_types)
        .bind(&filter.event_types)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch(pool);
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        let event = read::stored(&row)?;
        bytes += event.payload.len() + event.metadata.len();
        events.push(event);
        if bytes >= PAGE_BYTES_MAX {
            return Ok(Page { events, is_full: true });
        }
    }
    let is_full = events.len() >= limit;
    Ok(Page { events, is_full })
}

/// Stored events as a projector may see them, with at most one query for all their keys.
///
/// A damaged event does not fail the page: it says so when it is decoded, so its reader can put it
/// aside and go on.
pub(crate) async fn open(
    shared: &Shared,
    events: Vec<StoredEvent>,
    opening: Opening,
    needs: MetadataNeeds,
) -> Result<Vec<UnparsedEvent>, StoreError> {
    if !shared.options.upcasters.is_empty() {
        return open_upcast(shared, events, opening).await;
    }
    let mut names = HashSet::new();
    let mut bodies = Vec::with_capacity(events.len());
    for event in events {
        let payload = Half::of(&event.payload, true, opening, &mut names);
        let metadata = match needs {
            MetadataNeeds::Nothing => Half::NotRead,
            needs => Half::of(&event.metadata, needs == MetadataNeeds::Everything, opening, &mut names),
        };
        bodies.push((event, payload, metadata));
    }
    let keys = if names.is_empty() { Keys::new() } else { shared.keyring.find(&names).await? };
    let mut opened = Vec::with_capacity(bodies.len());
    for (mut event, payload, metadata) in bodies {
        let place = |part| Place { id: event.event_id, part };
        let (payload_place, metadata_place) = (place("payload"), place("metadata"));
        let payload = payload.open(std::mem::take(&mut event.payload), payload_place, opening, &keys);
        let metadata = metadata.open(std::mem::take(&mut event.metadata), metadata_place, opening, &keys);
        opened.push(UnparsedEvent::new(event, payload, metadata));
    }
    Ok(opened)
}

/// Upcasters see whole events.
pub(crate) fn needs_of(shared: &Shared, needs: MetadataNeeds) -> MetadataNeeds {
    if shared.options.upcasters.is_empty() { needs } else { MetadataNeeds::Everything }
}

/// Through the upcasters, which see parsed events; a damaged one does not get that far.
async fn open_upcast(
    shared: &Shared,
    events: Vec<StoredEvent>,
    opening: Opening,
) -> Result<Vec<UnparsedEvent>, StoreError> {
    match read::open(shared, &events, opening).await {
        Ok((opened, _)) => return Ok(opened.into_iter().map(UnparsedEvent::from).collect()),
        Err(StoreError::Damaged { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut opened = Vec::with_capacity(events.len());
    for event in events {
        match read::open(shared, [&event], opening).await {
            Ok((parts, _)) => opened.extend(parts.into_iter().map(UnparsedEvent::from)),
            Err(StoreError::Damaged { why, .. }) => {
                opened.push(UnparsedEvent::new(event, Body::Damaged(why.clone()), Body::Damaged(why)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(opened)
}

/// A payload or metadata between looking for its keys and opening it.
enum Half {
    Plain,
    Sealed(Value),
    Damaged(String),
    NotRead,
}

impl Half {
    fn of(text: &str, opens: bool, opening: Opening, names: &mut HashSet<KeyName>) -> Self {
        if !opens || !sealing::may_hold_sealed(text) {
            return Self::Plain;
        }
        match serde_json::from_str(text) {
            Ok(value) => {
                sealing::sealed_owners(&value, opening, names);
                Self::Sealed(value)
            }
            Err(error) => Self::Damaged(error.to_string()),
        }
    }

    fn open(self, text: String, place: Place, opening: Opening, keys: &Keys) -> Body {
        match self {
            Self::Plain => Body::Text(text),
            Self::Sealed(mut value) => match sealing::open(&mut value, place, opening, keys) {
                Ok(()) => Body::Value(value),
                Err(error @ (KeyringError::Damaged | KeyringError::WrongMasterKey)) => {
                    Body::Damaged(error.to_string())
                }
            },
            Self::Damaged(why) => Body::Damaged(why),
            Self::NotRead => Body::NotRead,
        }
    }
}
