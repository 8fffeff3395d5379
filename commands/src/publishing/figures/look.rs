//! One look at a channel: what its platform says of its account and of its posts.

use std::collections::HashMap;

use annals_domain::{
    kernel::{IntegrationId, OrganizationId, PostId},
    publishing::{
        ChannelFigures, ChannelFiguresCommand, PostFigures, PostFiguresCommand,
        figures::{AccountCounts, ChannelFiguresId, Missing, MissingClass, PostFiguresId},
    },
};
use chrono::{DateTime, Utc};

use super::watch::Watched;
use crate::{
    bus::{CommandBus, CommandError, Context},
    ports::social::{FIGURES_POSTS_MAX, FailureClass, PostReading, ProviderError},
    publishing::reach::{Reach, Reached},
};

/// What is asked for.
pub(super) struct Question {
    pub(super) account: Option<Watched>,
    pub(super) posts: Vec<Watched>,
}

impl Question {
    /// The account and as many posts as can be asked for at once.
    pub(super) const SIZE: usize = FIGURES_POSTS_MAX + 1;

    pub(super) fn of(due: Vec<Watched>) -> Self {
        let (posts, mut accounts): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|watched| watched.post().is_some());
        Self { account: accounts.pop(), posts: posts.into_iter().take(FIGURES_POSTS_MAX).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.account.is_none() && self.posts.is_empty()
    }
}

/// What the platform answered; none where it was not asked.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) account: Option<Result<AccountCounts, ProviderError>>,
    pub(super) posts: Option<Result<HashMap<String, PostReading>, ProviderError>>,
}

impl Answer {
    /// Asks for the account first: a platform that does not answer that is not asked further.
    pub(super) async fn to(question: &Question, reach: &Reach, context: &Context, reached: &Reached) -> Self {
        let account = match &question.account {
            None => None,
            Some(_) => Some(reach.account_figures(context, reached.clone()).await),
        };
        let goes_on = !matches!(&account, Some(Err(error)) if error.class != FailureClass::Unsupported);
        let posts = match question.posts.is_empty() || !goes_on {
            true => None,
            false => Some(reach.post_figures(context, reached.clone(), &question.remote_ids()).await),
        };
        Self { account, posts }
    }

    /// The failure to wait after, if there is one: what a platform does not give is none.
    pub(super) fn failure(&self) -> Option<&ProviderError> {
        self.errors().find(|error| error.class != FailureClass::Unsupported)
    }

    /// Why something is missing, if something is.
    pub(super) fn missing(&self) -> Option<Missing> {
        let error = self.failure().or_else(|| self.errors().next())?;
        let class = match error.class {
            FailureClass::Unsupported => MissingClass::Unsupported,
            FailureClass::Retry | FailureClass::OutcomeUnknown => MissingClass::Unavailable,
            FailureClass::RefreshToken | FailureClass::Disconnected | FailureClass::BadContent => {
                MissingClass::Refused
            }
        };
        Some(Missing { class, reason: error.message.clone() })
    }

    fn errors(&self) -> impl Iterator<Item = &ProviderError> {
        let account = self.account.as_ref().and_then(|account| account.as_ref().err());
        let posts = self.posts.as_ref().and_then(|posts| posts.as_ref().err());
        account.into_iter().chain(posts)
    }

    /// What it said of a post.
    pub(super) fn of(&self, watched: &Watched) -> Option<PostReading> {
        let (_, remote_id) = watched.post()?;
        self.posts.as_ref()?.as_ref().ok()?.get(remote_id).copied()
    }
}

impl Question {
    fn remote_ids(&self) -> Vec<String> {
        self.posts.iter().filter_map(|watched| Some(watched.post()?.1.to_string())).collect()
    }
}

impl Reach {
    async fn account_figures(
        &self,
        context: &Context,
        reached: Reached,
    ) -> Result<AccountCounts, ProviderError> {
        self.call(context, reached, |to: Reached| {
            Box::pin(async move { to.provider.account_figures(&to.access).await })
        })
        .await
    }

    async fn post_figures(
        &self,
        context: &Context,
        reached: Reached,
        remote_ids: &[String],
    ) -> Result<HashMap<String, PostReading>, ProviderError> {
        self.call(context, reached, |to: Reached| {
            Box::pin(async move { to.provider.post_figures(&to.access, remote_ids).await })
        })
        .await
    }
}

/// What is to be recorded of a look.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) organization: OrganizationId,
    pub(super) channel: IntegrationId,
    pub(super) account: Option<AccountCounts>,
    pub(super) missing: Option<Missing>,
    pub(super) posts: Vec<(PostId, DateTime<Utc>, PostReading)>,
}

impl Finding {
    /// One append, once under the context's key. What is not new leaves no event.
    pub(super) async fn record(self, bus: &CommandBus, context: &Context) -> Result<(), CommandError> {
        let recorded = bus.transact(context, "RecordFigures", move |work| {
            let finding = self.clone();
            Box::pin(async move {
                let Finding { organization, channel, account, missing, posts } = finding;
                let now = work.now();
                for (post, published_at, reading) in posts {
                    let command = match reading {
                        PostReading::Counts(counts) => PostFiguresCommand::Observe {
                            organization,
                            post,
                            channel,
                            published_at,
                            counts,
                            now,
                        },
                        PostReading::Gone => PostFiguresCommand::Lose { organization, post, channel, now },
                    };
                    work.execute::<PostFigures>(PostFiguresId { post, channel }, command).await?;
                }
                let command = ChannelFiguresCommand::Look { organization, channel, account, missing, now };
                work.execute::<ChannelFigures>(ChannelFiguresId::at(channel, now), command).await
            })
        });
        recorded.await.map(|_| ())
    }
}
