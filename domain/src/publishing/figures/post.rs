//! A published post's figures on one channel.

use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FiguresError, PostCounts};
use crate::kernel::{IntegrationId, OrganizationId, PostId, named_events};

/// What is known of a post on a channel. Looks at it are counted (see the schedule of the worker), so its
/// stream has an end; a look that finds nothing new leaves nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostFigures {
    of: Option<(PostId, IntegrationId)>,
    counts: Option<PostCounts>,
    gone: bool,
}

impl PostFigures {
    /// As the platform said last.
    pub fn counts(&self) -> Option<PostCounts> {
        self.counts
    }

    /// Whether the platform no longer has the post.
    pub fn is_gone(&self) -> bool {
        self.gone
    }
}

#[derive(Clone, Debug)]
pub enum PostFiguresCommand {
    /// The platform said what it counts.
    Observe {
        organization: OrganizationId,
        post: PostId,
        channel: IntegrationId,
        published_at: DateTime<Utc>,
        counts: PostCounts,
        now: DateTime<Utc>,
    },
    /// The platform said that it has no such post.
    Lose { organization: OrganizationId, post: PostId, channel: IntegrationId, now: DateTime<Utc> },
}

/// What was found out about a post's figures, each `publishing.post_figures.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PostFiguresEvent {
    /// The platform counts other than it did when it was asked before.
    Observed {
        organization_id: OrganizationId,
        post_id: PostId,
        channel_id: IntegrationId,
        published_at: DateTime<Utc>,
        /// All that it gives, since the post was published.
        counts: PostCounts,
        at: DateTime<Utc>,
    },
    /// The platform no longer has the post.
    Lost { organization_id: OrganizationId, post_id: PostId, channel_id: IntegrationId, at: DateTime<Utc> },
}

named_events! {
    PostFiguresEvent, version "1",
    Observed => "publishing.post_figures.observed",
    Lost => "publishing.post_figures.lost",
}

impl PostFigures {
    fn decide(&self, command: PostFiguresCommand) -> Result<Option<PostFiguresEvent>, FiguresError> {
        let (PostFiguresCommand::Observe { post, channel, .. }
        | PostFiguresCommand::Lose { post, channel, .. }) = &command;
        if self.of.is_some_and(|of| of != (*post, *channel)) {
            return Err(FiguresError::OtherSubject);
        }
        Ok(match command {
            PostFiguresCommand::Observe { organization, post, channel, published_at, counts, now } => {
                let is_news = self.gone || self.counts.unwrap_or_default() != counts;
                // Nothing but zeros is news, too: the platform counts, and nobody came yet.
                is_news.then_some(PostFiguresEvent::Observed {
                    organization_id: organization,
                    post_id: post,
                    channel_id: channel,
                    published_at,
                    counts,
                    at: now,
                })
            }
            PostFiguresCommand::Lose { organization, post, channel, now } => {
                (!self.gone).then_some(PostFiguresEvent::Lost {
                    organization_id: organization,
                    post_id: post,
                    channel_id: channel,
                    at: now,
                })
            }
        })
    }
}

impl Aggregate for PostFigures {
    const TYPE: &'static str = "publishing.post_figures";
    type Command = PostFiguresCommand;
    type Event = PostFiguresEvent;
    type Error = FiguresError;
    type Services = ();

    async fn handle(
        &mut self,
        command: PostFiguresCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), FiguresError> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: PostFiguresEvent) {
        match event {
            PostFiguresEvent::Observed { post_id, channel_id, counts, .. } => {
                self.of = Some((post_id, channel_id));
                (self.counts, self.gone) = (Some(counts), false);
            }
            PostFiguresEvent::Lost { post_id, channel_id, .. } => {
                (self.of, self.gone) = (Some((post_id, channel_id)), true);
            }
        }
    }
}
