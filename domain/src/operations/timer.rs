//! Interventions in a timer that waits, mostly for a person.

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::{Refusal, RefusalKind, kernel::named_events};

/// What was asked of one timer; its stream's id is the timer's, which changes when it is set again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerControl {
    is_cancelled: bool,
}

/// What may be done to a timer.
#[derive(Clone, Debug)]
pub enum TimerControlCommand {
    /// Makes it due at once, with fresh attempts.
    Retrigger { kind: String, key: String, reason: Reason },
    /// Removes it: what it was for does not happen.
    Cancel { kind: String, key: String, due_at: DateTime<Utc>, reason: Reason },
}

/// What was done to a timer, each `operations.timer.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TimerControlEvent {
    Retriggered {
        /// Which handler's: `publishing.publish`.
        kind: String,
        /// Which of that kind: mostly an aggregate's id.
        key: String,
        reason: Reason,
    },
    Cancelled {
        kind: String,
        key: String,
        /// When it would have been due.
        due_at: DateTime<Utc>,
        reason: Reason,
    },
}

named_events! {
    TimerControlEvent, version "1",
    Retriggered => "operations.timer.retriggered",
    Cancelled => "operations.timer.cancelled",
}

/// Why an intervention in a timer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimerControlError {
    #[error("this timer was cancelled")]
    Cancelled,
}

impl Refusal for TimerControlError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        "TIMER_CANCELLED"
    }
}

impl Aggregate for TimerControl {
    const TYPE: &'static str = "operations.timer";
    type Command = TimerControlCommand;
    type Event = TimerControlEvent;
    type Error = TimerControlError;
    type Services = ();

    async fn handle(
        &mut self,
        command: TimerControlCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), TimerControlError> {
        if self.is_cancelled {
            return Err(TimerControlError::Cancelled);
        }
        let event = match command {
            TimerControlCommand::Retrigger { kind, key, reason } => {
                TimerControlEvent::Retriggered { kind, key, reason }
            }
            TimerControlCommand::Cancel { kind, key, due_at, reason } => {
                TimerControlEvent::Cancelled { kind, key, due_at, reason }
            }
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: TimerControlEvent) {
        match event {
            TimerControlEvent::Retriggered { .. } => {}
            TimerControlEvent::Cancelled { .. } => self.is_cancelled = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn reason() -> Reason {
        Reason::parse("the platform is back").expect("is a reason")
    }

    fn retrigger() -> TimerControlCommand {
        TimerControlCommand::Retrigger {
            kind: "publishing.publish".to_string(),
            key: "7".to_string(),
            reason: reason(),
        }
    }

    fn retriggered() -> TimerControlEvent {
        TimerControlEvent::Retriggered {
            kind: "publishing.publish".to_string(),
            key: "7".to_string(),
            reason: reason(),
        }
    }

    fn cancelled() -> TimerControlEvent {
        TimerControlEvent::Cancelled {
            kind: "publishing.publish".to_string(),
            key: "7".to_string(),
            due_at: DateTime::UNIX_EPOCH,
            reason: reason(),
        }
    }

    #[test]
    fn each_new_try_is_told() {
        TestFramework::<TimerControl>::with(())
            .given(vec![retriggered()])
            .when(retrigger())
            .then_expect_events(vec![retriggered()]);
    }

    #[test]
    fn a_cancelled_timer_is_not_tried_again() {
        TestFramework::<TimerControl>::with(())
            .given(vec![cancelled()])
            .when(retrigger())
            .then_expect_error(TimerControlError::Cancelled);
    }
}
