//! A channel's account: its figures, and whether the platform gives any.

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountCounts, FiguresError, Missing, MissingClass};
use crate::kernel::{IntegrationId, OrganizationId, named_events};

/// What is known of a channel's account in one year.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelFigures {
    of: Option<IntegrationId>,
    counts: Option<AccountCounts>,
    missing: Option<MissingClass>,
    noted_at: Option<DateTime<Utc>>,
}

impl ChannelFigures {
    /// As the platform said last.
    pub fn counts(&self) -> Option<AccountCounts> {
        self.counts
    }

    /// What kept us from reading figures when we looked last.
    pub fn missing(&self) -> Option<MissingClass> {
        self.missing
    }
}

#[derive(Clone, Debug)]
pub enum ChannelFiguresCommand {
    /// The platform was asked for figures of the channel.
    Look {
        organization: OrganizationId,
        channel: IntegrationId,
        /// None: it was not asked for the account's, or did not answer.
        account: Option<AccountCounts>,
        /// None: it answered all that it was asked for.
        missing: Option<Missing>,
        now: DateTime<Utc>,
    },
}

/// What was found out about a channel's figures, each `publishing.channel_figures.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChannelFiguresEvent {
    /// The platform was asked, for the first time on that day (UTC) or with another answer than before.
    Looked {
        organization_id: OrganizationId,
        channel_id: IntegrationId,
        /// All that it gives; none if it was not asked for the account's, or did not answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountCounts>,
        /// What kept us from reading figures.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing: Option<Missing>,
        at: DateTime<Utc>,
    },
}

named_events! {
    ChannelFiguresEvent, version "1",
    Looked => "publishing.channel_figures.looked",
}

impl ChannelFigures {
    fn decide(&self, command: ChannelFiguresCommand) -> Result<Option<ChannelFiguresEvent>, FiguresError> {
        let ChannelFiguresCommand::Look { organization, channel, account, missing, now } = command;
        if self.of.is_some_and(|of| of != channel) {
            return Err(FiguresError::OtherSubject);
        }
        let first_of_the_day = self.noted_at.is_none_or(|noted| noted.date_naive() < now.date_naive());
        let is_news = account.is_some_and(|account| self.counts != Some(account))
            || self.missing != missing.as_ref().map(|missing| missing.class);
        Ok((first_of_the_day || is_news).then_some(ChannelFiguresEvent::Looked {
            organization_id: organization,
            channel_id: channel,
            account,
            missing,
            at: now,
        }))
    }
}

impl Aggregate for ChannelFigures {
    const TYPE: &'static str = "publishing.channel_figures";
    type Command = ChannelFiguresCommand;
    type Event = ChannelFiguresEvent;
    type Error = FiguresError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ChannelFiguresCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), FiguresError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ChannelFiguresEvent) {
        let ChannelFiguresEvent::Looked { channel_id, account, missing, at, .. } = event;
        self.of = Some(channel_id);
        self.counts = account.or(self.counts);
        self.missing = missing.map(|missing| missing.class);
        self.noted_at = Some(at);
    }
}
