//! What an AppView counts of posts and of an account. A personal data server has none of it: it passes the
//! question on to the AppView that it is set up with, if it is set up with one.

use std::collections::HashMap;

use annals_commands::ports::social::{FailureClass, Figure, PostReading, ProviderError};
use annals_domain::publishing::figures::{AccountCounts, PostCounts};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    session::Session,
    xrpc::{Call, Xrpc, XrpcError},
};
use crate::net::{Deadline, Effect};

/// Nothing is said of how often a post was shown or its links were followed.
pub(super) const GIVEN: &[Figure] =
    &[Figure::Likes, Figure::Comments, Figure::Shares, Figure::Followers, Figure::Following, Figure::Posts];

/// What `app.bsky.feed.getPosts` takes at once.
const BATCH: usize = 25;

const NO_APP_VIEW: &str =
    "the account's server has no AppView to ask, and a personal data server keeps no figures itself";

#[derive(Deserialize)]
struct Posts {
    posts: Vec<Post>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    uri: String,
    like_count: Option<u64>,
    reply_count: Option<u64>,
    repost_count: Option<u64>,
    quote_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    followers_count: Option<u64>,
    follows_count: Option<u64>,
    posts_count: Option<u64>,
}

impl From<&Post> for PostCounts {
    fn from(post: &Post) -> Self {
        let shares = match (post.repost_count, post.quote_count) {
            (None, None) => None,
            (reposts, quotes) => Some(reposts.unwrap_or(0) + quotes.unwrap_or(0)),
        };
        Self { likes: post.like_count, comments: post.reply_count, shares, ..Self::default() }
    }
}

pub(super) async fn of_account(
    xrpc: &Xrpc,
    session: &Session,
    deadline: Deadline,
) -> Result<AccountCounts, ProviderError> {
    let parameters = [("actor", session.did.as_str())];
    let profile: Profile = ask(xrpc, session, "app.bsky.actor.getProfile", &parameters, deadline).await?;
    Ok(AccountCounts {
        followers: profile.followers_count,
        following: profile.follows_count,
        posts: profile.posts_count,
    })
}

/// A post that the AppView does not know may be deleted, or not have reached it yet: the answer leaves it out.
pub(super) async fn of_posts(
    xrpc: &Xrpc,
    session: &Session,
    uris: &[String],
    deadline: Deadline,
) -> Result<HashMap<String, PostReading>, ProviderError> {
    let mut read = HashMap::with_capacity(uris.len());
    for batch in uris.chunks(BATCH) {
        let parameters: Vec<(&str, &str)> = batch.iter().map(|uri| ("uris", uri.as_str())).collect();
        let found: Posts = ask(xrpc, session, "app.bsky.feed.getPosts", &parameters, deadline).await?;
        read.extend(found.posts.iter().map(|post| (post.uri.clone(), PostReading::Counts(post.into()))));
    }
    Ok(read)
}

async fn ask<T: DeserializeOwned>(
    xrpc: &Xrpc,
    session: &Session,
    method: &str,
    parameters: &[(&str, &str)],
    deadline: Deadline,
) -> Result<T, ProviderError> {
    session.check_fresh()?;
    let call = Call {
        server: &session.pds,
        method,
        token: Some(&session.access_jwt),
        effect: Effect::Read,
        deadline,
    };
    xrpc.query(call, parameters).await.map_err(without_app_view)
}

/// A server without an AppView does not know the method, which says nothing about the account.
fn without_app_view(error: XrpcError) -> ProviderError {
    if error.is("MethodNotImplemented") || error.is("XRPCNotSupported") {
        return ProviderError::new(FailureClass::Unsupported, NO_APP_VIEW).caused_by(error.failure);
    }
    error.into()
}
