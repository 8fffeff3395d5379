//! Channels and API keys of before anybody counted them are noted, so that they count too.

use annals_domain::{
    identity::{ApiKey, ApiKeyEvent, Held, Holdings, HoldingsCommand, Organization},
    kernel::OrganizationId,
    publishing::{Integration, IntegrationEvent},
};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use sqlx::{Postgres, Transaction};

use crate::{
    bus::{CommandBus, CommandError, Context, Work},
    process::{ProcessManager, ReactError, Start},
};

const CONNECTED: &str = "publishing.integration.connected";
const CREATED: &str = "identity.api_key.created";

/// The process manager that notes them. What is connected or made today is counted in the same append, so
/// that it finds nothing to do.
pub struct HoldingsKeeper {
    bus: CommandBus,
}

impl HoldingsKeeper {
    pub fn new(bus: CommandBus) -> Self {
        Self { bus }
    }
}

#[async_trait]
impl ProcessManager for HoldingsKeeper {
    const NAME: &'static str = "identity.holdings";

    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        Filter { event_types: [CONNECTED, CREATED].map(String::from).to_vec(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        _tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let Some((organization, held)) = subject(event)? else { return Ok(()) };
        if self.bus.load::<Holdings>(organization).await?.state.has(held) {
            return Ok(());
        }
        let mut context = Context::process(Self::NAME, event, "note");
        context.organization_id = Some(organization.uuid());
        let noted = self.bus.transact(&context, "NoteHolding", move |work| {
            Box::pin(async move {
                if is_there(work, organization, held).await? {
                    work.execute::<Holdings>(organization, HoldingsCommand::Note { held }).await?;
                }
                Ok(())
            })
        });
        noted.await?;
        Ok(())
    }
}

fn subject(event: &RecordedEvent) -> Result<Option<(OrganizationId, Held)>, ReactError> {
    let id = &event.stream.aggregate_id;
    Ok(match event.event_type.as_str() {
        CONNECTED => match event.decode()? {
            IntegrationEvent::Connected { organization_id, .. } => {
                id.parse().ok().map(|id| (organization_id, Held::Channel(id)))
            }
            _ => None,
        },
        _ => match event.decode()? {
            ApiKeyEvent::Created { organization_id, .. } => {
                id.parse().ok().map(|id| (organization_id, Held::ApiKey(id)))
            }
            _ => None,
        },
    })
}

/// Whether it still is: a channel may have been disconnected, a key revoked, its creator gone.
async fn is_there(work: &mut Work, organization: OrganizationId, held: Held) -> Result<bool, CommandError> {
    match held {
        Held::Channel(id) => Ok(work.load::<Integration>(id).await?.exists()),
        Held::ApiKey(id) => {
            let key = work.load::<ApiKey>(id).await?;
            let creator = work.load::<Organization>(organization).await?.role_of(key.user_id);
            Ok(key.is_active() && creator.is_some())
        }
    }
}
