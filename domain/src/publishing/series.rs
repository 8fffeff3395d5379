//! A post that recurs: the rule, and the posts that are its occurrences.
//!
//! Each occurrence is a post of its own, with its own outcome, history and place in the calendar; the
//! series says which belong together, and what is changed, paused and ended as one.

mod recurrence;

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use recurrence::{DAYS_MAX, OCCURRENCES_MAX, Recurrence};

use crate::{
    Refusal, RefusalKind,
    kernel::{OrganizationId, PostId, SeriesId, UserId},
};

/// Which occurrence of which series a post is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Occurrence {
    pub series_id: SeriesId,
    /// From 1, counted on when the series is changed.
    pub number: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesStatus {
    #[default]
    None,
    Active,
    Paused,
    Ended,
}

impl SeriesStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            SeriesStatus::None => "none",
            SeriesStatus::Active => "active",
            SeriesStatus::Paused => "paused",
            SeriesStatus::Ended => "ended",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    organization: OrganizationId,
    author: UserId,
    status: SeriesStatus,
    recurrence: Option<Recurrence>,
    posts: Vec<PostId>,
    /// Occurrences that there ever were.
    count: u32,
}

impl Series {
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn author(&self) -> UserId {
        self.author
    }

    pub fn status(&self) -> SeriesStatus {
        self.status
    }

    pub fn recurrence(&self) -> Option<&Recurrence> {
        self.recurrence.as_ref()
    }

    /// Its occurrences by the rule of now, in order.
    pub fn posts(&self) -> &[PostId] {
        &self.posts
    }

    /// The number of the next occurrence that is added.
    pub fn next_number(&self) -> u32 {
        self.count + 1
    }

    fn recurs(&mut self, recurrence: Recurrence, posts: Vec<PostId>) {
        self.count += u32::try_from(posts.len()).unwrap_or(u32::MAX);
        (self.recurrence, self.posts, self.status) = (Some(recurrence), posts, SeriesStatus::Active);
    }
}

