//! Keeps channels' credentials from ending: refreshed before they do, by a durable timer, or by hand.

use std::time::Duration;

use annals_domain::{
    kernel::{IntegrationId, OrganizationId},
    publishing::{Integration, IntegrationCommand, IntegrationError, IntegrationEvent, IntegrationStatus},
};
use annals_eventstore::{Actor, ActorKind, Filter, RecordedEvent, Source};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{PublishingRefusal, publish, reach::Reach};
use crate::{
    bus::{CommandBus, CommandError, Context},
    ports::social::{ChannelAccess, FailureClass, Platforms, ProviderError, SocialProvider},
    process::{ProcessManager, ReactError, Start},
    timers::{self, Fired, NewTimer, Timer, TimerHandler},
};

const KIND: &str = "publishing.refresh";
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// A refresh that did not come through is tried again after so long, for as long as the channel is there.
const PAUSE: TimeDelta = TimeDelta::minutes(2);
/// Credentials that end at once are not refreshed more often than this.
const LIVED_MIN: TimeDelta = TimeDelta::seconds(30);

/// What a timer is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Due {
    channel: IntegrationId,
    /// When the credentials were given.
    since: DateTime<Utc>,
    correlation: Uuid,
}

/// The process manager that sets the timers; and lets the posts go that waited for a channel to come back.
#[derive(Clone, Copy, Debug, Default)]
pub struct CredentialsKeeper;

#[async_trait]
impl ProcessManager for CredentialsKeeper {
    const NAME: &'static str = "publishing.credentials";

    // Timers are hints: one for a channel that is gone finds nothing to do.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        let event_types = [
            "publishing.integration.connected",
            "publishing.integration.reconnected",
            "publishing.integration.credentials_refreshed",
            "publishing.integration.access_lost",
            "publishing.integration.disconnected",
        ];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let Ok(channel) = event.stream.aggregate_id.parse::<IntegrationId>() else { return Ok(()) };
        let since = match event.decode::<IntegrationEvent>()? {
            IntegrationEvent::Reconnected { at, .. } => {
                publish::release_held(tx, channel, at).await?;
                at
            }
            IntegrationEvent::Connected { at, .. } | IntegrationEvent::CredentialsRefreshed { at, .. } => at,
            _ => return Ok(timers::cancel(tx, KIND, &channel.to_string()).await?),
        };
        let due = Due { channel, since, correlation: event.metadata.correlation_id };
        let timer = NewTimer {
            kind: KIND,
            key: channel.to_string(),
            // What it waits for is sealed: the handler looks, and waits on if there is something to wait for.
            due_at: since,
            payload: serde_json::to_value(due)?,
            caused_by: event.event_id,
            organization_id: event.metadata.organization_id,
        };
        Ok(timers::schedule(tx, timer).await?)
    }
}

/// The handler of those timers.
pub struct RefreshTimer {
    bus: CommandBus,
    reach: Reach,
}

impl RefreshTimer {
    pub fn new(bus: CommandBus, platforms: Platforms) -> Self {
        let reach = Reach::new(bus.clone(), platforms, CALL_TIMEOUT);
        Self { bus, reach }
    }
}

#[async_trait]
impl TimerHandler for RefreshTimer {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn fire(&self, timer: &Timer) -> Fired {
        let due: Due = match serde_json::from_value(timer.payload.clone()) {
            Ok(due) => due,
            Err(error) => return Fired::Park { reason: format!("its payload can't be read: {error}") },
        };
        let now = self.bus.now();
        let channel = match self.bus.load::<Integration>(due.channel).await {
            Ok(loaded) => loaded.state,
            Err(error) => {
                tracing::warn!(channel.id = %due.channel, %error, "a refresh is put off: the log can't be read");
                return Fired::Later { due_at: now + PAUSE };
            }
        };
        let Some(expires_at) = self.reach.expires_at(&channel) else { return Fired::Done };
        let refresh_at = refresh_at(due.since, expires_at);
        if now < refresh_at {
            return Fired::Later { due_at: refresh_at };
        }
        let actor = Actor { kind: ActorKind::Process, id: Some(KIND.to_string()) };
        let context = Context {
            correlation_id: due.correlation,
            causation_id: Some(timer.caused_by),
            ..Context::new(actor, timer.organization_id, Source::Worker)
        };
        match self.reach.refresh(&context, due.channel, &channel).await {
            Ok(()) => Fired::Done,
            Err(error) if error.class == FailureClass::Disconnected => Fired::Done,
            Err(error) => {
                tracing::warn!(channel.id = %due.channel, platform = channel.platform(), %error,
                    "a channel's access could not be refreshed, trying again");
                let pause = error.retry_after.and_then(|pause| TimeDelta::from_std(pause).ok());
                Fired::Later { due_at: now + pause.unwrap_or(PAUSE).max(PAUSE) }
            }
        }
    }
}

