//! Reaching a channel's platform: its credentials opened, renewed when they have run out, and
//! every call bounded in time.

use std::{sync::Arc, time::Duration};

use annals_domain::{
    kernel::{IntegrationId, PostId, Secret},
    publishing::{
        Integration, IntegrationCommand, IntegrationStatus, Post,
        post::{Failure, FailureClass as Why},
    },
};
use futures::future::BoxFuture;
use moka::sync::Cache;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    bus::{CommandBus, CommandError, Context},
    ports::social::{
        Attachment, ChannelAccess, FailureClass, Lookup, OutgoingPart, OutgoingPost, Platforms,
        ProviderError, PublishHandle, Published, SocialProvider,
    },
};

/// Channels whose credentials may be being renewed on this node.
const RENEWALS_MAX: u64 = 10_000;

/// Platforms as the write side reaches them. Cheap to clone.
#[derive(Clone)]
pub struct Reach {
    bus: CommandBus,
    platforms: Platforms,
    call_timeout: Duration,
    /// One renewal of a channel's credentials at a time: a refresh token is often good only once.
    renewals: Cache<IntegrationId, Arc<Mutex<()>>>,
}

/// A channel and its platform, ready to be called.
#[derive(Clone)]
pub(super) struct Reached {
    pub(super) provider: Arc<dyn SocialProvider>,
    pub(super) access: ChannelAccess,
}

/// A post on its way to one channel.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    pub(super) handle: PublishHandle,
    pub(super) outgoing: OutgoingPost,
}

/// Why a channel can't be used, if it can't.
pub(super) fn usable(channel: &Integration) -> Result<&Value, Failure> {
    let off = |class, reason: &str, what_to_do: &str| {
        Err(Failure { class, reason: reason.to_string(), what_to_do: what_to_do.to_string() })
    };
    match channel.status() {
        IntegrationStatus::Connected => match channel.credentials() {
            Some(credentials) => Ok(credentials),
            None => off(Why::Disconnected, "the channel has no credentials", "connect it again, then retry"),
        },
        IntegrationStatus::Disabled => {
            off(Why::ChannelOff, "the channel is switched off", "enable it, then retry")
        }
        IntegrationStatus::Expired => off(
            Why::Disconnected,
            "the platform no longer lets us in",
            "connect the channel again, then retry",
        ),
        IntegrationStatus::None | IntegrationStatus::Disconnected => {
            off(Why::ChannelOff, "the channel was disconnected", "connect it again and write a new post")
        }
    }
}

/// What is sent to a channel, and under which handle: of a thread, the next part, with those that stand.
/// `files` are those of the part to be sent. `None` if the post does not go there.
pub(super) fn errand(
    id: PostId,
    post: &Post,
    channel: IntegrationId,
    files: Vec<Attachment>,
) -> Option<Errand> {
    let parts = post.composition().parts_for(channel)?;
    let standing: Vec<_> = post
        .deliveries()
        .get(&channel)?
        .standing
        .iter()
        .map(|part| Published { remote_id: part.remote_id.clone(), url: part.url.clone() })
        .collect();
    let mut parts: Vec<_> = parts
        .into_iter()
        .take(standing.len() + 1)
        .map(|part| OutgoingPart::from(part.text.into_string()))
        .collect();
    if let Some(next) = parts.get_mut(standing.len()) {
        next.attachments = files;
    }
    let at = post.schedule()?.at;
    let settings = post.composition().settings_for(channel).as_map().clone();
    let handle = PublishHandle { post: id, channel, occurrence: 0 };
    Some(Errand { handle, outgoing: OutgoingPost { parts, standing, at, settings } })
}

impl Reach {
    /// `call_timeout` bounds one call to a platform.
    pub fn new(bus: CommandBus, platforms: Platforms, call_timeout: Duration) -> Self {
        let renewals =
            Cache::builder().max_capacity(RENEWALS_MAX).time_to_idle(Duration::from_secs(600)).build();
        Self { bus, platforms, call_timeout, renewals }
    }

    /// The platform and the opened credentials of a channel.
    pub(super) fn reach(&self, id: IntegrationId, channel: &Integration) -> Result<Reached, Failure> {
        let credentials = usable(channel)?.clone();
        let Some(provider) = self.platforms.get(channel.platform()).cloned() else {
            return Err(Failure {
                class: Why::Unsupported,
                reason: format!("this installation no longer has the platform {}", channel.platform()),
                what_to_do: "ask the operator to bring it back, then retry".to_string(),
            });
        };
        Ok(Reached { provider, access: access(id, channel, credentials) })
    }

    /// The same for a refresh, which a channel that is switched off needs too.
    pub(super) fn reached(&self, id: IntegrationId, channel: &Integration) -> Option<Reached> {
        let provider = self.provider(channel.platform())?;
        let credentials = channel.credentials()?.clone();
        Some(Reached { provider, access: access(id, channel, credentials) })
    }

    pub(super) fn provider(&self, platform: &str) -> Option<Arc<dyn SocialProvider>> {
        self.platforms.get(platform).cloned()
    }

