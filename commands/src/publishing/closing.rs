//! Disconnects the channels of an organization that was closed: nobody is left to do it, and what
//! opens their accounts must not lie about.

use std::time::Duration;

use annals_domain::{
    identity::OrganizationEvent,
    kernel::{IntegrationId, OrganizationId},
    publishing::IntegrationEvent,
};
use annals_eventstore::{Filter, HistoryQuery, Opening, RecordedEvent};
use async_trait::async_trait;
use sqlx::{Postgres, Transaction};

use super::Channels;
use crate::{
    bus::{CommandError, Context},
    process::{ProcessManager, ReactError, Start},
};

const PAGE_EVENTS: usize = 1_000;
/// How long one page is searched for: the transaction of the checkpoint must not look forgotten.
const SEARCHED_FOR: Duration = Duration::from_secs(5);

/// The process manager that clears up after an organization. Keeps nothing: closing is rare, and the log
/// knows which channels it had.
pub struct ClosedOrganizations {
    channels: Channels,
}

impl ClosedOrganizations {
    pub fn new(channels: Channels) -> Self {
        Self { channels }
    }

    /// Every channel that was ever connected for the organization before this event.
    async fn channels_of(
        &self,
        organization: OrganizationId,
        closed: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<Vec<IntegrationId>, ReactError> {
        let store = self.channels.bus().store();
        let mut query = HistoryQuery {
            to: closed.position,
            event_type: Some("publishing.integration.connected".to_string()),
            ..HistoryQuery::default()
        };
        let mut found = Vec::new();
        loop {
            let page = store.history(&query, PAGE_EVENTS, SEARCHED_FOR).await?;
            for event in store.open_events(&page.events, Opening::Nothing).await? {
                let IntegrationEvent::Connected { organization_id, .. } = event.decode()? else { continue };
                if let (true, Ok(id)) = (organization_id == organization, event.stream.aggregate_id.parse()) {
                    found.push(id);
                }
            }
            let Some(next) = page.next else { return Ok(found) };
            query.from = next;
            sqlx::query("SELECT 1").execute(&mut **tx).await?;
        }
    }
}

#[async_trait]
impl ProcessManager for ClosedOrganizations {
    const NAME: &'static str = "publishing.closed_organizations";

    // Also those that were closed before there was this; a channel that is gone is left alone.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        Filter { event_types: vec!["identity.organization.closed".to_string()], ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let Ok(organization) = event.stream.aggregate_id.parse::<OrganizationId>() else { return Ok(()) };
        let OrganizationEvent::Closed = event.decode()? else { return Ok(()) };
        for channel in self.channels_of(organization, event, tx).await? {
            let mut context = Context::process(Self::NAME, event, &channel.to_string());
            context.organization_id = Some(organization.uuid());
            match self.channels.disconnect(&context, organization, channel).await {
                // Disconnected by somebody before.
                Ok(_) | Err(CommandError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
