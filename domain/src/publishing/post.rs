//! A post: what it says, where it goes, when, and how that went on each channel.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use serde::{Deserialize, Serialize};

use crate::{
    kernel::{AttemptId, IntegrationId, Month, OrganizationId, UserId},
    publishing::series::Occurrence,
};

mod command;
mod content;
mod decide;
mod delivery;
mod error;
mod event;
mod overdue;
mod part;
mod schedule;
mod settings;
#[cfg(test)]
mod tests;

pub use command::{Due, Plan, PostCommand};
pub use content::{
    CHANNELS_MAX, Composition, Draft, MediaDraft, PartDraft, TAGS_MAX, THREAD_PARTS_MAX, Target, TargetDraft,
};
pub use delivery::{ATTEMPTS_MAX, Delivery, DeliveryState, Failure, FailureClass, Standing};
pub use error::PostError;
pub use event::{PostEvent, RetryBasis};
pub use overdue::{Overdue, OverdueCause};
pub use part::{AltText, DELAY_MAX, MEDIA_MAX, MediaReference, Part, PostText};
pub use schedule::Schedule;
pub(super) use schedule::moment;
pub use settings::TargetSettings;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    #[default]
    None,
    Draft,
    /// Scheduled once; from then on the deliveries say where it stands.
    Committed,
    Deleted,
}

/// The post as a whole, derived from its channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostStatus {
    Draft,
    Scheduled,
    /// Under way on at least one channel, or waiting for another try.
    Publishing,
    /// On all its channels.
    Published,
    /// On some of its channels, or with some parts of its thread.
    PartlyPublished,
    /// Known to be on none of its channels; one with an unknown outcome says so itself.
    Failed,
    Cancelled,
}

