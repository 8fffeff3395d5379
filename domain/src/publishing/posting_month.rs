//! How many posts an organization has in a month: one small aggregate per organization and month, so that
//! its tier's limit holds exactly.
//!
//! A post counts in the month that it is due in, from when it is scheduled. Cancelled or made a draft again
//! before it went out, it counts no longer; moved to another month, it counts there.

use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::{Allowance, Month, OrganizationId, PostId, QuotaExceeded, named_events};

/// The posts of one organization in one month, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingMonth {
    posts: u64,
}

impl PostingMonth {
    /// Changes with the fields above: a snapshot of another shape is ignored.
    pub const SNAPSHOT_FINGERPRINT: &'static str = "posting-month-1";

    /// The stream's id: `<organization>.2026-12`.
    pub fn id(organization: OrganizationId, month: &Month) -> String {
        format!("{organization}.{month}")
    }

    pub fn posts(&self) -> u64 {
        self.posts
    }
}

#[derive(Clone, Debug)]
pub enum PostingMonthCommand {
    /// One more, if the tier has room for it.
    Count { organization: OrganizationId, month: Month, post: PostId, allowance: Allowance },
    /// It counts no longer.
    Release { organization: OrganizationId, month: Month, post: PostId },
}

/// What came into a month and left it, each `publishing.posting_month.<tag>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PostingMonthEvent {
    /// A post is due in this month.
    PostCounted { organization_id: OrganizationId, month: Month, post_id: PostId },
    /// A post was cancelled before it went out, or is due in another month now.
    PostReleased { organization_id: OrganizationId, month: Month, post_id: PostId },
}

named_events! {
    PostingMonthEvent, version "1",
    PostCounted => "publishing.posting_month.post_counted",
    PostReleased => "publishing.posting_month.post_released",
}

impl Aggregate for PostingMonth {
    const TYPE: &'static str = "publishing.posting_month";
    type Command = PostingMonthCommand;
    type Event = PostingMonthEvent;
    type Error = QuotaExceeded;
    type Services = ();

    async fn handle(
        &mut self,
        command: PostingMonthCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), QuotaExceeded> {
        let event = match command {
            PostingMonthCommand::Count { organization, month, post, allowance } => {
                allowance
                    .check(self.posts, 1)
                    .map_err(|exceeded| QuotaExceeded { month: Some(month.clone()), ..exceeded })?;
                PostingMonthEvent::PostCounted { organization_id: organization, month, post_id: post }
            }
            // It was scheduled before anybody counted.
            PostingMonthCommand::Release { .. } if self.posts == 0 => return Ok(()),
            PostingMonthCommand::Release { organization, month, post } => {
                PostingMonthEvent::PostReleased { organization_id: organization, month, post_id: post }
            }
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: PostingMonthEvent) {
        match event {
            PostingMonthEvent::PostCounted { .. } => self.posts += 1,
            PostingMonthEvent::PostReleased { .. } => self.posts = self.posts.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use uuid::Uuid;

    use super::*;
    use crate::kernel::{Quota, TierName};

    const ORGANIZATION: OrganizationId = OrganizationId::new(Uuid::from_u128(1));

    fn month() -> Month {
        Month::parse("2026-12").expect("is a month")
    }

    fn counted(number: u128) -> PostingMonthEvent {
        let post_id = PostId::new(Uuid::from_u128(number));
        PostingMonthEvent::PostCounted { organization_id: ORGANIZATION, month: month(), post_id }
    }

    fn released(number: u128) -> PostingMonthEvent {
        let post_id = PostId::new(Uuid::from_u128(number));
        PostingMonthEvent::PostReleased { organization_id: ORGANIZATION, month: month(), post_id }
    }

    fn count(number: u128, limit: Option<u64>) -> PostingMonthCommand {
        let tier = TierName::parse("free").expect("is a name");
        let allowance = Allowance { quota: Quota::PostsPerMonth, tier, limit, more_in: None };
        let post = PostId::new(Uuid::from_u128(number));
        PostingMonthCommand::Count { organization: ORGANIZATION, month: month(), post, allowance }
    }

    fn given(events: Vec<PostingMonthEvent>) -> AggregateTestExecutor<PostingMonth> {
        TestFramework::<PostingMonth>::with(()).given(events)
    }

    #[test]
    fn a_month_takes_no_more_than_the_tier_has_and_what_leaves_makes_room() {
        given(vec![counted(1)]).when(count(2, Some(2))).then_expect_events(vec![counted(2)]);
        given(vec![counted(1), counted(2)]).when(count(3, Some(2))).then_expect_error_message(
            "the tier free has 2 posts a month, and 2 are used in 2026-12; no tier has more",
        );
        given(vec![counted(1), counted(2), released(1)])
            .when(count(3, Some(2)))
            .then_expect_events(vec![counted(3)]);
        given(vec![counted(1), counted(2)]).when(count(3, None)).then_expect_events(vec![counted(3)]);
        let release = PostingMonthCommand::Release {
            organization: ORGANIZATION,
            month: month(),
            post: PostId::new(Uuid::from_u128(1)),
        };
        given(vec![counted(1)]).when(release.clone()).then_expect_events(vec![released(1)]);
        given(vec![counted(1), released(1)]).when(release).then_expect_events(vec![]);
    }
}
