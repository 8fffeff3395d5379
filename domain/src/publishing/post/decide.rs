//! How a post decides: a command and the state give events or a refusal.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    ATTEMPTS_MAX, Composition, Delivery, DeliveryState, Due, FailureClass, Part, Plan, Post, PostCommand,
    PostError, PostEvent, PostStatus, RetryBasis, Schedule, Stage, Standing,
};
use crate::kernel::{AttemptId, IntegrationId};

type Decision = Result<Vec<PostEvent>, PostError>;

impl Post {
    pub(super) fn decide(&self, command: PostCommand) -> Decision {
        use PostCommand as Do;
        match command {
            Do::Create { organization, author, composition, plan, occurrence, now } => {
                let (organization_id, author_id) = (organization, author);
                self.create(
                    PostEvent::Drafted { organization_id, author_id, composition, occurrence },
                    plan,
                    now,
                )
            }
            Do::Revise { composition, plan, now } => self.revise(composition, plan, now),
            Do::Delete { now } => self.delete(now),
            Do::BeginAttempt { channel, attempt_id, now } => self.begin_attempt(channel, attempt_id, now),
            Do::RecordPublished { channel, attempt_id, remote_id, url, at } => {
                self.begun(channel, attempt_id)?;
                Ok(self.published(channel, attempt_id, Standing { remote_id, url, at }))
            }
            Do::RecordFailed { channel, attempt_id, failure, at } => {
                let delivery = self.begun(channel, attempt_id)?;
                // A lost account may come back: the post waits for it.
                let may_change = matches!(failure.class, FailureClass::NotActed | FailureClass::Disconnected);
                let again = may_change && delivery.attempts < ATTEMPTS_MAX;
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
            Do::FindOverdue { channel, late_by, overdue, at } => {
                self.find_overdue(channel, late_by, overdue, at)
            }
            Do::Reply { reply } => self.reply(&reply),
        }
    }

    fn create(&self, drafted: PostEvent, plan: Plan, now: DateTime<Utc>) -> Decision {
        if self.stage != Stage::None {
            return Err(PostError::AlreadyExists);
        }
        let channels = match &drafted {
            PostEvent::Drafted { composition, .. } => composition.channels(),
            _ => Vec::new(),
        };
        let mut events = vec![drafted];
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
        let all_wait = waiting.len() == self.deliveries.len() && !self.stands();
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
                part: self.part_number(channel, delivery.standing.len()),
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
        delivery.part_of(attempt_id).map(|_| delivery).ok_or(PostError::NoSuchAttempt)
    }

    /// The number of a part, where there is more than one.
    fn part_number(&self, channel: IntegrationId, part: usize) -> Option<u32> {
        let is_thread = self.composition.parts_for(channel).is_some_and(|parts| parts.len() > 1);
        u32::try_from(part).ok().filter(|_| is_thread)
    }

    /// What an attempt published stands; the thread goes on with what follows it.
    fn published(&self, channel: IntegrationId, attempt_id: AttemptId, stands: Standing) -> Vec<PostEvent> {
        let Some(delivery) = self.deliveries.get(&channel) else { return Vec::new() };
        let Some(part) = delivery.part_of(attempt_id) else { return Vec::new() };
        let is_known = part < delivery.standing.len();
        if is_known || matches!(delivery.state, DeliveryState::Published { .. }) {
            return Vec::new();
        }
        let parts = self.composition.parts_for(channel).unwrap_or_default();
        let Standing { remote_id, url, at } = stands;
        let next_at = parts.get(part + 1).map(|next| at + TimeDelta::seconds(i64::from(next.delay_seconds)));
        let part = self.part_number(channel, part);
        let event = PostEvent::Published { channel, attempt_id, remote_id, url, part, next_at, at };
        let mut events = vec![event];
        // What follows a part of a post that left the lists meanwhile does not go out any more.
        let ends = self.archived && next_at.is_some();
        events.extend(once(ends, PostEvent::Cancelled { channels: vec![channel], at }));
        events
    }

    /// One more part for the thread, on every channel.
    fn reply(&self, reply: &Part) -> Decision {
        self.editable()?;
        let composition = self.composition.with_reply(reply).map_err(|_| PostError::ThreadTooLong)?;
        Ok(vec![PostEvent::Edited { composition }])
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
