//! What a person did with their notifications in an organization: what they read, and by which ways
//! they want to be told.
//!
//! Reading all is one event however much there was; single marks are remembered only to say each once,
//! and no longer than until all is read: saying one again changes nothing.

use std::collections::{BTreeMap, VecDeque};

use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NotificationKind, Ways};
use crate::{
    Refusal, RefusalKind,
    kernel::{NotificationId, OrganizationId, UserId, named_events},
};

/// So many single marks are remembered.
const MARKS_MAX: usize = 200;

/// Whose inbox, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxId {
    pub organization: OrganizationId,
    pub person: UserId,
}

/// As its stream is named.
impl std::fmt::Display for InboxId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.organization, self.person)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Read,
    Unread,
}

/// A change of the ways of one kind; what is left out stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaysChange {
    pub in_app: Option<bool>,
    pub email: Option<bool>,
}

/// An inbox, as its events left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// Of the kinds whose ways the person chose.
    chosen: BTreeMap<NotificationKind, Ways>,
    /// The newest single marks since all was read, oldest first.
    marks: VecDeque<(NotificationId, Mark)>,
}

impl Inbox {
    /// By which ways the person is told of a kind.
    pub fn ways(&self, kind: NotificationKind) -> Ways {
        self.chosen.get(&kind).copied().unwrap_or_else(|| kind.default_ways())
    }

    fn mark_of(&self, notification: NotificationId) -> Option<Mark> {
        self.marks.iter().rev().find(|(id, _)| *id == notification).map(|(_, mark)| *mark)
    }

    fn decide(&self, command: InboxCommand) -> Option<InboxEvent> {
        let InboxId { organization: organization_id, person: user_id } = command.inbox;
        match command.action {
            InboxAction::Mark { notification, mark } => {
                let is_new = self.mark_of(notification) != Some(mark);
                is_new.then_some(InboxEvent::Marked { organization_id, user_id, notification, mark })
            }
            InboxAction::ReadAll { up_to } => Some(InboxEvent::AllRead { organization_id, user_id, up_to }),
            InboxAction::Prefer { changes } => {
                let mut ways = BTreeMap::new();
                for (kind, change) in changes {
                    let before = self.ways(kind);
                    let after = Ways {
                        in_app: change.in_app.unwrap_or(before.in_app),
                        email: change.email.unwrap_or(before.email),
                    };
                    if after != before {
                        ways.insert(kind, after);
                    }
                }
                (!ways.is_empty()).then_some(InboxEvent::PreferencesChanged {
                    organization_id,
                    user_id,
                    ways,
                })
            }
        }
    }
}

/// What a person does with their inbox.
#[derive(Clone, Debug)]
pub struct InboxCommand {
    pub inbox: InboxId,
    pub action: InboxAction,
}

#[derive(Clone, Debug)]
pub enum InboxAction {
    Mark {
        notification: NotificationId,
        mark: Mark,
    },
    ReadAll {
        /// The position of the newest notification that is meant; all that there are if none is given.
        up_to: Option<u64>,
    },
    Prefer {
        changes: BTreeMap<NotificationKind, WaysChange>,
    },
}

/// What happened to an inbox, each `engagement.inbox.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum InboxEvent {
    /// One notification was read, or is to be read again.
    Marked { organization_id: OrganizationId, user_id: UserId, notification: NotificationId, mark: Mark },
    /// All that came before this event, and not after `up_to`, is read.
    AllRead {
        organization_id: OrganizationId,
        user_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        up_to: Option<u64>,
    },
    /// By which ways the person wants to be told of these kinds from now on.
    PreferencesChanged {
        organization_id: OrganizationId,
        user_id: UserId,
        ways: BTreeMap<NotificationKind, Ways>,
    },
}

named_events! {
    InboxEvent, version "1",
    Marked => "engagement.inbox.marked",
    AllRead => "engagement.inbox.all_read",
    PreferencesChanged => "engagement.inbox.preferences_changed",
}

/// An inbox takes what its owner says; that they are the owner is known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the inbox refuses nothing")]
pub struct InboxError;

impl Refusal for InboxError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        "CONFLICT"
    }
}

impl Aggregate for Inbox {
    const TYPE: &'static str = "engagement.inbox";
    type Command = InboxCommand;
    type Event = InboxEvent;
    type Error = InboxError;
    type Services = ();

