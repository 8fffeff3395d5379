//! When an organization likes to post: times of the week, for all channels or for one.

mod timetable;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use timetable::{PostingTime, TIMES_MAX, TimeOfDay, Timetable, WeekDay};

use crate::{Refusal, RefusalKind, kernel::IntegrationId};

/// So many channels may have times of their own.
pub const CHANNELS_MAX: usize = 200;

/// A channel with times of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelTimes {
    pub channel: IntegrationId,
    pub timetable: Timetable,
}

/// The times of one organization, whose id is the stream's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingSchedule {
    common: Option<Timetable>,
    channels: BTreeMap<IntegrationId, Timetable>,
}

impl PostingSchedule {
    /// Those of every channel that has none of its own, if the organization chose any.
    pub fn common(&self) -> Option<&Timetable> {
        self.common.as_ref()
    }

    pub fn channels(&self) -> &BTreeMap<IntegrationId, Timetable> {
        &self.channels
    }
}

#[derive(Clone, Debug)]
pub enum PostingScheduleCommand {
    /// From now on these, and no others.
    Change { common: Option<Timetable>, channels: BTreeMap<IntegrationId, Timetable>, now: DateTime<Utc> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PostingScheduleEvent {
    /// The posting times are these, and no others.
    Changed {
        /// Of all channels that have none of their own; none: the product's own.
        common: Option<Timetable>,
        channels: Vec<ChannelTimes>,
        at: DateTime<Utc>,
    },
}

impl PostingScheduleEvent {
    pub const TYPES: [&str; 1] = ["publishing.posting_schedule.changed"];
}

impl DomainEvent for PostingScheduleEvent {
    fn event_type(&self) -> String {
        match self {
            PostingScheduleEvent::Changed { .. } => Self::TYPES[0],
        }
        .to_string()
    }

    fn event_version(&self) -> String {
        "1".to_string()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostingScheduleError {
    #[error("must have at most {CHANNELS_MAX} entries")]
    TooManyChannels,
}

impl Refusal for PostingScheduleError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "VALIDATION_ERROR"
    }

    fn field(&self) -> Option<&str> {
        Some("channels")
    }
}

impl Aggregate for PostingSchedule {
    const TYPE: &'static str = "publishing.posting_schedule";
    type Command = PostingScheduleCommand;
    type Event = PostingScheduleEvent;
    type Error = PostingScheduleError;
    type Services = ();

    async fn handle(
        &mut self,
        command: PostingScheduleCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), PostingScheduleError> {
        let PostingScheduleCommand::Change { common, channels, now: at } = command;
        if channels.len() > CHANNELS_MAX {
            return Err(PostingScheduleError::TooManyChannels);
        }
        if (&self.common, &self.channels) == (&common, &channels) {
            return Ok(());
        }
        let channels = channels.into_iter().map(|(channel, timetable)| ChannelTimes { channel, timetable });
        sink.write(PostingScheduleEvent::Changed { common, channels: channels.collect(), at }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: PostingScheduleEvent) {
        let PostingScheduleEvent::Changed { common, channels, .. } = event;
        self.common = common;
        self.channels = channels.into_iter().map(|times| (times.channel, times.timetable)).collect();
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    use super::*;
    use crate::kernel::TimeZone;

    fn timetable(time: &str) -> Timetable {
        let time = PostingTime { weekday: WeekDay::Monday, time: TimeOfDay::parse(time).unwrap() };
        Timetable::new(TimeZone::default(), vec![time]).unwrap()
    }

    fn now() -> DateTime<Utc> {
        "2026-05-01T09:00:00Z".parse().unwrap()
    }

    fn change(time: &str, channels: usize) -> PostingScheduleCommand {
        let own = |n| (IntegrationId::new(Uuid::from_u128(n as u128)), timetable("10:00"));
        PostingScheduleCommand::Change {
            common: Some(timetable(time)),
            channels: (0..channels).map(own).collect(),
            now: now(),
        }
    }

    fn changed(time: &str) -> PostingScheduleEvent {
        PostingScheduleEvent::Changed { common: Some(timetable(time)), channels: Vec::new(), at: now() }
    }

    #[test]
    fn times_are_chosen_and_chosen_again_only_if_they_differ() {
        let given = |events: &[PostingScheduleEvent]| {
            TestFramework::<PostingSchedule>::with(()).given(events.to_vec())
        };
        given(&[]).when(change("09:00", 0)).then_expect_events(vec![changed("09:00")]);
        given(&[changed("09:00")]).when(change("09:00", 0)).then_expect_events(Vec::new());
        given(&[changed("09:00")]).when(change("09:30", 0)).then_expect_events(vec![changed("09:30")]);
    }

    #[test]
    fn the_number_of_channels_with_times_of_their_own_is_bounded() {
        TestFramework::<PostingSchedule>::with(())
            .given_no_previous_events()
            .when(change("09:00", CHANNELS_MAX + 1))
            .then_expect_error(PostingScheduleError::TooManyChannels);
    }
}
