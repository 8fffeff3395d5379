//! Writing a post, or a thread, under keys that are the same in every attempt; and looking for it.

use std::time::Duration;

use annals_commands::ports::social::{
    FailureClass, Lookup, OutgoingPart, OutgoingPost, ProviderError, PublishHandle, Published,
};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    media::upload,
    settings::Manner,
    text,
    token::{Credentials, Visibility},
};
use crate::{
    net::Deadline,
    social::rest::{Rest, RestCall},
};

/// A server forgets an `Idempotency-Key` after an hour; before that, an attempt may trust it.
const KEY_KEPT: TimeDelta = TimeDelta::minutes(50);
/// Clocks differ: a post may bear a time a little before ours.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(2);
const PAGE: &str = "40";
const PAGES_MAX: usize = 5;

#[derive(Serialize)]
struct NewStatus<'a> {
    status: &'a str,
    media_ids: Vec<String>,
    visibility: Visibility,
    #[serde(skip_serializing_if = "Option::is_none")]
    spoiler_text: Option<&'a str>,
    sensitive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_reply_to_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
}

#[derive(Clone, Debug, Deserialize)]
struct Status {
    id: String,
    url: Option<String>,
    uri: Option<String>,
    created_at: DateTime<Utc>,
    in_reply_to_id: Option<String>,
}

