//! Why somebody runs the installation: beside the user's own `operator_granted`, in one append.
//!
//! Whether they are the operator is decided on the user. The first account of an installation that only
//! its own machine reaches became it with nobody's reason, so it has no `granted` here.

use std::convert::Infallible;

use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::{Refusal, RefusalKind, kernel::named_events};

/// Why a user is the operator or is not; its stream's id is the user's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operatorship {
    pub is_held: bool,
}

/// By which of the ways somebody became the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantedBy {
    /// They entered the code that the server printed at its first start.
    SetupCode,
    /// Whoever may run commands on the server's data said so.
    CommandLine,
}

#[derive(Clone, Debug)]
pub enum OperatorshipCommand {
    Grant { by: GrantedBy, reason: Reason },
    Revoke { reason: Reason },
}

/// What became of somebody's office, each `operations.operator.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
        let event = match command {
            OperatorshipCommand::Grant { by, reason } => OperatorshipEvent::Granted { by, reason },
            OperatorshipCommand::Revoke { reason } => OperatorshipEvent::Revoked { reason },
        };
        sink.write(event, self).await;
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
    fn it_is_told_why_somebody_holds_it_and_why_no_longer() {
        let grant = OperatorshipCommand::Grant { by: GrantedBy::CommandLine, reason: reason() };
        when(vec![], grant.clone()).then_expect_events(vec![granted()]);
        when(vec![granted(), revoked()], grant).then_expect_events(vec![granted()]);
        let revoke = OperatorshipCommand::Revoke { reason: reason() };
        when(vec![granted()], revoke.clone()).then_expect_events(vec![revoked()]);
        when(vec![], revoke).then_expect_events(vec![revoked()]);
    }
}