    async fn handle(
        &mut self,
        command: InboxCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), InboxError> {
        if let Some(event) = self.decide(command) {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: InboxEvent) {
        match event {
            InboxEvent::Marked { notification, mark, .. } => {
                self.marks.retain(|(id, _)| *id != notification);
                if self.marks.len() == MARKS_MAX {
                    self.marks.pop_front();
                }
                self.marks.push_back((notification, mark));
            }
            InboxEvent::AllRead { .. } => self.marks.clear(),
            InboxEvent::PreferencesChanged { ways, .. } => self.chosen.extend(ways),
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use uuid::Uuid;

    use super::*;

    fn inbox() -> InboxId {
        InboxId { organization: Uuid::from_u128(1).into(), person: Uuid::from_u128(2).into() }
    }

    fn marked(number: u128, mark: Mark) -> InboxEvent {
        let InboxId { organization, person } = inbox();
        let notification = Uuid::from_u128(number).into();
        InboxEvent::Marked { organization_id: organization, user_id: person, notification, mark }
    }

    fn all_read(up_to: Option<u64>) -> InboxEvent {
        let InboxId { organization, person } = inbox();
        InboxEvent::AllRead { organization_id: organization, user_id: person, up_to }
    }

    fn preferred(kind: NotificationKind, ways: Ways) -> InboxEvent {
        let InboxId { organization, person } = inbox();
        let ways = BTreeMap::from([(kind, ways)]);
        InboxEvent::PreferencesChanged { organization_id: organization, user_id: person, ways }
    }

    fn check(given: Vec<InboxEvent>, action: InboxAction, expected: Vec<InboxEvent>) {
        let command = InboxCommand { inbox: inbox(), action };
        TestFramework::<Inbox>::with(()).given(given).when(command).then_expect_events(expected);
    }

    fn mark(number: u128, mark: Mark) -> InboxAction {
        InboxAction::Mark { notification: Uuid::from_u128(number).into(), mark }
    }

    #[test]
    fn a_mark_is_said_once_until_it_is_another() {
        let read = || marked(7, Mark::Read);
        check(vec![], mark(7, Mark::Read), vec![read()]);
        check(vec![read()], mark(7, Mark::Read), vec![]);
        check(vec![read()], mark(8, Mark::Read), vec![marked(8, Mark::Read)]);
        check(vec![read()], mark(7, Mark::Unread), vec![marked(7, Mark::Unread)]);
        check(vec![read(), marked(7, Mark::Unread)], mark(7, Mark::Read), vec![read()]);
    }

    /// Whatever was marked before, it is read after: the next mark counts again.
    #[test]
    fn reading_all_makes_single_marks_new_again() {
        let unread = || marked(7, Mark::Unread);
        check(vec![unread(), all_read(None)], mark(7, Mark::Unread), vec![unread()]);
        check(vec![], InboxAction::ReadAll { up_to: Some(41) }, vec![all_read(Some(41))]);
    }

    #[test]
    fn marks_are_bounded() {
        let mut inbox = Inbox::default();
        for number in 0..1_000 {
            inbox.apply(marked(number, Mark::Read));
        }
        assert_eq!(inbox.marks.len(), MARKS_MAX);
        assert_eq!(inbox.mark_of(Uuid::from_u128(999).into()), Some(Mark::Read));
        assert_eq!(inbox.mark_of(Uuid::from_u128(0).into()), None);
    }

    #[test]
    fn preferences_change_what_is_named_and_leave_the_rest() {
        let failed = NotificationKind::PostFailed;
        let change = |in_app, email| InboxAction::Prefer {
            changes: BTreeMap::from([(failed, WaysChange { in_app, email })]),
        };
        let quiet = || preferred(failed, Ways { in_app: true, email: false });
        check(vec![], change(None, Some(false)), vec![quiet()]);
        check(vec![quiet()], change(None, Some(false)), vec![]);
        check(vec![quiet()], change(Some(true), None), vec![]);
        check(
            vec![quiet()],
            change(Some(false), None),
            vec![preferred(failed, Ways { in_app: false, email: false })],
        );
        let mut inbox = Inbox::default();
        assert_eq!(inbox.ways(failed), failed.default_ways());
        inbox.apply(quiet());
        assert!(!inbox.ways(failed).email);
        assert_eq!(inbox.ways(NotificationKind::PostOverdue), NotificationKind::PostOverdue.default_ways());
    }
}
