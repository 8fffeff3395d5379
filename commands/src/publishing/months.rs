//! Posts count against their organization's tier in the month that they are due in.

use annals_domain::{
    kernel::{Month, OrganizationId, PostId, Quota},
    publishing::{Post, PostCommand, PostingMonth, PostingMonthCommand},
};

use crate::{
    bus::{CommandError, Work},
    tiers,
};

/// A command that may schedule a post, move it or take it back, and what that means for the months it counts in.
///
/// # Errors
/// What the post refuses, `QUOTA_EXCEEDED`, or a log that can't be read.
pub(super) async fn planning(work: &mut Work, id: PostId, command: PostCommand) -> Result<(), CommandError> {
    let before = work.load::<Post>(id).await?.counts_in();
    work.execute::<Post>(id, command).await?;
    let post = work.load::<Post>(id).await?;
    let after = post.counts_in();
    if before == after {
        return Ok(());
    }
    if let Some(month) = before {
        release(work, post.organization(), month, id).await?;
    }
    if let Some(month) = after {
        count(work, post.organization(), month, id).await?;
    }
    Ok(())
}

async fn count(
    work: &mut Work,
    organization: OrganizationId,
    month: Month,
    post: PostId,
) -> Result<(), CommandError> {
    let allowance = tiers::allowance(work, organization, Quota::PostsPerMonth).await?;
    let stream = PostingMonth::id(organization, &month);
    let is_bounded = allowance.limit.is_some();
    let command = PostingMonthCommand::Count { organization, month, post, allowance };
    if is_bounded {
        work.execute::<PostingMonth>(stream, command).await
    } else {
        // Nothing is decided on the count, so nobody has to wait for anybody.
        work.execute_at_any_version::<PostingMonth>(stream, command).await
    }
}

async fn release(
    work: &mut Work,
    organization: OrganizationId,
    month: Month,
    post: PostId,
) -> Result<(), CommandError> {
    let stream = PostingMonth::id(organization, &month);
    let command = PostingMonthCommand::Release { organization, month, post };
    work.execute_at_any_version::<PostingMonth>(stream, command).await
}