/// When four fifths of their life are over.
fn refresh_at(since: DateTime<Utc>, expires_at: DateTime<Utc>) -> DateTime<Utc> {
    (expires_at - (expires_at - since) / 5).max(since + LIVED_MIN)
}

impl Reach {
    /// When a channel's credentials end, if it is there, has some, and they do.
    fn expires_at(&self, channel: &Integration) -> Option<DateTime<Utc>> {
        let in_use = matches!(channel.status(), IntegrationStatus::Connected | IntegrationStatus::Disabled);
        let provider = self.provider(channel.platform()).filter(|_| in_use)?;
        provider.expires_at(channel.credentials()?)
    }

    /// New credentials, recorded. Where the platform refuses for good, that access is lost is recorded: its
    /// owner has to let us in again, and posts wait for that.
    async fn refresh(
        &self,
        context: &Context,
        id: IntegrationId,
        channel: &Integration,
    ) -> Result<(), ProviderError> {
        let gone = || ProviderError::new(FailureClass::Unsupported, "the channel can't be refreshed");
        let reached = self.reached(id, channel).ok_or_else(gone)?;
        match self.renew(context, &reached).await {
            Ok(credentials) => {
                let access = ChannelAccess { credentials, ..reached.access };
                self.note_limits(context, &*reached.provider, &access).await;
                Ok(())
            }
            Err(error) => {
                if error.class == FailureClass::Disconnected {
                    self.lose_access(context, id, error.message.clone()).await?;
                }
                Err(error)
            }
        }
    }

    /// What the account's own server takes by now. That it does not say so does no harm: what is known stays.
    async fn note_limits(&self, context: &Context, provider: &dyn SocialProvider, access: &ChannelAccess) {
        let limits = match tokio::time::timeout(CALL_TIMEOUT, provider.server_limits(access)).await {
            Ok(Ok(Some(limits))) => limits,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => {
                tracing::warn!(channel.id = %access.id, %error, "an account's server does not say what it takes");
                return;
            }
            Err(_) => return,
        };
        let context = Context { idempotency: None, expected_version: None, ..context.clone() };
        let command = IntegrationCommand::NoteLimits { limits, now: self.bus().now() };
        let noted = self.bus().execute::<Integration>(&context, "NoteServerLimits", access.id, command).await;
        if let Err(error) = noted {
            tracing::warn!(channel.id = %access.id, %error, "what an account's server takes could not be recorded");
        }
    }

    pub(super) async fn lose_access(
        &self,
        context: &Context,
        id: IntegrationId,
        reason: String,
    ) -> Result<(), ProviderError> {
        let context = Context { idempotency: None, expected_version: None, ..context.clone() };
        let command = IntegrationCommand::LoseAccess { reason, now: self.bus().now() };
        match self.bus().execute::<Integration>(&context, "LoseAccess", id, command).await {
            Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
            Err(error) => {
                let message = "that access is lost could not be recorded";
                Err(ProviderError::new(FailureClass::Retry, message).caused_by(error))
            }
        }
    }
}

impl super::Channels {
    /// New credentials from the platform at once, whether or not the old ones are about to end.
    ///
    /// # Errors
    /// [`IntegrationError::NotFound`], [`IntegrationError::Expired`] if the owner has to let us in again,
    /// [`PublishingRefusal::PlatformUnavailable`], or the bus's own.
    pub async fn refresh(
        &self,
        context: &Context,
        organization: OrganizationId,
        id: IntegrationId,
    ) -> Result<(), CommandError> {
        let channel = self.bus().load::<Integration>(id).await?.state;
        if !channel.exists() || channel.organization() != organization {
            return Err(CommandError::refused(IntegrationError::NotFound));
        }
        if channel.status() == IntegrationStatus::Expired {
            return Err(CommandError::refused(IntegrationError::Expired));
        }
        let provider = self.provider(channel.platform())?;
        let reach = Reach::new(self.bus().clone(), self.platforms().clone(), CALL_TIMEOUT);
        reach.refresh(context, id, &channel).await.map_err(|error| match error.class {
            FailureClass::Disconnected => CommandError::refused(IntegrationError::Expired),
            _ => CommandError::refused(PublishingRefusal::PlatformUnavailable {
                platform: provider.info().name,
                message: error.message,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_refreshed_when_four_fifths_of_their_life_are_over_and_never_in_a_circle() {
        let since: DateTime<Utc> = "2026-05-01T09:00:00Z".parse().expect("a time");
        assert_eq!(refresh_at(since, since + TimeDelta::minutes(100)), since + TimeDelta::minutes(80));
        assert_eq!(refresh_at(since, since), since + LIVED_MIN);
        assert_eq!(refresh_at(since, since - TimeDelta::days(1)), since + LIVED_MIN);
    }
}