    pub(super) fn bus(&self) -> &CommandBus {
        &self.bus
    }

    pub(super) async fn publish(
        &self,
        context: &Context,
        reached: Reached,
        errand: &Errand,
    ) -> Result<Published, ProviderError> {
        self.call(context, reached, |to: Reached| {
            Box::pin(async move { to.provider.publish(&to.access, errand.handle, &errand.outgoing).await })
        })
        .await
    }

    pub(super) async fn find(
        &self,
        context: &Context,
        reached: Reached,
        errand: &Errand,
    ) -> Result<Lookup, ProviderError> {
        self.call(context, reached, |to: Reached| {
            Box::pin(async move { to.provider.find(&to.access, errand.handle, &errand.outgoing).await })
        })
        .await
    }

    /// A call; if the platform asks for fresh credentials, it did not act: once more with those.
    pub(super) async fn call<'e, T, F>(
        &self,
        context: &Context,
        mut reached: Reached,
        make: F,
    ) -> Result<T, ProviderError>
    where
        F: Fn(Reached) -> BoxFuture<'e, Result<T, ProviderError>>,
    {
        match self.bounded(make(reached.clone())).await {
            Err(error) if error.class == FailureClass::RefreshToken => {
                reached.access.credentials = self.renew(context, &reached).await?;
            }
            answered => return answered,
        }
        match self.bounded(make(reached)).await {
            Err(error) if error.class == FailureClass::RefreshToken => {
                // Fresh credentials, and still not let in.
                Err(ProviderError { class: FailureClass::Disconnected, ..error })
            }
            answered => answered,
        }
    }

    async fn bounded<T>(&self, call: BoxFuture<'_, Result<T, ProviderError>>) -> Result<T, ProviderError> {
        tokio::time::timeout(self.call_timeout, call).await.unwrap_or_else(|_| {
            let message = format!("the platform did not answer within {} s", self.call_timeout.as_secs_f32());
            Err(ProviderError::new(FailureClass::OutcomeUnknown, message))
        })
    }

    /// New credentials, recorded before they are used: the old ones may be void from now on.
    pub(super) async fn renew(&self, context: &Context, reached: &Reached) -> Result<Value, ProviderError> {
        let id = reached.access.id;
        let lock = self.renewals.get_with(id, Arc::default);
        let _one_at_a_time = lock.lock().await;
        let used = &reached.access.credentials;
        if let Some(newer) = self.newer_credentials(id, used).await? {
            return Ok(newer);
        }
        let refreshed = self.bounded(reached.provider.refresh(&reached.access)).await;
        match refreshed {
            Ok(fresh) if !is_nothing(&fresh) => {
                self.record_credentials(context, id, fresh.clone()).await?;
                Ok(fresh)
            }
            Ok(_) => Err(ProviderError::new(
                FailureClass::Retry,
                "the platform answered a refresh of the access without new credentials",
            )),
            Err(error) => {
                // Another node may have been faster, which voided what we used.
                if let Some(newer) = self.newer_credentials(id, used).await? {
                    return Ok(newer);
                }
                Err(as_refresh_failure(error))
            }
        }
    }

    async fn newer_credentials(
        &self,
        id: IntegrationId,
        used: &Value,
    ) -> Result<Option<Value>, ProviderError> {
        let loaded = self.bus.load::<Integration>(id).await.map_err(log_failed)?;
        Ok(loaded.state.credentials().filter(|known| *known != used).cloned())
    }

    async fn record_credentials(
        &self,
        context: &Context,
        id: IntegrationId,
        credentials: Value,
    ) -> Result<(), ProviderError> {
        let context = Context { idempotency: None, expected_version: None, ..context.clone() };
        let credentials = Secret::new(id, credentials);
        let command = IntegrationCommand::RefreshCredentials { credentials, now: self.bus.now() };
        self.bus
            .execute::<Integration>(&context, "RefreshChannelCredentials", id, command)
            .await
            .map(|_| ())
            .map_err(log_failed)
    }
}

fn access(id: IntegrationId, channel: &Integration, credentials: Value) -> ChannelAccess {
    let account = channel.account();
    ChannelAccess {
        id,
        name: account.map(|account| account.name.clone()).unwrap_or_default(),
        credentials,
        url: account.and_then(|account| account.url.clone()),
    }
}

/// A refresh does not publish: when its answer is lost, nothing was published.
fn as_refresh_failure(error: ProviderError) -> ProviderError {
    let class = match error.class {
        FailureClass::OutcomeUnknown => FailureClass::Retry,
        FailureClass::RefreshToken | FailureClass::BadContent | FailureClass::Unsupported => {
            FailureClass::Disconnected
        }
        class => class,
    };
    ProviderError { class, ..error }
}

fn is_nothing(credentials: &Value) -> bool {
    match credentials {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn log_failed(error: CommandError) -> ProviderError {
    ProviderError::new(FailureClass::Retry, "the channel's credentials could not be read or kept")
        .caused_by(error)
}
