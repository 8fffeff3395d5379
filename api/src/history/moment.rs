//! A moment in the log's time: a position, or what the clock showed.

use annals_eventstore::{EventStore, StoreError};
use chrono::{DateTime, Utc};

use crate::http::FieldError;

/// `4711`, or `2026-11-20T18:32:24Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Position(u64),
    Time(DateTime<Utc>),
}

impl std::str::FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        if let Ok(position) = text.parse() {
            // What Postgres can count.
            return if i64::try_from(position).is_ok() {
                Ok(Self::Position(position))
            } else {
                Err(NoMoment)
            };
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NoMoment)?;
        Ok(Self::Time(time.with_timezone(&Utc)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a position such as 4711 or a time such as 2026-05-01T09:00:00Z")]
pub struct NoMoment;

impl Moment {
    /// A query's parameter.
    ///
    /// # Errors
    /// Naming the field, if the text is no moment.
    pub fn parse(field: &str, text: Option<&str>) -> Result<Option<Self>, FieldError> {
        text.map(str::parse).transpose().map_err(|error: NoMoment| FieldError::new(field, error))
    }

    /// The last position up to and with it.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn until(self, store: &EventStore) -> Result<u64, StoreError> {
        match self {
            Self::Position(position) => Ok(position),
            Self::Time(time) => store.position_at(time).await,
        }
    }

    /// The first position from it on.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn since(self, store: &EventStore) -> Result<u64, StoreError> {
        match self {
            Self::Position(position) => Ok(position),
            Self::Time(time) => store.position_since(time).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_position_or_a_time() {
        assert_eq!("4711".parse(), Ok(Moment::Position(4711)));
        let time = DateTime::from_timestamp(1_777_626_000, 0).expect("is a time");
        assert_eq!("2026-05-01T09:00:00Z".parse(), Ok(Moment::Time(time)));
        assert_eq!("2026-05-01T11:00:00+02:00".parse(), Ok(Moment::Time(time)));
        for wrong in ["", "-1", "2026-05-01", "now", "18446744073709551615"] {
            assert_eq!(wrong.parse::<Moment>(), Err(NoMoment), "{wrong}");
        }
    }
}
