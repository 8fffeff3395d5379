//! A person wants what failed, or whose outcome is unknown, published after all.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use annals_domain::{
    kernel::{AttemptId, IntegrationId, PostId},
    publishing::{
        Integration, IntegrationStatus, Post, PostCommand, PostError,
        post::{DeliveryState, Failure, FailureClass, RetryBasis},
    },
};

use super::{
    Posts,
    posts::{Member, own_post},
    reach::{Reach, errand, usable},
};
use crate::{
    bus::{CommandError, Context, Outcome, Work},
    ports::social::{Lookup, Published},
};

const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// What to try again.
#[derive(Clone, Copy, Debug)]
pub struct RetryRequest {
    /// All that can be, if none is named.
    pub channel: Option<IntegrationId>,
    pub doubling: Doubling,
}

/// Whether the person accepts that a post may stand twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubling {
    Never,
    MayHappen,
}

/// What the platform said about the attempt whose outcome is unknown.
#[derive(Clone, Debug)]
enum Knowledge {
    There(Published),
    NotThere,
    Unknown,
}

type Knowing = BTreeMap<IntegrationId, (AttemptId, Knowledge)>;

impl Posts {
    /// Publishes again what failed. For an unknown outcome the platform is asked first: what is
    /// there is recorded, what is not there is published, and where it can't tell the caller has
    /// to accept that it may double.
    ///
    /// # Errors
    /// [`PostError::NothingToRetry`], [`PostError::MayDouble`], a channel that can't be used, or the bus's own.
    pub async fn retry(
        &self,
        context: &Context,
        member: Member,
        id: PostId,
        request: RetryRequest,
    ) -> Result<Outcome<()>, CommandError> {
        let knowing = Arc::new(self.ask_platforms(context, member, id, request).await?);
        self.bus
            .transact(context, "RetryPost", move |work| {
                let knowing = Arc::clone(&knowing);
                Box::pin(async move {
                    let post = own_post(work, member, id).await?;
                    refuse_held(work, &post, request).await?;
                    for channel in chosen(&post, request)? {
                        retry_channel(work, (id, &post), channel, request, &knowing).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Reads only: nothing of it is needed when the command turns out to be a replay.
    async fn ask_platforms(
        &self,
        context: &Context,
        member: Member,
        id: PostId,
        request: RetryRequest,
    ) -> Result<Knowing, CommandError> {
        let reach = Reach::new(self.bus.clone(), self.platforms.clone(), CALL_TIMEOUT);
        let context = Context { idempotency: None, expected_version: None, ..context.clone() };
        let post = self.bus.load::<Post>(id).await?.state;
        let mut knowing = Knowing::new();
        if post.organization() != member.organization {
            return Ok(knowing);
        }
        for (channel, delivery) in post.deliveries() {
            let DeliveryState::Unknown { attempt_id, .. } = delivery.state else { continue };
            if request.channel.is_some_and(|only| only != *channel) {
                continue;
            }
            let knowledge = self.ask(&reach, &context, (id, &post), *channel).await?;
            knowing.insert(*channel, (attempt_id, knowledge));
        }
        Ok(knowing)
    }

    async fn ask(
        &self,
        reach: &Reach,
        context: &Context,
        (id, post): (PostId, &Post),
        channel: IntegrationId,
    ) -> Result<Knowledge, CommandError> {
        let integration = self.bus.load::<Integration>(channel).await?.state;
        let (Ok(reached), Some(errand)) =
            (reach.reach(channel, &integration), errand(id, post, channel, Vec::new()))
        else {
            return Ok(Knowledge::Unknown);
        };
        Ok(match reach.find(context, reached, &errand).await {
            Ok(Lookup::Found(published)) => Knowledge::There(published),
            Ok(Lookup::NotFound) => Knowledge::NotThere,
            Ok(Lookup::CannotTell) | Err(_) => Knowledge::Unknown,
        })
    }
}

/// What is held waits for its channel, not for a retry: says so, and what helps.
///
/// # Errors
/// [`ChannelOff`] if nothing that is meant failed or is unknown, and some of it is held.
async fn refuse_held(work: &mut Work, post: &Post, request: RetryRequest) -> Result<(), CommandError> {
    let meant = post.deliveries().iter().filter(|(id, _)| request.channel.is_none_or(|only| only == **id));
    let meant: Vec<_> = meant.map(|(id, delivery)| (*id, delivery.state.clone())).collect();
    if meant.iter().any(|(_, state)| is_retryable(state)) {
        return Ok(());
    }
    for (channel, state) in meant {
        let waits = matches!(state, DeliveryState::Scheduled { .. });
        if waits && work.load::<Integration>(channel).await?.status() == IntegrationStatus::Expired {
            return Err(CommandError::refused(ChannelOff(Failure {
                class: FailureClass::Disconnected,
                reason: "the platform no longer lets us in".to_string(),
                what_to_do: "connect the channel again and the post is published by itself when it is due"
                    .to_string(),
            })));
        }
    }
    Ok(())
}

fn is_retryable(state: &DeliveryState) -> bool {
    matches!(state, DeliveryState::Failed { .. } | DeliveryState::Unknown { .. })
}

/// The channels that are meant, at least one.
fn chosen(post: &Post, request: RetryRequest) -> Result<Vec<IntegrationId>, CommandError> {
    if let Some(channel) = request.channel {
        return Ok(vec![channel]);
    }
    let channels: Vec<_> = post
        .deliveries()
        .iter()
        .filter(|(_, delivery)| is_retryable(&delivery.state))
        .map(|(channel, _)| *channel)
        .collect();
    if channels.is_empty() {
        return Err(CommandError::refused(PostError::NothingToRetry(post.status().as_str())));
    }
    Ok(channels)
}

async fn retry_channel(
    work: &mut Work,
    (id, post): (PostId, &Post),
    channel: IntegrationId,
    request: RetryRequest,
    knowing: &Knowing,
) -> Result<(), CommandError> {
    let now = work.now();
    let unknown = post.deliveries().get(&channel).and_then(|delivery| match delivery.state {
        DeliveryState::Unknown { attempt_id, .. } => Some(attempt_id),
        _ => None,
    });
    // What was learnt about another attempt than the one that is unknown now says nothing.
    let knowledge = unknown.and_then(|attempt_id| {
        knowing.get(&channel).filter(|(asked, _)| *asked == attempt_id).map(|(_, known)| (attempt_id, known))
    });
    if let Some((attempt_id, Knowledge::There(published))) = knowledge {
        let Published { remote_id, url } = published.clone();
        let command = PostCommand::RecordPublished { channel, attempt_id, remote_id, url, at: now };
        return work.execute::<Post>(id, command).await;
    }
    let basis = match knowledge {
        Some((_, Knowledge::NotThere)) => RetryBasis::NotOnPlatform,
        _ if unknown.is_some() && request.doubling == Doubling::MayHappen => RetryBasis::ConfirmedMayDouble,
        _ => RetryBasis::Asked,
    };
    work.execute::<Post>(id, PostCommand::Retry { channel, basis, now }).await?;
    let integration = work.load::<Integration>(channel).await?;
    usable(&integration).map(|_| ()).map_err(|failure| CommandError::refused(ChannelOff(failure)))
}

/// A channel that has to be put in order first.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .0.reason, .0.what_to_do)]
struct ChannelOff(Failure);

impl annals_domain::Refusal for ChannelOff {
    fn kind(&self) -> annals_domain::RefusalKind {
        annals_domain::RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        "CHANNEL_NOT_USABLE"
    }
}
