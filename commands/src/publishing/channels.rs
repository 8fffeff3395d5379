//! Connecting, changing and disconnecting channels.

use std::{sync::Arc, time::Duration};

use annals_domain::{
    identity::{Held, Holdings, HoldingsCommand},
    kernel::{IntegrationId, OrganizationId, Owner, Quota, Secret, UserId},
    publishing::{
        Integration, IntegrationCommand, IntegrationError, IntegrationStatus,
        integration::{Account, Label, ServerLimits},
    },
};
use annals_eventstore::ClaimKey;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::PublishingRefusal;
use crate::{
    bus::{CommandBus, CommandError, Context, Outcome, Work},
    ports::social::{
        AuthorizationGrant, ChannelAccess, ConnectRequest, ConnectedAccount, FailureClass, OAuth2Platform,
        Platforms, ProviderError, SocialProvider,
    },
    tiers,
};

/// A sign-in may take this long; providers themselves end sooner.
pub(super) const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(30);

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

    pub(super) fn platforms(&self) -> &Platforms {
        &self.platforms
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
        let provider = self.provider(&channel.platform)?;
        let presented = Presented::Credentials(channel.credentials.clone());
        self.sign_in(context, provider, channel, presented).await
    }

    pub(super) fn provider(&self, platform: &str) -> Result<Arc<dyn SocialProvider>, CommandError> {
        let unknown = || CommandError::refused(PublishingRefusal::UnknownPlatform);
        self.platforms.get(platform).cloned().ok_or_else(unknown)
    }

    pub(super) async fn sign_in(
        &self,
        context: &Context,
        provider: Arc<dyn SocialProvider>,
        channel: NewChannel,
        presented: Presented,
    ) -> Result<Outcome<IntegrationId>, CommandError> {
        let id = IntegrationId::new(Uuid::now_v7());
        let sign_in = Arc::new(SignIn { id, provider, channel, presented, answered: OnceCell::new() });
        let store = self.bus.store().clone();
        let mut outcome = self
            .bus
            .transact(context, "ConnectChannel", move |work| {
                let (sign_in, store) = (Arc::clone(&sign_in), store.clone());
                Box::pin(async move {
                    let Answered { account, limits } = sign_in.answered().await?;
                    let key = account_claim(&store, &sign_in.channel, &account.remote_id);
                    let id = sign_in.connect(work, account, key).await?;
                    if let Some(limits) = limits.clone() {
                        let command = IntegrationCommand::NoteLimits { limits, now: work.now() };
                        work.execute::<Integration>(id, command).await?;
                    }
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
                    let remove = HoldingsCommand::Remove { held: Held::Channel(id) };
                    work.execute::<Holdings>(organization, remove).await?;
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

/// What a person shows the platform.
pub(super) enum Presented {
    Credentials(Value),
    /// They let us in at the platform itself, after what was prepared there.
    Grant {
        prepared: Value,
        grant: AuthorizationGrant,
    },
}

/// What the platform said.
struct Answered {
    account: ConnectedAccount,
    limits: Option<ServerLimits>,
}

/// One sign-in, however often the command decides.
struct SignIn {
    /// Made first: the platform and the seal of the credentials are told it.
    id: IntegrationId,
    provider: Arc<dyn SocialProvider>,
    channel: NewChannel,
    presented: Presented,
    answered: OnceCell<Answered>,
}

impl SignIn {
    async fn answered(&self) -> Result<&Answered, CommandError> {
        let platform = self.provider.info().name;
        self.answered
            .get_or_try_init(|| async {
                let account = tokio::time::timeout(SIGN_IN_TIMEOUT, self.present())
                    .await
                    .unwrap_or_else(|_| Err(timed_out()))?;
                let limits = self.limits(&account).await;
                Ok(Answered { account, limits })
            })
            .await
            .map_err(|error| CommandError::refused(PublishingRefusal::of_sign_in(platform, &error)))
    }

    /// What the account's own server takes. One that does not say is taken to be like the others.
    async fn limits(&self, account: &ConnectedAccount) -> Option<ServerLimits> {
        let access = ChannelAccess {
            id: self.id,
            name: account.name.clone(),
            credentials: account.credentials.clone(),
            url: account.url.clone(),
        };
        let asked = tokio::time::timeout(SIGN_IN_TIMEOUT, self.provider.server_limits(&access)).await;
        asked.unwrap_or_else(|_| Err(timed_out())).unwrap_or_else(|error| {
            tracing::warn!(channel.id = %self.id, %error, "an account's server does not say what it takes");
            None
        })
    }

    async fn present(&self) -> Result<ConnectedAccount, ProviderError> {
        match &self.presented {
            Presented::Credentials(credentials) => {
                let request = ConnectRequest {
                    channel: self.id,
                    name: self.channel.name.as_ref().map(|name| name.as_str().to_string()),
                    credentials: credentials.clone(),
                };
                self.provider.authenticate(request).await
            }
            Presented::Grant { prepared, grant } => {
                let platform = oauth2(&*self.provider)?;
                platform.complete(prepared.clone(), grant.clone()).await
            }
        }
    }

    /// Whether an account that is here already gets these credentials in place of its own: when access was
    /// lost, and when its owner has just let us in again.
    fn renews(&self, status: IntegrationStatus) -> bool {
        match status {
            IntegrationStatus::Expired => true,
            IntegrationStatus::Connected => matches!(self.presented, Presented::Grant { .. }),
            _ => false,
        }
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
            let allowance = tiers::allowance(work, organization, Quota::Channels).await?;
            let add = HoldingsCommand::Add { held: Held::Channel(self.id), allowance };
            work.execute::<Holdings>(organization, add).await?;
            return Ok(self.id);
        };
        if !self.renews(work.load::<Integration>(known).await?.status()) {
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

/// The platform's part in an authorization, if it is connected that way.
pub(super) fn oauth2(provider: &dyn SocialProvider) -> Result<&dyn OAuth2Platform, ProviderError> {
    let none = || ProviderError::new(FailureClass::Unsupported, "this platform is connected by credentials");
    provider.oauth2().ok_or_else(none)
}

pub(super) fn timed_out() -> ProviderError {
    ProviderError::new(
        FailureClass::Retry,
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
