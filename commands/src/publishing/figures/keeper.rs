//! Keeps the list of whom to ask about, from what happens to channels and posts.

use annals_domain::{
    kernel::{IntegrationId, PostId},
    publishing::{IntegrationEvent, PostEvent},
};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{KIND, watch};
use crate::{
    process::{ProcessManager, ReactError, Start},
    timers::{self, NewTimer},
};

/// The first look at a post.
const FIRST_LOOK: TimeDelta = TimeDelta::minutes(15);

/// What a timer of [`super::FiguresTimer`] is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Due {
    pub(super) channel: IntegrationId,
    /// Of the command that set it.
    pub(super) correlation: Uuid,
}

/// The process manager behind figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct FiguresKeeper;

#[async_trait]
impl ProcessManager for FiguresKeeper {
    const NAME: &'static str = "publishing.figures";

    // What was published before there was this has figures, too; what is too old is left out when its
    // timer fires.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        let event_types = [
            "publishing.integration.connected",
            "publishing.integration.reconnected",
            "publishing.integration.enabled",
            "publishing.integration.disconnected",
            "publishing.post.published",
            "publishing.post.archived",
        ];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        if event.event_type.starts_with("publishing.integration.") {
            let Ok(channel) = event.stream.aggregate_id.parse() else { return Ok(()) };
            return of_channel(event, channel, tx).await;
        }
        let Ok(post) = event.stream.aggregate_id.parse::<PostId>() else { return Ok(()) };
        match event.decode::<PostEvent>()? {
            // Of a thread, its first part.
            PostEvent::Published { channel, remote_id, part: None | Some(0), at, .. } => {
                watch::add_post(tx, channel, (post, &remote_id), at, at + FIRST_LOOK).await?;
                set_timer(event, channel, tx).await
            }
            // It is gone from our lists. A timer that finds nothing due looks for what is next.
            PostEvent::Archived { .. } => Ok(watch::drop_post(tx, post).await?),
            _ => Ok(()),
        }
    }
}

async fn of_channel(
    event: &RecordedEvent,
    channel: IntegrationId,
    tx: &mut Transaction<'static, Postgres>,
) -> Result<(), ReactError> {
    let since: DateTime<Utc> = match event.decode::<IntegrationEvent>()? {
        IntegrationEvent::Connected { at, .. } | IntegrationEvent::Reconnected { at, .. } => at,
        IntegrationEvent::Enabled {} => event.recorded_at,
        IntegrationEvent::Disconnected { .. } => {
            watch::drop_channel(tx, channel).await?;
            return Ok(timers::cancel(tx, KIND, &channel.to_string()).await?);
        }
        _ => return Ok(()),
    };
    watch::add_account(tx, channel, since).await?;
    set_timer(event, channel, tx).await
}

/// For what of the channel is due first.
async fn set_timer(
    event: &RecordedEvent,
    channel: IntegrationId,
    tx: &mut Transaction<'static, Postgres>,
) -> Result<(), ReactError> {
    let Some(due_at) = watch::next(tx, channel).await? else { return Ok(()) };
    let due = Due { channel, correlation: event.metadata.correlation_id };
    let timer = NewTimer {
        kind: KIND,
        key: channel.to_string(),
        due_at,
        payload: serde_json::to_value(due)?,
        caused_by: event.event_id,
        organization_id: event.metadata.organization_id,
    };
    Ok(timers::schedule(tx, timer).await?)
}
