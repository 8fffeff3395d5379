//! Who runs the installation, and why: beside the user's own `operator_granted`, in one append.

use std::convert::Infallible;

use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::{Refusal, RefusalKind, kernel::named_events};

/// Why a user is the operator or is not; its stream's id is the user's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operatorship {
    pub is_held: bool,
}

/// By which of the ways somebody became the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantedBy {
    /// The first account of an installation that only its own machine reaches.
    FirstAccount,
    /// They entered the code that the server printed at its first start.
    SetupCode,
    /// Whoever may run commands on the server's data said so.
    CommandLine,
}

#[derive(Clone, Debug)]
pub enum OperatorshipCommand {
    /// Fine if they hold it already.
    Grant { by: GrantedBy, reason: Reason },
    /// Fine if they do not hold it.
    Revoke { reason: Reason },
}

/// What became of somebody's office, each `operations.operator.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OperatorshipEvent {
    Granted { by: GrantedBy, reason: Reason },
    Revoked { reason: Reason },
}

named_events! {
    OperatorshipEvent, version "1",
    Granted => "operations.operator.granted",
    Revoked => "operations.operator.revoked",
}

/// There is none: whether the user exists is decided on the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct OperatorshipError(#[from] Infallible);

impl Refusal for OperatorshipError {
    fn kind(&self) -> RefusalKind {
        match self.0 {}
    }

    fn code(&self) -> &'static str {
        match self.0 {}
    }
}

impl Aggregate for Operatorship {
    const TYPE: &'static str = "operations.operator";
    type Command = OperatorshipCommand;
    type Event = OperatorshipEvent;
    type Error = OperatorshipError;
    type Services = ();

    async fn handle(
        &mut self,
        command: OperatorshipCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), OperatorshipError> {
        match command {
            OperatorshipCommand::Grant { by, reason } if !self.is_held => {
                sink.write(OperatorshipEvent::Granted { by, reason }, self).await;
            }
            OperatorshipCommand::Revoke { reason } if self.is_held => {
                sink.write(OperatorshipEvent::Revoked { reason }, self).await;
            }
            OperatorshipCommand::Grant { .. } | OperatorshipCommand::Revoke { .. } => {}
        }
        Ok(())
    }

    fn apply(&mut self, event: OperatorshipEvent) {
        self.is_held = matches!(event, OperatorshipEvent::Granted { .. });
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    fn reason() -> Reason {
        Reason::parse("on duty this week").expect("is a reason")
    }

    fn granted() -> OperatorshipEvent {
        OperatorshipEvent::Granted { by: GrantedBy::CommandLine, reason: reason() }
    }

    fn revoked() -> OperatorshipEvent {
        OperatorshipEvent::Revoked { reason: reason() }
    }

    fn when(
        events: Vec<OperatorshipEvent>,
        command: OperatorshipCommand,
    ) -> cqrs_es::test::AggregateResultValidator<Operatorship> {
        TestFramework::<Operatorship>::with(()).given(events).when(command)
    }

    #[test]
    fn it_is_granted_once_and_again_after_it_was_revoked() {
        let grant = OperatorshipCommand::Grant { by: GrantedBy::CommandLine, reason: reason() };
        when(vec![], grant.clone()).then_expect_events(vec![granted()]);
        when(vec![granted()], grant.clone()).then_expect_events(vec![]);
        when(vec![granted(), revoked()], grant).then_expect_events(vec![granted()]);
    }

    #[test]
    fn it_is_revoked_from_who_holds_it() {
        let revoke = OperatorshipCommand::Revoke { reason: reason() };
        when(vec![], revoke.clone()).then_expect_events(vec![]);
        when(vec![granted()], revoke).then_expect_events(vec![revoked()]);
    }
}
