//! What a server counts of posts and of an account.

use std::collections::HashMap;

use annals_commands::ports::social::{FailureClass, Figure, PostReading, ProviderError};
use annals_domain::publishing::figures::{AccountCounts, PostCounts};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;

use super::token::Credentials;
use crate::{
    net::Deadline,
    social::rest::{Rest, RestCall},
};

/// Nothing is said of how often a post was shown or its links were followed.
pub(super) const GIVEN: &[Figure] =
    &[Figure::Likes, Figure::Comments, Figure::Shares, Figure::Followers, Figure::Following, Figure::Posts];

/// Posts that a server shows at once.
const BATCH: usize = 20;
/// Where it shows one at a time, so many calls are made at once.
const AT_ONCE: usize = 4;

/// Counts of a post; servers that speak Mastodon's API may leave some out.
#[derive(Deserialize)]
struct Status {
    id: String,
    favourites_count: Option<u64>,
    reblogs_count: Option<u64>,
    replies_count: Option<u64>,
    /// Since Mastodon 4.5.
    quotes_count: Option<u64>,
}

#[derive(Deserialize)]
struct Account {
    // A server that hides how many there are says -1.
    followers_count: Option<i64>,
    following_count: Option<i64>,
    statuses_count: Option<i64>,
}

impl From<Status> for PostCounts {
    fn from(status: Status) -> Self {
        let shares = match (status.reblogs_count, status.quotes_count) {
            (Some(reblogs), quotes) => Some(reblogs + quotes.unwrap_or(0)),
            (None, quotes) => quotes,
        };
        Self { likes: status.favourites_count, comments: status.replies_count, shares, ..Self::default() }
    }
}

pub(super) async fn of_account(
    rest: &Rest,
    credentials: &Credentials,
    deadline: Deadline,
) -> Result<AccountCounts, ProviderError> {
    let call = RestCall::get(credentials.app.at("/api/v1/accounts/verify_credentials"), deadline);
    let account: Account = rest.call(call.bearer(&credentials.access_token)).await?;
    let counted = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    Ok(AccountCounts {
        followers: counted(account.followers_count),
        following: counted(account.following_count),
        posts: counted(account.statuses_count),
    })
}

pub(super) async fn of_posts(
    rest: &Rest,
    credentials: &Credentials,
    ids: &[String],
    deadline: Deadline,
) -> Result<HashMap<String, PostReading>, ProviderError> {
    let mut read = HashMap::with_capacity(ids.len());
    for batch in ids.chunks(BATCH) {
        let Some(statuses) = together(rest, credentials, batch, deadline).await? else {
            return one_by_one(rest, credentials, ids, deadline).await;
        };
        // What a batch leaves out may be gone, or hidden for a while: it is asked for by itself.
        let there: HashMap<String, PostReading> = statuses.into_iter().map(reading).collect();
        let left_out: Vec<String> = batch.iter().filter(|id| !there.contains_key(*id)).cloned().collect();
        read.extend(there);
        read.extend(one_by_one(rest, credentials, &left_out, deadline).await?);
    }
    Ok(read)
}

fn reading(status: Status) -> (String, PostReading) {
    (status.id.clone(), PostReading::Counts(status.into()))
}

/// Several posts in one call, as Mastodon has it since 4.3; `None` if this server does not.
async fn together(
    rest: &Rest,
    credentials: &Credentials,
    ids: &[String],
    deadline: Deadline,
) -> Result<Option<Vec<Status>>, ProviderError> {
    let query: Vec<(&str, &str)> = ids.iter().map(|id| ("id[]", id.as_str())).collect();
    let call = RestCall::get(credentials.app.at("/api/v1/statuses"), deadline).query(&query);
    match rest.call(call.bearer(&credentials.access_token)).await {
        Ok(statuses) => Ok(Some(statuses)),
        // There is no such path, or none for GET.
        Err(error) if error.class == FailureClass::BadContent => Ok(None),
        Err(error) => Err(error),
    }
}

async fn one_by_one(
    rest: &Rest,
    credentials: &Credentials,
    ids: &[String],
    deadline: Deadline,
) -> Result<HashMap<String, PostReading>, ProviderError> {
    futures::stream::iter(ids.to_vec())
        .map(|id| async move {
            let path = format!("/api/v1/statuses/{id}");
            let call = RestCall::get(credentials.app.at(&path), deadline);
            match rest.call::<Status>(call.bearer(&credentials.access_token)).await {
                Ok(status) => Ok((id, reading(status).1)),
                // The owner may see all of their own posts: one that is not found is no more.
                Err(error) if error.class == FailureClass::BadContent => Ok((id, PostReading::Gone)),
                Err(error) => Err(error),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
