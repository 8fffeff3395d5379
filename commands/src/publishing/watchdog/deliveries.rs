//! What is to be published on which channel, when, and how it stands: kept by a process manager.

use annals_domain::{
    kernel::{IntegrationId, PostId},
    operations::TimerControlEvent,
    publishing::{PostEvent, post::OverdueCause},
};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};

use super::super::publish::KIND;
use crate::process::{ProcessManager, ReactError, Start};

const TIMER_CANCELLED: &str = "operations.timer.cancelled";

/// The process manager behind the watchdog's table.
#[derive(Clone, Copy, Debug, Default)]
pub struct DueDeliveries;

/// How a delivery waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Scheduled,
    Publishing,
    Unknown,
}

impl Waiting {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Publishing => "publishing",
            Self::Unknown => "unknown",
        }
    }
}

type Tx = Transaction<'static, Postgres>;

#[async_trait]
impl ProcessManager for DueDeliveries {
    const NAME: &'static str = "publishing.watchdog";

    // It only keeps books: from the beginning, or what was scheduled before it was there is not watched.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        let event_types = [
            "publishing.post.scheduled",
            "publishing.post.rescheduled",
            "publishing.post.unscheduled",
            "publishing.post.cancelled",
            "publishing.post.archived",
            "publishing.post.publish_attempted",
            "publishing.post.published",
            "publishing.post.publish_deferred",
            "publishing.post.publish_failed",
            "publishing.post.outcome_unknown",
            "publishing.post.retry_requested",
            "publishing.post.found_overdue",
            TIMER_CANCELLED,
        ];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(&self, event: &RecordedEvent, tx: &mut Tx) -> Result<(), ReactError> {
        if event.event_type == TIMER_CANCELLED {
            return timer_cancelled(event, tx).await;
        }
        let Ok(post) = event.stream.aggregate_id.parse::<PostId>() else { return Ok(()) };
        let on = |channel| Row { post, channel };
        match event.decode::<PostEvent>()? {
            PostEvent::Scheduled { schedule, channels } => {
                for channel in channels {
                    on(channel).is_due(event, schedule.at, tx).await?;
                }
            }
            PostEvent::Rescheduled { schedule, channels, dropped } => {
                on_all(post, &dropped, tx).await?;
                for channel in channels {
                    on(channel).is_due(event, schedule.at, tx).await?;
                }
            }
            PostEvent::RetryRequested { channel, at, .. } => on(channel).is_due(event, at, tx).await?,
            PostEvent::Published { channel, next_at: Some(next_at), .. } => {
                on(channel).is_due(event, next_at, tx).await?;
            }
            PostEvent::Unscheduled { channels } | PostEvent::Cancelled { channels, .. } => {
                on_all(post, &channels, tx).await?;
            }
            PostEvent::Published { channel, .. } | PostEvent::PublishFailed { channel, .. } => {
                on_all(post, &[channel], tx).await?;
            }
            // Nobody waits for what left the lists, as long as nothing of it is under way.
            PostEvent::Archived { .. } => {
                sqlx::query("DELETE FROM process.watched WHERE post = $1 AND state <> 'publishing'")
                    .bind(post.uuid())
                    .execute(&mut **tx)
                    .await?;
            }
            PostEvent::PublishAttempted { channel, at, .. } => {
                on(channel).waits(Waiting::Publishing, Some(at), tx).await?;
            }
            PostEvent::PublishDeferred { channel, .. } => {
                on(channel).waits(Waiting::Scheduled, None, tx).await?;
            }
            PostEvent::OutcomeUnknown { channel, at, .. } => {
                on(channel).waits(Waiting::Unknown, Some(at), tx).await?;
            }
            PostEvent::FoundOverdue { channel, due_at, cause, .. } => {
                on(channel).was_found(due_at, cause, tx).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// One delivery.
#[derive(Clone, Copy, Debug)]
struct Row {
    post: PostId,
    channel: IntegrationId,
}

impl Row {
    async fn is_due(
        self,
        event: &RecordedEvent,
        due_at: DateTime<Utc>,
        tx: &mut Tx,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO process.watched
                 (post, channel, due_at, since, state, position, caused_by, correlation, organization_id)
             VALUES ($1, $2, $3, $3, 'scheduled', $4, $5, $6, $7)
             ON CONFLICT (post, channel) DO UPDATE SET
                 due_at = excluded.due_at, since = excluded.since, state = excluded.state,
                 timer_cancelled = false, found_cause = NULL, position = excluded.position, caused_by = excluded.caused_by,
                 correlation = excluded.correlation, organization_id = excluded.organization_id",
        )
        .bind(self.post.uuid())
        .bind(self.channel.uuid())
        .bind(due_at)
        .bind(event.position.cast_signed())
        .bind(event.event_id)
        .bind(event.metadata.correlation_id)
        .bind(event.metadata.organization_id)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// `since` is when it was due if nothing else is said.
    async fn waits(
        self,
        waiting: Waiting,
        since: Option<DateTime<Utc>>,
        tx: &mut Tx,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE process.watched SET state = $3, since = coalesce($4, due_at)
             WHERE post = $1 AND channel = $2",
        )
        .bind(self.post.uuid())
        .bind(self.channel.uuid())
        .bind(waiting.as_str())
        .bind(since)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn was_found(
        self,
        due_at: DateTime<Utc>,
        cause: OverdueCause,
        tx: &mut Tx,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE process.watched SET found_due_at = $3, found_cause = $4 WHERE post = $1 AND channel = $2",
        )
        .bind(self.post.uuid())
        .bind(self.channel.uuid())
        .bind(due_at)
        .bind(cause.as_str())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// These are over.
async fn on_all(post: PostId, channels: &[IntegrationId], tx: &mut Tx) -> Result<(), sqlx::Error> {
    let channels: Vec<_> = channels.iter().map(|channel| channel.uuid()).collect();
    sqlx::query("DELETE FROM process.watched WHERE post = $1 AND channel = ANY ($2)")
        .bind(post.uuid())
        .bind(channels)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The operator removed a timer: what it was for does not happen until somebody schedules it anew.
async fn timer_cancelled(event: &RecordedEvent, tx: &mut Tx) -> Result<(), ReactError> {
    let TimerControlEvent::Cancelled { kind, key, .. } = event.decode()? else { return Ok(()) };
    let Some((post, channel)) = key.split_once(':').filter(|_| kind == KIND) else { return Ok(()) };
    let (Ok(post), Ok(channel)) = (post.parse::<PostId>(), channel.parse::<IntegrationId>()) else {
        return Ok(());
    };
    sqlx::query("UPDATE process.watched SET timer_cancelled = true WHERE post = $1 AND channel = $2")
        .bind(post.uuid())
        .bind(channel.uuid())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
