//! Events for projectors: opened, but parsed only as far as somebody asks.
//!
//! A build reads the whole log. Most of what it reads is decoded once into one type, so no tree of
//! JSON values is made on the way, and metadata that nobody looks at is not even fetched.

use std::any::Any;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::{Metadata, RecordedEvent, StoredEvent, StreamId};

/// How much of an event's metadata a reader looks at. Less is read faster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataNeeds {
    Nothing,
    /// Who, why and through which door; [`Metadata::client`] reads as `None`.
    WithoutClient,
    #[default]
    Everything,
}

/// A [`RecordedEvent`] whose payload and metadata are parsed on demand.
#[derive(Clone, Debug)]
pub struct UnparsedEvent {
    pub position: u64,
    /// As [`RecordedEvent::part`].
    pub part: u32,
    pub event_id: Uuid,
    pub stream: StreamId,
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    pub recorded_at: DateTime<Utc>,
    payload: Body,
    metadata: Body,
    ahead: Ahead,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// The row's own text: nothing in it is sealed, or only what was not asked for.
    Text(String),
    /// Opened, or upcast.
    Value(Value),
    /// It can't be read, and never will be.
    Damaged(String),
    NotRead,
}

/// Why a payload or metadata does not read. The same event gives the same error again.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The reader said that it needs none of it.
    #[error("the metadata was not read")]
    NotRead,
}

/// What was decoded before anybody asked; taken by the first who does.
#[derive(Default)]
struct Ahead(Mutex<Option<Box<dyn Any + Send>>>);

impl Ahead {
    fn put<E: Send + 'static>(&self, decoded: E) {
        *self.0.lock() = Some(Box::new(decoded));
    }

    fn take<E: 'static>(&self) -> Option<E> {
        self.0.lock().take()?.downcast().ok().map(|decoded| *decoded)
    }
}

impl Clone for Ahead {
    /// Decoded again where it is needed.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for Ahead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ahead")
    }
}

impl Body {
    fn decode<E: DeserializeOwned>(&self) -> Result<E, DecodeError> {
        match self {
            Self::Text(text) => Ok(serde_json::from_str(text)?),
            Self::Value(value) => Ok(E::deserialize(value)?),
            Self::Damaged(why) => Err(DecodeError::Damaged(why.clone())),
            Self::NotRead => Err(DecodeError::NotRead),
        }
    }
}

impl UnparsedEvent {
    pub(crate) fn new(event: StoredEvent, payload: Body, metadata: Body) -> Self {
        Self {
            position: event.position,
            part: 0,
            event_id: event.event_id,
            stream: event.stream,
            sequence: event.sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            recorded_at: event.recorded_at,
            payload,
            metadata,
            ahead: Ahead::default(),
        }
    }

    /// The payload as a type of the domain.
    ///
    /// # Errors
    /// If the JSON is not one of `E`'s forms, or a sealed value in it is damaged.
    pub fn decode<E: DeserializeOwned + 'static>(&self) -> Result<E, DecodeError> {
        match self.ahead.take::<E>() {
            Some(decoded) => Ok(decoded),
            None => self.payload.decode(),
        }
    }

    /// Decodes the payload now, for the next [`UnparsedEvent::decode`] into the same type. A failure is
    /// left to that.
    pub fn decode_ahead<E: DeserializeOwned + Send + 'static>(&self) {
        if let Ok(decoded) = self.payload.decode::<E>() {
            self.ahead.put(decoded);
        }
    }

    /// The payload as any JSON.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn payload(&self) -> Result<Value, DecodeError> {
        self.payload.decode()
    }

    /// How it came to be.
    ///
    /// # Errors
    /// If it is damaged, or the reader needs [`MetadataNeeds::Nothing`] of it.
    pub fn metadata(&self) -> Result<Metadata, DecodeError> {
        let mut metadata: Metadata = self.metadata.decode()?;
        // Still sealed: it was not asked for.
        metadata.client = metadata.client.filter(|client| client.get("$sealed").is_none());
        Ok(metadata)
    }
}

impl From<RecordedEvent> for UnparsedEvent {
    fn from(event: RecordedEvent) -> Self {
        let metadata = match serde_json::to_value(&event.metadata) {
            Ok(metadata) => Body::Value(metadata),
            Err(error) => Body::Damaged(error.to_string()),
        };
        Self {
            position: event.position,
            part: event.part,
            event_id: event.event_id,
            stream: event.stream,
            sequence: event.sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            recorded_at: event.recorded_at,
            payload: Body::Value(event.payload),
            metadata,
            ahead: Ahead::default(),
        }
    }
}
