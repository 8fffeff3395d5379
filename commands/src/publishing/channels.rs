//! Connecting, changing and disconnecting channels.

use std::{sync::Arc, time::Duration};

use annals_domain::{
    kernel::{IntegrationId, OrganizationId, Owner, Secret, UserId},
    publishing::{
        Integration, IntegrationCommand, IntegrationError, IntegrationStatus,
        integration::{Account, Label},
    },
};
use annals_eventstore::ClaimKey;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::PublishingRefusal;
use crate::{
    bus::{CommandBus, CommandError, Context, Outcome, Work},
    ports::social::{ConnectRequest, ConnectedAccount, Platforms, ProviderError, SocialProvider},
};

/// A sign-in may take this long; providers themselves end sooner.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(30);

/// Commands on channels.
#[derive(Clone)]
pub struct Channels {
    bus: CommandBus,
    platforms: Platforms,
}

/// A channel to connect.
#[derive(Clone, Debug)]
pub struct NewChannel {
    pub organization: OrganizationId,
    pub by: UserId,
    pub platform: String,
    /// The platform's name for the account if none is given.
    pub name: Option<Label>,
    pub credentials: Value,
}

/// A change of a channel that needs no platform.
#[derive(Clone, Debug)]
pub enum ChannelChange {
    Rename(Label),
    Group { group: Option<Label>, customer: Option<Label> },
    Enable,
    Disable,
}

impl ChannelChange {
    fn name(&self) -> &'static str {
        match self {
            Self::Rename(_) => "RenameChannel",
            Self::Group { .. } => "GroupChannel",
            Self::Enable => "EnableChannel",
            Self::Disable => "DisableChannel",
        }
    }

    fn command(&self) -> IntegrationCommand {
        match self.clone() {
            Self::Rename(name) => IntegrationCommand::Rename { name },
            Self::Group { group, customer } => IntegrationCommand::Group { group, customer },
            Self::Enable => IntegrationCommand::Enable,
            Self::Disable => IntegrationCommand::Disable,
        }
    }
}

impl Channels {
    pub fn new(bus: CommandBus, platforms: Platforms) -> Self {
        Self { bus, platforms }
    }

    pub fn bus(&self) -> &CommandBus {
        &self.bus
    }

    /// Signs in at the platform and connects the account. An account whose access was lost is
    /// connected again under its old id; one that is connected already is refused.
    ///
    /// # Errors
    /// [`PublishingRefusal`] of the platform, [`IntegrationError::AlreadyConnected`], or the bus's own.
    pub async fn connect(
        &self,
        context: &Context,
        channel: NewChannel,
    ) -> Result<Outcome<IntegrationId>, CommandError> {
        let Some(provider) = self.platforms.get(&channel.platform).cloned() else {
            return Err(CommandError::refused(PublishingRefusal::UnknownPlatform));
        };
        let sign_in = Arc::new(SignIn {
            id: IntegrationId::new(Uuid::now_v7()),
            provider,
            channel,
            answered: OnceCell::new(),
        });
        let store = self.bus.store().clone();
        let mut outcome = self
            .bus
            .transact(context, "ConnectChannel", move |work| {
                let (sign_in, store) = (Arc::clone(&sign_in), store.clone());
                Box::pin(async move {
                    let account = sign_in.account().await?;
                    let key = account_claim(&store, &sign_in.channel, &account.remote_id);
                    let id = sign_in.connect(work, account, key).await?;
                    work.result(json!({ "id": id }));
                    Ok(id)
                })
            })
            .await?;
        if outcome.value.is_none() {
            // The answer to a retry under the same idempotency key.
            outcome.value = serde_json::from_value(outcome.receipt.result["id"].clone()).ok();
        }
        Ok(outcome)
    }

    /// # Errors
    /// [`IntegrationError`], or the bus's own.
    pub async fn change(
        &self,
        context: &Context,
        organization: OrganizationId,
        id: IntegrationId,
        change: ChannelChange,
    ) -> Result<Outcome<()>, CommandError> {
        let name = change.name();
        self.bus
            .transact(context, name, move |work| {
                let command = change.command();
                Box::pin(async move {
                    channel_of(work, organization, id).await?;
                    work.execute::<Integration>(id, command).await
                })
            })
            .await
    }

