//! Interventions in one read model: building it again, and what it could not apply.

mod commands;
mod errors;
mod events;
#[cfg(test)]
mod tests;
mod values;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

pub use commands::ProjectionControlCommand;
pub use errors::ProjectionControlError;
pub use events::ProjectionControlEvent;
pub use values::{Build, EventsPerSecond, SkippedKey};

/// What was asked of a read model's newest build; its stream's id is the read model's name.
///
/// That a build was begun, took over or fell behind is no decision of a person and so not here: the
/// command brings which [`Build`] is meant, and a build not heard of before runs freely.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectionControl {
    build: Option<Build>,
    is_paused: bool,
    is_cancelled: bool,
    are_parked_accepted: bool,
    events_per_second_max: Option<EventsPerSecond>,
}

impl ProjectionControl {
    /// As the given build finds it: what was asked of an earlier one does not hold for it.
    fn of(&self, build: Build) -> Self {
        if self.build == Some(build) { self.clone() } else { Self { build: Some(build), ..Self::default() } }
    }

    fn decide(
        &self,
        command: ProjectionControlCommand,
    ) -> Result<Option<ProjectionControlEvent>, ProjectionControlError> {
        use ProjectionControlCommand as Command;
        use ProjectionControlEvent as Event;
        if let Some(build) = command.build()
            && self.of(build).is_cancelled
        {
            return Err(ProjectionControlError::Cancelled);
        }
        Ok(match command {
            Command::RequestRebuild { events_per_second_max, reason } => {
                Some(Event::RebuildRequested { events_per_second_max, reason })
            }
            Command::PauseRebuild { build, reason } => {
                (!self.of(build).is_paused).then_some(Event::RebuildPaused { build, reason })
            }
            Command::ResumeRebuild { build, reason } => {
                self.of(build).is_paused.then_some(Event::RebuildResumed { build, reason })
            }
            Command::ThrottleRebuild { build, events_per_second_max, reason } => {
                Some(Event::RebuildThrottled { build, events_per_second_max, reason })
            }
            Command::CancelRebuild { build, reason } => Some(Event::RebuildCancelled { build, reason }),
            Command::AcceptParked { build, reason } => {
                (!self.of(build).are_parked_accepted).then_some(Event::ParkedAccepted { build, reason })
            }
            Command::ReplayParked { key, reason } => Some(Event::ParkedReplayRequested { key, reason }),
            Command::SkipParked { skipped, reason } => Some(Event::ParkedSkipped { skipped, reason }),
        })
    }
}

impl Aggregate for ProjectionControl {
    const TYPE: &'static str = "operations.projection";
    type Command = ProjectionControlCommand;
    type Event = ProjectionControlEvent;
    type Error = ProjectionControlError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ProjectionControlCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ProjectionControlError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ProjectionControlEvent) {
        use ProjectionControlEvent as Event;
        if let Some(build) = event.build() {
            *self = self.of(build);
        }
        match event {
            Event::RebuildPaused { .. } => self.is_paused = true,
            Event::RebuildResumed { .. } => self.is_paused = false,
            Event::RebuildThrottled { events_per_second_max, .. } => {
                self.events_per_second_max = events_per_second_max;
            }
            Event::RebuildCancelled { .. } => self.is_cancelled = true,
            Event::ParkedAccepted { .. } => self.are_parked_accepted = true,
            Event::RebuildRequested { .. }
            | Event::ParkedReplayRequested { .. }
            | Event::ParkedSkipped { .. } => {}
        }
    }
}