impl PostStatus {
    pub const ALL: [PostStatus; 7] = [
        PostStatus::Draft,
        PostStatus::Scheduled,
        PostStatus::Publishing,
        PostStatus::Published,
        PostStatus::PartlyPublished,
        PostStatus::Failed,
        PostStatus::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            PostStatus::Draft => "draft",
            PostStatus::Scheduled => "scheduled",
            PostStatus::Publishing => "publishing",
            PostStatus::Published => "published",
            PostStatus::PartlyPublished => "partly_published",
            PostStatus::Failed => "failed",
            PostStatus::Cancelled => "cancelled",
        }
    }

    fn words(self) -> &'static str {
        match self {
            PostStatus::Draft => "a draft",
            PostStatus::Publishing => "being published",
            PostStatus::PartlyPublished => "partly published",
            other => other.as_str(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    organization: OrganizationId,
    author: UserId,
    stage: Stage,
    archived: bool,
    composition: Composition,
    occurrence: Option<Occurrence>,
    schedule: Option<Schedule>,
    deliveries: BTreeMap<IntegrationId, Delivery>,
}

impl Post {
    /// Whether it was written and not deleted since.
    pub fn exists(&self) -> bool {
        matches!(self.stage, Stage::Draft | Stage::Committed)
    }

    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn author(&self) -> UserId {
        self.author
    }

    pub fn is_archived(&self) -> bool {
        self.archived
    }

    pub fn composition(&self) -> &Composition {
        &self.composition
    }

    /// If it is one of a series.
    pub fn occurrence(&self) -> Option<Occurrence> {
        self.occurrence
    }

    /// When it is due; for a draft, what it is meant for.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    /// The month whose posts it is one of: no draft is, nor what was cancelled before any of it went out.
    pub fn counts_in(&self) -> Option<Month> {
        let counts = self.stage == Stage::Committed && self.status() != PostStatus::Cancelled;
        self.schedule.as_ref().filter(|_| counts).map(|schedule| Month::of(schedule.at))
    }

    /// Empty for a draft.
    pub fn deliveries(&self) -> &BTreeMap<IntegrationId, Delivery> {
        &self.deliveries
    }

    pub fn status(&self) -> PostStatus {
        if self.stage != Stage::Committed {
            return PostStatus::Draft;
        }
        let count =
            |is: fn(&DeliveryState) -> bool| self.deliveries.values().filter(|d| is(&d.state)).count();
        let published = count(|s| matches!(s, DeliveryState::Published { .. }));
        let cancelled = count(|s| matches!(s, DeliveryState::Cancelled));
        let open = count(|s| matches!(s, DeliveryState::Scheduled { .. } | DeliveryState::Publishing { .. }));
        let all = self.deliveries.len();
        if cancelled == all && !self.stands() {
            PostStatus::Cancelled
        } else if self.deliveries.values().all(Delivery::is_untouched) {
            PostStatus::Scheduled
        } else if open > 0 {
            PostStatus::Publishing
        } else if published == all {
            PostStatus::Published
        } else if self.stands() {
            PostStatus::PartlyPublished
        } else {
            PostStatus::Failed
        }
    }

    /// Whether any part of it stands on any platform.
    fn stands(&self) -> bool {
        self.deliveries.values().any(|delivery| !delivery.standing.is_empty())
    }

    fn delivery(&self, channel: IntegrationId) -> Result<&Delivery, PostError> {
        if !self.exists() {
            return Err(PostError::NotFound);
        }
        self.deliveries.get(&channel).ok_or(PostError::NoSuchChannel(channel))
    }

    /// What a late fact may still change: nothing once the post stands on the channel.
    fn open_delivery(&mut self, channel: IntegrationId) -> Option<&mut Delivery> {
        self.deliveries
            .get_mut(&channel)
            .filter(|delivery| !matches!(delivery.state, DeliveryState::Published { .. }))
    }

    fn awaiting(&mut self, channel: IntegrationId, attempt_id: AttemptId) -> Option<&mut Delivery> {
        self.open_delivery(channel).filter(|delivery| delivery.awaits(attempt_id))
    }

    fn commit(&mut self, schedule: Schedule, channels: Vec<IntegrationId>) {
        let due = Delivery::due(schedule.at);
        self.deliveries = channels.into_iter().map(|channel| (channel, due.clone())).collect();
        self.schedule = Some(schedule);
        self.stage = Stage::Committed;
    }
}

impl Aggregate for Post {
    const TYPE: &'static str = "publishing.post";
    type Command = PostCommand;
    type Event = PostEvent;
    type Error = PostError;
    type Services = ();

    async fn handle(
        &mut self,
        command: PostCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), PostError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    // Outcomes are appended at any version, so an event may find the delivery elsewhere than its
    // decision did: what does not fit any more is passed over, and "published" is never taken back.
    fn apply(&mut self, event: PostEvent) {
        match event {
            PostEvent::Drafted { organization_id, author_id, composition, occurrence } => {
                self.organization = organization_id;
                self.author = author_id;
                self.composition = composition;
                self.occurrence = occurrence;
                self.stage = Stage::Draft;
            }
            PostEvent::Planned { schedule } => self.schedule = schedule,
            PostEvent::Edited { composition } => self.composition = composition,
            PostEvent::Scheduled { schedule, channels }
            | PostEvent::Rescheduled { schedule, channels, .. } => self.commit(schedule, channels),
            PostEvent::Unscheduled { .. } => {
                self.deliveries.clear();
                self.stage = Stage::Draft;
            }
            PostEvent::Cancelled { channels, .. } => {
                for channel in channels {
                    if let Some(delivery) = self.open_delivery(channel) {
                        delivery.state = DeliveryState::Cancelled;
                    }
                }
            }
            PostEvent::Deleted { .. } => self.stage = Stage::Deleted,
            PostEvent::Archived { .. } => self.archived = true,
            PostEvent::PublishAttempted { channel, attempt_id, attempt, at, .. } => {
                if let Some(delivery) = self.open_delivery(channel) {
                    delivery.begin(attempt_id, attempt, at);
                }
            }
            PostEvent::Published { channel, remote_id, url, part, next_at, at, .. } => {
                let is_next = |delivery: &&mut Delivery| {
                    part.is_none_or(|part| part as usize == delivery.standing.len())
                };
                if let Some(delivery) = self.open_delivery(channel).filter(is_next) {
                    delivery.stand(Standing { remote_id, url, at }, next_at);
                }
            }
            PostEvent::PublishDeferred { channel, attempt_id, reason, .. } => {
                if let Some(delivery) = self.awaiting(channel, attempt_id) {
                    delivery.state = DeliveryState::Scheduled { last_reason: Some(reason) };
                }
            }
            PostEvent::PublishFailed { channel, attempt_id: Some(attempt_id), failure, at } => {
                if let Some(delivery) = self.awaiting(channel, attempt_id) {
                    delivery.state = DeliveryState::Failed { failure, at };
                }
            }
            PostEvent::PublishFailed { channel, attempt_id: None, failure, at } => {
                if let Some(delivery) = self.open_delivery(channel) {
                    delivery.state = DeliveryState::Failed { failure, at };
                }
            }
            PostEvent::OutcomeUnknown { channel, attempt_id, reason, what_to_do, at } => {
                if let Some(delivery) = self.awaiting(channel, attempt_id) {
                    delivery.state = DeliveryState::Unknown { attempt_id, reason, what_to_do, since: at };
                }
            }
            PostEvent::RetryRequested { channel, basis, at } => {
                if let Some(delivery) = self.open_delivery(channel) {
                    retry(delivery, basis, at);
                }
            }
            PostEvent::FoundOverdue { channel, due_at, .. } => {
                if let Some(delivery) = self.open_delivery(channel) {
                    delivery.found_overdue = Some(due_at);
                }
            }
        }
    }
}

/// A person's wish starts the count of attempts anew; a try by itself does not, so it ends.
fn retry(delivery: &mut Delivery, basis: RetryBasis, at: DateTime<Utc>) {
    delivery.state = DeliveryState::Scheduled { last_reason: None };
    delivery.due_at = at;
    if basis != RetryBasis::SafeByHandle {
        delivery.attempts = 0;
    }
}