    /// Disconnects a channel: its credentials' key is destroyed with the same append.
    ///
    /// # Errors
    /// [`IntegrationError::NotFound`], or the bus's own.
    pub async fn disconnect(
        &self,
        context: &Context,
        organization: OrganizationId,
        id: IntegrationId,
    ) -> Result<Outcome<()>, CommandError> {
        let store = self.bus.store().clone();
        self.bus
            .transact(context, "DisconnectChannel", move |work| {
                let store = store.clone();
                Box::pin(async move {
                    let channel = channel_of(work, organization, id).await?;
                    let now = work.now();
                    work.execute::<Integration>(id, IntegrationCommand::Disconnect { now }).await?;
                    if let Some(account) = channel.account() {
                        let key = claim_key(&store, organization, channel.platform(), &account.remote_id);
                        work.release_claim(key, id);
                    }
                    work.forget(Owner::from(id).as_str());
                    Ok(())
                })
            })
            .await
    }
}

/// A channel that is there for the organization.
///
/// # Errors
/// [`IntegrationError::NotFound`], also for another organization's.
pub(super) async fn channel_of(
    work: &mut Work,
    organization: OrganizationId,
    id: IntegrationId,
) -> Result<Arc<Integration>, CommandError> {
    let channel = work.load::<Integration>(id).await?;
    if channel.exists() && channel.organization() == organization {
        Ok(channel)
    } else {
        Err(CommandError::refused(IntegrationError::NotFound))
    }
}

/// One sign-in, however often the command decides.
struct SignIn {
    /// Made first: the platform and the seal of the credentials are told it.
    id: IntegrationId,
    provider: Arc<dyn SocialProvider>,
    channel: NewChannel,
    answered: OnceCell<ConnectedAccount>,
}

impl SignIn {
    async fn account(&self) -> Result<&ConnectedAccount, CommandError> {
        let platform = self.provider.info().name;
        self.answered
            .get_or_try_init(|| async {
                let request = ConnectRequest {
                    channel: self.id,
                    name: self.channel.name.as_ref().map(|name| name.as_str().to_string()),
                    credentials: self.channel.credentials.clone(),
                };
                tokio::time::timeout(SIGN_IN_TIMEOUT, self.provider.authenticate(request))
                    .await
                    .unwrap_or_else(|_| Err(timed_out()))
            })
            .await
            .map_err(|error| CommandError::refused(PublishingRefusal::of_sign_in(platform, &error)))
    }

    /// Decides whether the account is new, comes back, or is here already.
    async fn connect(
        &self,
        work: &mut Work,
        answered: &ConnectedAccount,
        key: ClaimKey,
    ) -> Result<IntegrationId, CommandError> {
        let holder = work.claim_holder(&key).await?;
        let (now, by) = (work.now(), self.channel.by);
        let account = self.described(answered);
        let Some(known) = holder.and_then(|holder| holder.parse::<IntegrationId>().ok()) else {
            let credentials = Secret::new(self.id, answered.credentials.clone());
            let (organization, platform) = (self.channel.organization, self.channel.platform.clone());
            work.take_claim(key, self.id);
            let command =
                IntegrationCommand::Connect { organization, platform, account, credentials, by, now };
            work.execute::<Integration>(self.id, command).await?;
            return Ok(self.id);
        };
        if work.load::<Integration>(known).await?.status() != IntegrationStatus::Expired {
            return Err(CommandError::refused(IntegrationError::AlreadyConnected));
        }
        let credentials = Secret::new(known, answered.credentials.clone());
        let command = IntegrationCommand::Reconnect { account, credentials, by, now };
        work.execute::<Integration>(known, command).await?;
        Ok(known)
    }

    fn described(&self, answered: &ConnectedAccount) -> Account {
        let given = self.channel.name.as_ref().map(|name| name.as_str().to_string());
        Account {
            remote_id: answered.remote_id.clone(),
            name: given.unwrap_or_else(|| answered.name.clone()),
            handle: answered.handle.clone(),
            url: answered.url.clone(),
            picture: answered.picture.clone(),
        }
    }
}

fn timed_out() -> ProviderError {
    ProviderError::new(
        crate::ports::social::FailureClass::Retry,
        format!("it did not answer within {} s", SIGN_IN_TIMEOUT.as_secs()),
    )
}

fn account_claim(store: &annals_eventstore::EventStore, channel: &NewChannel, remote_id: &str) -> ClaimKey {
    claim_key(store, channel.organization, &channel.platform, remote_id)
}

/// Claims of accounts on platforms.
pub(crate) const ACCOUNT_CLAIMS: &str = "publishing.account";

/// One account of a platform is connected once in an organization. What a platform calls an
/// account may be personal, so the key is hashed.
pub(crate) fn claim_key(
    store: &annals_eventstore::EventStore,
    organization: OrganizationId,
    platform: &str,
    remote_id: &str,
) -> ClaimKey {
    store.claim_key(ACCOUNT_CLAIMS, &format!("{organization}\n{platform}\n{remote_id}"))
}