#[derive(Clone, Debug)]
pub enum SeriesCommand {
    Start {
        organization: OrganizationId,
        author: UserId,
        recurrence: Recurrence,
        posts: Vec<PostId>,
        now: DateTime<Utc>,
    },
    /// From now on by this rule, with these posts.
    Change {
        recurrence: Recurrence,
        posts: Vec<PostId>,
        now: DateTime<Utc>,
    },
    Pause {
        now: DateTime<Utc>,
    },
    Resume {
        now: DateTime<Utc>,
    },
    End {
        now: DateTime<Utc>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SeriesEvent {
    Started {
        organization_id: OrganizationId,
        author_id: UserId,
        recurrence: Recurrence,
        /// Its occurrences, in order.
        posts: Vec<PostId>,
        at: DateTime<Utc>,
    },
    /// Occurrences that were not due yet gave way to these.
    Changed {
        recurrence: Recurrence,
        posts: Vec<PostId>,
        at: DateTime<Utc>,
    },
    Paused {
        at: DateTime<Utc>,
    },
    Resumed {
        at: DateTime<Utc>,
    },
    Ended {
        at: DateTime<Utc>,
    },
}

impl SeriesEvent {
    pub const TYPES: [&str; 5] = [
        "publishing.series.started",
        "publishing.series.changed",
        "publishing.series.paused",
        "publishing.series.resumed",
        "publishing.series.ended",
    ];
}

impl DomainEvent for SeriesEvent {
    fn event_type(&self) -> String {
        let index = match self {
            SeriesEvent::Started { .. } => 0,
            SeriesEvent::Changed { .. } => 1,
            SeriesEvent::Paused { .. } => 2,
            SeriesEvent::Resumed { .. } => 3,
            SeriesEvent::Ended { .. } => 4,
        };
        Self::TYPES[index].to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    #[error("there is no such series")]
    NotFound,
    #[error("the series exists already")]
    AlreadyExists,
    #[error("the series is {}", .0.as_str())]
    Not(SeriesStatus),
}

impl Refusal for SeriesError {
    fn kind(&self) -> RefusalKind {
        match self {
            SeriesError::NotFound => RefusalKind::NotFound,
            SeriesError::AlreadyExists | SeriesError::Not(_) => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            SeriesError::NotFound => "NOT_FOUND",
            SeriesError::AlreadyExists => "SERIES_EXISTS",
            SeriesError::Not(_) => "SERIES_STATUS",
        }
    }
}

impl Aggregate for Series {
    const TYPE: &'static str = "publishing.series";
    type Command = SeriesCommand;
    type Event = SeriesEvent;
    type Error = SeriesError;
    type Services = ();

    async fn handle(
        &mut self,
        command: SeriesCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), SeriesError> {
        use SeriesStatus::{Active, Ended, None, Paused};
        let event = match (self.status, command) {
            (None, SeriesCommand::Start { organization, author, recurrence, posts, now: at }) => {
                let (organization_id, author_id) = (organization, author);
                SeriesEvent::Started { organization_id, author_id, recurrence, posts, at }
            }
            (_, SeriesCommand::Start { .. }) => return Err(SeriesError::AlreadyExists),
            (None, _) => return Err(SeriesError::NotFound),
            (Active | Paused, SeriesCommand::Change { recurrence, posts, now: at }) => {
                SeriesEvent::Changed { recurrence, posts, at }
            }
            (Active, SeriesCommand::Pause { now: at }) => SeriesEvent::Paused { at },
            (Paused, SeriesCommand::Resume { now: at }) => SeriesEvent::Resumed { at },
            (Active | Paused, SeriesCommand::End { now: at }) => SeriesEvent::Ended { at },
            (Paused, SeriesCommand::Pause { .. })
            | (Active, SeriesCommand::Resume { .. })
            | (Ended, SeriesCommand::End { .. }) => return Ok(()),
            (status, _) => return Err(SeriesError::Not(status)),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: SeriesEvent) {
        match event {
            SeriesEvent::Started { organization_id, author_id, recurrence, posts, .. } => {
                (self.organization, self.author) = (organization_id, author_id);
                self.recurs(recurrence, posts);
            }
            SeriesEvent::Changed { recurrence, posts, .. } => self.recurs(recurrence, posts),
            SeriesEvent::Paused { .. } => self.status = SeriesStatus::Paused,
            SeriesEvent::Resumed { .. } => self.status = SeriesStatus::Active,
            SeriesEvent::Ended { .. } => self.status = SeriesStatus::Ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    use super::*;
    use crate::{kernel::TimeZone, publishing::post::Schedule};

    fn now() -> DateTime<Utc> {
        "2026-05-01T09:00:00Z".parse().unwrap()
    }

    fn weekly() -> Recurrence {
        let start = Schedule { at: now(), zone: TimeZone::default() };
        Recurrence::parse("FREQ=WEEKLY;COUNT=2", start).unwrap()
    }

    fn posts() -> Vec<PostId> {
        [1, 2].map(|n| PostId::new(Uuid::from_u128(n))).into()
    }

    fn started() -> SeriesEvent {
        let (organization_id, author_id) = (OrganizationId::default(), UserId::default());
        SeriesEvent::Started { organization_id, author_id, recurrence: weekly(), posts: posts(), at: now() }
    }

    fn when(
        given: &[SeriesEvent],
        command: SeriesCommand,
    ) -> cqrs_es::test::AggregateResultValidator<Series> {
        TestFramework::<Series>::with(()).given(given.to_vec()).when(command)
    }

    #[test]
    fn it_is_paused_resumed_and_ended_once() {
        let [paused, ended] = [SeriesEvent::Paused { at: now() }, SeriesEvent::Ended { at: now() }];
        let resumed = SeriesEvent::Resumed { at: now() };
        let pause = || SeriesCommand::Pause { now: now() };
        let resume = || SeriesCommand::Resume { now: now() };
        let end = || SeriesCommand::End { now: now() };
        when(&[started()], pause()).then_expect_events(vec![paused.clone()]);
        when(&[started(), paused.clone()], pause()).then_expect_events(Vec::new());
        when(&[started(), paused.clone()], resume()).then_expect_events(vec![resumed]);
        when(&[started(), paused], end()).then_expect_events(vec![ended.clone()]);
        when(&[started(), ended.clone()], end()).then_expect_events(Vec::new());
        when(&[started(), ended], resume()).then_expect_error(SeriesError::Not(SeriesStatus::Ended));
        when(&[], pause()).then_expect_error(SeriesError::NotFound);
    }

    #[test]
    fn a_change_counts_on_and_makes_it_active_again() {
        let mut series = Series::default();
        series.apply(started());
        assert_eq!(series.next_number(), 3);
        series.apply(SeriesEvent::Paused { at: now() });
        series.apply(SeriesEvent::Changed { recurrence: weekly(), posts: posts(), at: now() });
        assert_eq!((series.next_number(), series.status()), (5, SeriesStatus::Active));
    }
}
