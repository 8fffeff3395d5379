//! Sets a timer for each channel of what is scheduled, and removes it when it is not any more.

use annals_domain::{
    kernel::{IntegrationId, PostId},
    publishing::PostEvent,
};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::publish::KIND;
use crate::{
    process::{ProcessManager, ReactError, Start},
    timers::{self, NewTimer},
};

/// What a timer of [`super::PublishTimer`] is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Due {
    pub(super) post: PostId,
    pub(super) channel: IntegrationId,
    /// Of the command that scheduled it, so that the worker's events can be followed back to it.
    pub(super) correlation: Uuid,
    /// Of the event that set it; 0 in timers from before this was noted.
    #[serde(default)]
    pub(super) position: u64,
}

/// The process manager behind publishing. Keeps nothing but its timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Publisher;

#[async_trait]
impl ProcessManager for Publisher {
    const NAME: &'static str = "publishing.publisher";

    // Timers are hints and a post that is over finds nothing to do, so reading from the beginning
    // does no harm; and what is scheduled gets its timers back if they were ever lost.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        let event_types = [
            "publishing.post.scheduled",
            "publishing.post.rescheduled",
            "publishing.post.unscheduled",
            "publishing.post.cancelled",
            "publishing.post.published",
            "publishing.post.publish_failed",
            "publishing.post.retry_requested",
        ];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let Ok(post) = event.stream.aggregate_id.parse::<PostId>() else { return Ok(()) };
        match event.decode::<PostEvent>()? {
            PostEvent::Scheduled { schedule, channels } => {
                set(tx, event, post, &channels, schedule.at).await?;
            }
            PostEvent::Rescheduled { schedule, channels, dropped } => {
                remove(tx, post, &dropped).await?;
                set(tx, event, post, &channels, schedule.at).await?;
            }
            PostEvent::RetryRequested { channel, at, .. } => set(tx, event, post, &[channel], at).await?,
            PostEvent::Unscheduled { channels } | PostEvent::Cancelled { channels, .. } => {
                remove(tx, post, &channels).await?;
            }
            PostEvent::Published { channel, next_at: Some(next_at), .. } => {
                set(tx, event, post, &[channel], next_at).await?;
            }
            PostEvent::Published { channel, .. } | PostEvent::PublishFailed { channel, .. } => {
                remove(tx, post, &[channel]).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn key(post: PostId, channel: IntegrationId) -> String {
    format!("{post}:{channel}")
}

async fn set(
    tx: &mut Transaction<'static, Postgres>,
    event: &RecordedEvent,
    post: PostId,
    channels: &[IntegrationId],
    due_at: DateTime<Utc>,
) -> Result<(), ReactError> {
    for channel in channels {
        let due = Due {
            post,
            channel: *channel,
            correlation: event.metadata.correlation_id,
            position: event.position,
        };
        let timer = NewTimer {
            kind: KIND,
            key: key(post, *channel),
            due_at,
            payload: serde_json::to_value(due)?,
            caused_by: event.event_id,
            organization_id: event.metadata.organization_id,
        };
        timers::schedule(tx, timer).await?;
    }
    Ok(())
}

async fn remove(
    tx: &mut Transaction<'static, Postgres>,
    post: PostId,
    channels: &[IntegrationId],
) -> Result<(), ReactError> {
    for channel in channels {
        timers::cancel(tx, KIND, &key(post, *channel)).await?;
    }
    Ok(())
}
