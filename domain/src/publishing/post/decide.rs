//! How a post decides: a command and the state give events or a refusal.

use chrono::{DateTime, Utc};

use super::{
    ATTEMPTS_MAX, Composition, Delivery, DeliveryState, Due, FailureClass, Plan, Post, PostCommand,
    PostError, PostEvent, PostStatus, RetryBasis, Schedule, Stage,
};
use crate::kernel::{AttemptId, IntegrationId, OrganizationId, UserId};

type Decision = Result<Vec<PostEvent>, PostError>;

impl Post {
    pub(super) fn decide(&self, command: PostCommand) -> Decision {
        use PostCommand as Do;
        match command {
            Do::Create { organization, author, composition, plan, now } => {
                self.create(organization, author, composition, plan, now)
            }
            Do::Revise { composition, plan, now } => self.revise(composition, plan, now),
            Do::Delete { now } => self.delete(now),
            Do::BeginAttempt { channel, attempt_id, now } => self.begin_attempt(channel, attempt_id, now),
            Do::RecordPublished { channel, attempt_id, remote_id, url, at } => {
                let delivery = self.begun(channel, attempt_id)?;
                let stands = matches!(delivery.state, DeliveryState::Published { .. });
                Ok(once(!stands, PostEvent::Published { channel, attempt_id, remote_id, url, at }))
            }
            Do::RecordFailed { channel, attempt_id, failure, at } => {
                let delivery = self.begun(channel, attempt_id)?;
                let again = failure.class == FailureClass::NotActed && delivery.attempts < ATTEMPTS_MAX;
                let event = if again {
                    PostEvent::PublishDeferred { channel, attempt_id, reason: failure.reason, at }
                } else {
                    PostEvent::PublishFailed { channel, attempt_id: Some(attempt_id), failure, at }
                };
                Ok(once(delivery.awaits(attempt_id), event))
            }
            Do::RecordUnknown { channel, attempt_id, reason, what_to_do, at } => {
                let delivery = self.begun(channel, attempt_id)?;
                let open = matches!(delivery.state, DeliveryState::Publishing { .. });
                let event = PostEvent::OutcomeUnknown { channel, attempt_id, reason, what_to_do, at };
                Ok(once(open && delivery.awaits(attempt_id), event))
            }
            Do::GiveUp { channel, failure, at } => {
                let delivery = self.delivery(channel)?;
                let waits = matches!(delivery.state, DeliveryState::Scheduled { .. });
                Ok(once(waits, PostEvent::PublishFailed { channel, attempt_id: None, failure, at }))
            }
            Do::Retry { channel, basis, now } => self.retry(channel, basis, now),
        }
    }

    fn create(
        &self,
        organization: OrganizationId,
        author: UserId,
        composition: Composition,
        plan: Plan,
        now: DateTime<Utc>,
    ) -> Decision {
        if self.stage != Stage::None {
            return Err(PostError::AlreadyExists);
        }
        let channels = composition.channels();
        let mut events =
            vec![PostEvent::Drafted { organization_id: organization, author_id: author, composition }];
        match plan {
            Plan::Draft(None) => {}
            Plan::Draft(Some(schedule)) => events.push(PostEvent::Planned { schedule: Some(schedule) }),
            Plan::Publish(due) => {
                let schedule = schedule(due, now)?;
                events.push(PostEvent::Scheduled { schedule, channels: some(channels)? });
            }
        }
        Ok(events)
    }

    fn revise(&self, composition: Composition, plan: Plan, now: DateTime<Utc>) -> Decision {
        self.editable()?;
        let channels = composition.channels();
        let mut events = Vec::new();
        match (self.stage, plan) {
            (Stage::Draft, Plan::Draft(schedule)) => {
                events.extend(once(self.schedule != schedule, PostEvent::Planned { schedule }));
            }
            (Stage::Draft, Plan::Publish(due)) => {
                let schedule = schedule(due, now)?;
                events.push(PostEvent::Scheduled { schedule, channels: some(channels)? });
            }
            (_, Plan::Draft(schedule)) => {
                events.push(PostEvent::Unscheduled { channels: self.deliveries.keys().copied().collect() });
                events.extend(once(self.schedule != schedule, PostEvent::Planned { schedule }));
            }
            (_, Plan::Publish(Due::At(schedule))) if self.schedule.as_ref() == Some(&schedule) => {
                // The time stays; that it may be past by now is no reason to refuse a correction.
                let changed = !self.goes_to(&channels);
                events.extend(once(changed, self.rescheduled(schedule, some(channels)?)));
            }
            (_, Plan::Publish(due)) => {
                let schedule = schedule(due, now)?;
                events.push(self.rescheduled(schedule, some(channels)?));
            }
        }
        if self.composition != composition {
            // First, so that whoever reacts to the new schedule finds the new text.
            events.insert(0, PostEvent::Edited { composition });
        }
        Ok(events)
    }