/// Writes the parts that do not stand yet in order, each as an answer to the one before. Doing so again changes
/// nothing.
pub(super) async fn publish(
    rest: &Rest,
    credentials: &Credentials,
    handle: PublishHandle,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Published, ProviderError> {
    if let Some(problem) = text::check(&post.parts, text::Counting::any()).into_iter().next() {
        let message = format!("part {} {}", problem.part + 1, problem.message);
        return Err(ProviderError::new(FailureClass::BadContent, message));
    }
    if Utc::now() - post.at > KEY_KEPT
        && let Lookup::Found(published) = find(rest, credentials, post, deadline).await?
    {
        return Ok(published);
    }
    let server = Server { rest, credentials, deadline };
    let manner = Manner::of(credentials, &post.settings);
    let mut written: Vec<Status> = Vec::with_capacity(post.parts.len());
    for (index, part) in post.parts.iter().enumerate().skip(post.standing.len()) {
        let stood = post.standing.last().map(|part| part.remote_id.as_str());
        let parent = written.last().map(|status| status.id.as_str()).or(stood);
        match server.write(handle, (index, part), &manner, parent).await {
            Ok(status) => written.push(status),
            Err(error) => return Err(server.half_written(error, &written).await),
        }
    }
    let all_stand =
        || ProviderError::new(FailureClass::BadContent, "all of the thread's parts stand already");
    written.into_iter().next().map(published).ok_or_else(all_stand)
}

/// Found if every part that is asked for is there, each as an answer to the one before: among the account's own posts since the
/// post's time, by their text as it was sent.
pub(super) async fn find(
    rest: &Rest,
    credentials: &Credentials,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Lookup, ProviderError> {
    let server = Server { rest, credentials, deadline };
    let Some(own) = server.own_since(post.at - CLOCKS_DIFFER).await? else {
        return Ok(Lookup::CannotTell);
    };
    let mut found: Vec<Status> = Vec::new();
    for part in post.parts.iter().skip(post.standing.len()) {
        let stood = post.standing.last().map(|part| part.remote_id.clone());
        let parent = found.last().map(|status| status.id.clone()).or(stood);
        match server.same(&own, part, parent.as_deref()).await? {
            Some(status) => found.push(status),
            None => return Ok(Lookup::NotFound),
        }
    }
    Ok(found.into_iter().next().map_or(Lookup::CannotTell, |first| Lookup::Found(published(first))))
}

fn published(status: Status) -> Published {
    Published { url: status.url.or(status.uri), remote_id: status.id }
}

/// The same for a part of a post in every attempt.
fn key(handle: PublishHandle, part: usize) -> String {
    format!("annals-{}-{}-{}-{part}", handle.post, handle.channel, handle.occurrence)
}

/// An account on its server.
struct Server<'s> {
    rest: &'s Rest,
    credentials: &'s Credentials,
    deadline: Deadline,
}

impl Server<'_> {
    async fn write(
        &self,
        handle: PublishHandle,
        (index, part): (usize, &OutgoingPart),
        manner: &Manner,
        parent: Option<&str>,
    ) -> Result<Status, ProviderError> {
        let media_ids = upload(self.rest, self.credentials, &part.attachments, self.deadline).await?;
        let status = NewStatus {
            status: &part.text,
            media_ids,
            visibility: manner.visibility,
            spoiler_text: manner.content_warning.as_deref(),
            sensitive: manner.sensitive,
            in_reply_to_id: parent,
            language: manner.language.as_deref(),
        };
        let key = HeaderValue::from_str(&key(handle, index)).expect("ids and digits are a header's value");
        let call = RestCall::writes(Method::POST, self.credentials.app.at("/api/v1/statuses"), self.deadline)
            .bearer(&self.credentials.access_token)
            .header(HeaderName::from_static("idempotency-key"), key)
            .json(&status);
        self.rest.call(call).await
    }

    /// The account's own posts since a time, the newest first; `None` if there are more than can be looked at.
    async fn own_since(&self, since: DateTime<Utc>) -> Result<Option<Vec<Status>>, ProviderError> {
        let path = format!("/api/v1/accounts/{}/statuses", self.credentials.account_id);
        let mut own: Vec<Status> = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut query = vec![("limit", PAGE), ("exclude_reblogs", "true")];
            let before = own.last().map(|status| status.id.clone());
            query.extend(before.iter().map(|id| ("max_id", id.as_str())));
            let call = RestCall::get(self.credentials.app.at(&path), self.deadline).query(&query);
            let page: Vec<Status> = self.rest.call(call.bearer(&self.credentials.access_token)).await?;
            let at_the_end = page.is_empty() || page.iter().any(|status| status.created_at < since);
            own.extend(page.into_iter().filter(|status| status.created_at >= since));
            if at_the_end {
                return Ok(Some(own));
            }
        }
        Ok(None)
    }

    /// The post with a part's text, in the same place of its thread.
    async fn same(
        &self,
        own: &[Status],
        part: &OutgoingPart,
        parent: Option<&str>,
    ) -> Result<Option<Status>, ProviderError> {
        #[derive(Deserialize)]
        struct Source {
            text: String,
        }
        for status in own.iter().filter(|status| status.in_reply_to_id.as_deref() == parent) {
            let url = self.credentials.app.at(&format!("/api/v1/statuses/{}/source", status.id));
            let call = RestCall::get(url, self.deadline).bearer(&self.credentials.access_token);
            let source: Source = self.rest.call(call).await?;
            if source.text.trim() == part.text.trim() {
                return Ok(Some(status.clone()));
            }
        }
        Ok(None)
    }

    /// What a failure means when earlier parts stand: the platform has acted, so it is not simply a failure.
    async fn half_written(&self, error: ProviderError, written: &[Status]) -> ProviderError {
        if written.is_empty() || error.class == FailureClass::OutcomeUnknown {
            return error;
        }
        // It can't be completed: take back what stands.
        if error.class == FailureClass::BadContent && self.take_back(written).await.is_ok() {
            return error;
        }
        let message = format!("only {} of the thread's parts stand: {}", written.len(), error.message);
        let retry_after: Option<Duration> = error.retry_after;
        let unknown = ProviderError::new(FailureClass::OutcomeUnknown, message).caused_by(error);
        ProviderError { retry_after, ..unknown }
    }

    async fn take_back(&self, written: &[Status]) -> Result<(), ProviderError> {
        for status in written.iter().rev() {
            let url = self.credentials.app.at(&format!("/api/v1/statuses/{}", status.id));
            let call = RestCall::writes(Method::DELETE, url, self.deadline);
            let _deleted: Value = self.rest.call(call.bearer(&self.credentials.access_token)).await?;
        }
        Ok(())
    }
}
