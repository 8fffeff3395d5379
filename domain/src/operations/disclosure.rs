//! Opening somebody's personal data in the past: recorded, with a reason, before it is shown.

use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::{
    Refusal, RefusalKind,
    kernel::{Subject, named_events},
};

/// Each time that the personal data of one event was opened; its stream's id is that event's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosure {
    /// How often.
    pub times: u64,
}

#[derive(Clone, Debug)]
pub enum DisclosureCommand {
    Open {
        /// The event's.
        position: u64,
        /// Whose data is in it.
        subjects: Vec<Subject>,
        reason: Reason,
    },
}

/// What was opened; who did it is in the metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DisclosureEvent {
    Opened { position: u64, subjects: Vec<Subject>, reason: Reason },
}

named_events! {
    DisclosureEvent, version "1",
    Opened => "operations.personal_data.opened",
}

/// Why nothing is opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisclosureError {
    #[error("there is no personal data in this event")]
    NothingToOpen,
}

impl Refusal for DisclosureError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        "NOTHING_TO_OPEN"
    }
}

impl Aggregate for Disclosure {
    const TYPE: &'static str = "operations.personal_data";
    type Command = DisclosureCommand;
    type Event = DisclosureEvent;
    type Error = DisclosureError;
    type Services = ();

    async fn handle(
        &mut self,
        command: DisclosureCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), DisclosureError> {
        let DisclosureCommand::Open { position, subjects, reason } = command;
        if subjects.is_empty() {
            return Err(DisclosureError::NothingToOpen);
        }
        sink.write(DisclosureEvent::Opened { position, subjects, reason }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: DisclosureEvent) {
        let DisclosureEvent::Opened { .. } = event;
        self.times += 1;
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::kernel::UserId;

    fn open(subjects: Vec<Subject>) -> DisclosureCommand {
        let reason = Reason::parse("asked for by the person").expect("is a reason");
        DisclosureCommand::Open { position: 7, subjects, reason }
    }

    fn opened() -> DisclosureEvent {
        let DisclosureCommand::Open { position, subjects, reason } = open(vec![UserId::default().into()]);
        DisclosureEvent::Opened { position, subjects, reason }
    }

    #[test]
    fn each_opening_is_recorded() {
        let command = open(vec![UserId::default().into()]);
        TestFramework::<Disclosure>::with(())
            .given_no_previous_events()
            .when(command.clone())
            .then_expect_events(vec![opened()]);
        TestFramework::<Disclosure>::with(())
            .given(vec![opened()])
            .when(command)
            .then_expect_events(vec![opened()]);
    }

    #[test]
    fn where_there_is_nothing_nothing_is_opened() {
        TestFramework::<Disclosure>::with(())
            .given_no_previous_events()
            .when(open(Vec::new()))
            .then_expect_error(DisclosureError::NothingToOpen);
    }
}
