//! Writing messages, and looking for a bot's own.

use annals_commands::ports::social::{
    FailureClass, Lookup, OutgoingPart, OutgoingPost, ProviderError, PublishHandle, Published,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    access::Access,
    api::{Api, Call},
    text,
};
use crate::net::Deadline;

/// Discord remembers a nonce for "a few minutes"; before that, an attempt may trust it.
const NONCE_KEPT: TimeDelta = TimeDelta::minutes(2);
/// Clocks differ: a message may bear a time a little before ours.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(2);
/// What the ids of Discord count their milliseconds from: the first of 2015.
const EPOCH_MS: i64 = 1_420_070_400_000;
const PAGE: usize = 100;
const PAGES_MAX: usize = 5;

#[derive(Clone, Debug, Deserialize)]
struct Message {
    id: String,
    #[serde(default)]
    content: String,
    author: Author,
    message_reference: Option<Reference>,
}

#[derive(Clone, Debug, Deserialize)]
struct Author {
    id: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Reference {
    message_id: Option<String>,
}

/// Writes the parts that do not stand yet in order: a bot's as answers, each to the one before, a webhook's one
/// after the other.
pub(super) async fn publish(
    api: &Api,
    access: &Access,
    handle: PublishHandle,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Published, ProviderError> {
    if let Some(problem) = text::check(&post.parts).into_iter().next() {
        let message = format!("part {} {}", problem.part + 1, problem.message);
        return Err(ProviderError::new(FailureClass::BadContent, message));
    }
    if Utc::now() - post.at > NONCE_KEPT
        && let Lookup::Found(published) = find(api, access, post, deadline).await?
    {
        return Ok(published);
    }
    let mut written: Vec<String> = Vec::with_capacity(post.parts.len());
    for (index, part) in post.parts.iter().enumerate().skip(post.standing.len()) {
        let stood = post.standing.last().map(|part| part.remote_id.as_str());
        let parent = written.last().map(String::as_str).or(stood);
        let nonce = nonce(handle, index);
        match write(api, access, part, &nonce, parent, deadline).await {
            Ok(message) => written.push(message.id),
            Err(error) => return Err(half_written(error, written.len())),
        }
    }
    let all_stand =
        || ProviderError::new(FailureClass::BadContent, "all of the thread's parts stand already");
    written.into_iter().next().map(|id| published(api, access, id)).ok_or_else(all_stand)
}

/// Found if every part that is asked for is among the bot's own messages since the post's time, by its text, each
/// as an answer to the one before.
pub(super) async fn find(
    api: &Api,
    access: &Access,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Lookup, ProviderError> {
    let Access::Bot { token, channel_id, user_id, .. } = access else { return Ok(Lookup::CannotTell) };
    let wanted = &post.parts[post.standing.len().min(post.parts.len())..];
    if wanted.is_empty() || wanted.iter().any(|part| part.text.trim().is_empty()) {
        return Ok(Lookup::CannotTell);
    }
    let messages = Messages { api, token, channel_id, deadline };
    let Some(since) = messages.since(post.at - CLOCKS_DIFFER).await? else {
        return Ok(Lookup::CannotTell);
    };
    let own: Vec<_> = since.iter().filter(|message| message.author.id == *user_id).collect();
    let mut found: Vec<&Message> = Vec::new();
    for part in wanted {
        let stood = post.standing.last().map(|part| part.remote_id.as_str());
        let parent = found.last().map(|message| message.id.as_str()).or(stood);
        let is_it = |message: &&&Message| {
            let answers = message.message_reference.as_ref().and_then(|to| to.message_id.as_deref());
            message.content.trim() == part.text.trim() && answers == parent
        };
        match own.iter().find(is_it) {
            Some(message) => found.push(message),
            // Who may not read the channel's history is shown an empty one.
            None if since.is_empty() && !messages.are_shown().await? => return Ok(Lookup::CannotTell),
            None => return Ok(Lookup::NotFound),
        }
    }
    let first = found.first().map(|message| published(api, access, message.id.clone()));
    Ok(first.map_or(Lookup::CannotTell, Lookup::Found))
}

fn published(api: &Api, access: &Access, id: String) -> Published {
    Published { url: Some(access.message_url(api, &id)), remote_id: id }
}

async fn write(
    api: &Api,
    access: &Access,
    part: &OutgoingPart,
    nonce: &str,
    parent: Option<&str>,
    deadline: Deadline,
) -> Result<Message, ProviderError> {
    // Nobody is called unless they look: a text that says @everyone says it to nobody.
    let mut message = json!({"content": part.text, "allowed_mentions": {"parse": []}});
    let call = match access {
        Access::Bot { token, channel_id, .. } => {
            message["nonce"] = json!(nonce);
            message["enforce_nonce"] = json!(true);
            if let Some(parent) = parent {
                message["message_reference"] = json!({"message_id": parent});
            }
            Call::writes(format!("/channels/{channel_id}/messages"), Some(token), message)
        }
        // Only a webhook that is waited for says what became of a message.
        Access::Webhook { id, token, .. } => {
            Call::writes(format!("/webhooks/{id}/{token}"), None, message).query("wait", true)
        }
    };
    api.call(call, deadline).await
}

/// The same for a part of a post in every attempt; Discord takes 25 characters.
fn nonce(handle: PublishHandle, part: usize) -> String {
    let hash = Sha256::new()
        .chain_update(b"annals discord nonce 1")
        .chain_update(handle.post.uuid().as_bytes())
        .chain_update(handle.channel.uuid().as_bytes())
        .chain_update(handle.occurrence.to_be_bytes())
        .chain_update((part as u64).to_be_bytes())
        .finalize();
    hex::encode(&hash[..12])
}

/// What a failure means when earlier parts stand: Discord has acted, so it is not simply a failure.
fn half_written(error: ProviderError, stand: usize) -> ProviderError {
    if stand == 0 || error.class == FailureClass::OutcomeUnknown {
        return error;
    }
    let message = format!("only {stand} of the thread's parts stand: {}", error.message);
    let retry_after = error.retry_after;
    let unknown = ProviderError::new(FailureClass::OutcomeUnknown, message).caused_by(error);
    ProviderError { retry_after, ..unknown }
}

/// The messages of a channel, as its bot sees them.
struct Messages<'m> {
    api: &'m Api,
    token: &'m str,
    channel_id: &'m str,
    deadline: Deadline,
}

impl Messages<'_> {
    /// Those since a time, the oldest first; `None` if there are more than can be looked at.
    async fn since(&self, time: DateTime<Utc>) -> Result<Option<Vec<Message>>, ProviderError> {
        let mut after = snowflake(time);
        let mut all: Vec<Message> = Vec::new();
        for _ in 0..PAGES_MAX {
            let asked = self.asked().query("after", after).query("limit", PAGE);
            let page: Vec<Message> = self.api.call(asked, self.deadline).await?;
            let newest = page.iter().filter_map(|message| message.id.parse().ok()).max();
            let at_the_end = page.len() < PAGE;
            all.extend(page);
            match newest {
                Some(newest) if !at_the_end => after = newest,
                _ => {
                    all.sort_by_key(|message| message.id.parse::<u64>().ok());
                    return Ok(Some(all));
                }
            }
        }
        Ok(None)
    }

    /// Whether the bot is shown any message at all.
    async fn are_shown(&self) -> Result<bool, ProviderError> {
        let page: Vec<Value> = self.api.call(self.asked().query("limit", 1), self.deadline).await?;
        Ok(!page.is_empty())
    }

    fn asked(&self) -> Call<'_> {
        Call::reads(format!("/channels/{}/messages", self.channel_id), Some(self.token))
    }
}

/// The id that a message of this moment would have at least.
fn snowflake(time: DateTime<Utc>) -> u64 {
    u64::try_from(time.timestamp_millis() - EPOCH_MS).unwrap_or(0) << 22
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Discord's documentation.
    #[test]
    fn a_snowflake_begins_with_its_time() {
        let time = "2016-04-30T11:18:25.796Z".parse().expect("a time");
        assert_eq!(snowflake(time), 175_928_847_299_117_063 >> 22 << 22);
        assert_eq!(snowflake(DateTime::UNIX_EPOCH), 0);
    }
}