    fn goes_to(&self, channels: &[IntegrationId]) -> bool {
        channels.len() == self.deliveries.len() && channels.iter().all(|c| self.deliveries.contains_key(c))
    }

    fn rescheduled(&self, schedule: Schedule, channels: Vec<IntegrationId>) -> PostEvent {
        let dropped = self.deliveries.keys().copied().filter(|c| !channels.contains(c)).collect();
        PostEvent::Rescheduled { schedule, channels, dropped }
    }

    fn editable(&self) -> Result<(), PostError> {
        if !self.exists() {
            return Err(PostError::NotFound);
        }
        if self.archived {
            return Err(PostError::Archived);
        }
        match self.status() {
            PostStatus::Draft | PostStatus::Scheduled => Ok(()),
            other => Err(PostError::NotEditable(other)),
        }
    }

    fn delete(&self, now: DateTime<Utc>) -> Decision {
        match self.stage {
            Stage::None | Stage::Deleted => return Err(PostError::NotFound),
            Stage::Draft => return Ok(vec![PostEvent::Deleted { at: now }]),
            Stage::Committed => {}
        }
        if self.deliveries.values().any(|d| matches!(d.state, DeliveryState::Publishing { .. })) {
            return Err(PostError::BeingPublished);
        }
        let waiting: Vec<_> = self
            .deliveries
            .iter()
            .filter(|(_, d)| matches!(d.state, DeliveryState::Scheduled { .. }))
            .map(|(channel, _)| *channel)
            .collect();
        let all_wait = waiting.len() == self.deliveries.len();
        let mut events = once(!waiting.is_empty(), PostEvent::Cancelled { channels: waiting, at: now });
        events.extend(once(!all_wait && !self.archived, PostEvent::Archived { at: now }));
        Ok(events)
    }

    fn begin_attempt(&self, channel: IntegrationId, attempt_id: AttemptId, now: DateTime<Utc>) -> Decision {
        let delivery = self.delivery(channel)?;
        match &delivery.state {
            DeliveryState::Scheduled { .. } if now < delivery.due_at => {
                Err(PostError::NotDue(delivery.due_at))
            }
            DeliveryState::Scheduled { .. } if delivery.attempts >= ATTEMPTS_MAX => {
                Err(PostError::TriedTooOften)
            }
            DeliveryState::Scheduled { .. } => Ok(vec![PostEvent::PublishAttempted {
                channel,
                attempt_id,
                attempt: delivery.attempts + 1,
                occurrence: 0,
                at: now,
            }]),
            DeliveryState::Publishing { attempt_id, started_at, .. } => {
                Err(PostError::AttemptOpen { attempt_id: *attempt_id, started_at: *started_at })
            }
            other => Err(PostError::NothingToDo(other.as_str())),
        }
    }

    fn begun(&self, channel: IntegrationId, attempt_id: AttemptId) -> Result<&Delivery, PostError> {
        let delivery = self.delivery(channel)?;
        if delivery.knows(attempt_id) { Ok(delivery) } else { Err(PostError::NoSuchAttempt) }
    }

    fn retry(&self, channel: IntegrationId, basis: RetryBasis, now: DateTime<Utc>) -> Decision {
        let delivery = self.delivery(channel)?;
        if self.archived {
            return Err(PostError::Archived);
        }
        match &delivery.state {
            DeliveryState::Failed { .. } => {}
            DeliveryState::Unknown { .. } if basis == RetryBasis::Asked => return Err(PostError::MayDouble),
            DeliveryState::Unknown { .. }
                if basis == RetryBasis::SafeByHandle && delivery.attempts >= ATTEMPTS_MAX =>
            {
                return Err(PostError::TriedTooOften);
            }
            DeliveryState::Unknown { .. } => {}
            other => return Err(PostError::NothingToRetry(other.as_str())),
        }
        Ok(vec![PostEvent::RetryRequested { channel, basis, at: now }])
    }
}

fn schedule(due: Due, now: DateTime<Utc>) -> Result<Schedule, PostError> {
    match due {
        Due::Now(zone) => Ok(Schedule { at: now, zone }),
        Due::At(schedule) => schedule.check(now).map(|()| schedule),
    }
}

fn some(channels: Vec<IntegrationId>) -> Result<Vec<IntegrationId>, PostError> {
    if channels.is_empty() { Err(PostError::NoChannels) } else { Ok(channels) }
}

/// The event if it says something new.
fn once(is_new: bool, event: PostEvent) -> Vec<PostEvent> {
    if is_new { vec![event] } else { Vec::new() }
}
