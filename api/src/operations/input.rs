//! Bodies of the operator's actions: each says why.

use annals_domain::operations::{EventsPerSecond, Reason};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::http::{ApiError, FieldError};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReasonBody {
    /// Why: 1 to 500 characters on one line, kept in the log for ever. No names of people.
    #[schema(example = "the projector was fixed in 1.4.2")]
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RebuildBody {
    /// Why: 1 to 500 characters on one line, kept in the log for ever. No names of people.
    pub reason: String,
    /// At most so many events per second, 1 to 1,000,000; as fast as it goes if it is left out.
    pub events_per_second: Option<u32>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ThrottleBody {
    /// Why: 1 to 500 characters on one line, kept in the log for ever. No names of people.
    pub reason: String,
    /// At most so many events per second, 1 to 1,000,000; null lifts the bound.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, required)]
    pub events_per_second: Option<Option<u32>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReplayBody {
    /// Why: 1 to 500 characters on one line, kept in the log for ever. No names of people.
    pub reason: String,
    /// This key only; all that are parked if it is left out.
    pub key: Option<String>,
}

/// Tells null from nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) fn reason(text: &str) -> Result<Reason, FieldError> {
    Reason::parse(text).map_err(|error| FieldError::new("reason", error))
}

fn pace(number: Option<u32>) -> Result<Option<EventsPerSecond>, FieldError> {
    let pace = number.map(EventsPerSecond::new).transpose();
    pace.map_err(|error| FieldError::new("eventsPerSecond", error))
}

/// Both values, or all that is wrong with them.
pub(super) fn both<A, B>(a: Result<A, FieldError>, b: Result<B, FieldError>) -> Result<(A, B), ApiError> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(ApiError::validation(a.err().into_iter().chain(b.err()).collect())),
    }
}

impl ReasonBody {
    pub(super) fn parse(&self) -> Result<Reason, ApiError> {
        reason(&self.reason).map_err(|error| ApiError::validation(vec![error]))
    }
}

impl RebuildBody {
    pub(super) fn parse(&self) -> Result<(Reason, Option<EventsPerSecond>), ApiError> {
        both(reason(&self.reason), pace(self.events_per_second))
    }
}

impl ThrottleBody {
    pub(super) fn parse(&self) -> Result<(Reason, Option<EventsPerSecond>), ApiError> {
        let required = || FieldError::new("eventsPerSecond", "is required: a number, or null for no bound");
        let pace = self.events_per_second.ok_or_else(required).and_then(pace);
        both(reason(&self.reason), pace)
    }
}

impl ReplayBody {
    /// Characters of a key. Longer ones are parked by nobody.
    const KEY_CHARS_MAX: usize = 1_000;

    pub(super) fn parse(&self) -> Result<(Reason, Option<String>), ApiError> {
        let key = match &self.key {
            Some(key) if key.chars().count() > Self::KEY_CHARS_MAX => {
                Err(FieldError::new("key", format!("must have at most {} characters", Self::KEY_CHARS_MAX)))
            }
            key => Ok(key.clone()),
        };
        both(reason(&self.reason), key)
    }
}
