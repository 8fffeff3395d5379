//! Writing messages, and looking for a bot's own.

use annals_commands::ports::social::{
    FailureClass, Lookup, OutgoingPart, OutgoingPost, ProviderError, PublishHandle, Published,
};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    access::{Access, Bot},
    api::{Api, Failed},
    text::{check, escaped},
};
use crate::net::Deadline;

/// The type of our metadata.
const EVENT_TYPE: &str = "annals_post";
/// Clocks differ: a message may bear a time a little before ours.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(2);
const PAGE: &str = "200";
const PAGES_MAX: usize = 5;
/// What a bot is told that may not read where it may write.
const MAY_NOT_READ: [&str; 4] = ["missing_scope", "not_in_channel", "channel_not_found", "no_permission"];

#[derive(Clone, Debug, Deserialize)]
struct Message {
    ts: String,
    #[serde(default)]
    metadata: Value,
}

impl Message {
    fn bears(&self, mark: &str) -> bool {
        self.metadata["event_type"] == EVENT_TYPE && self.metadata["event_payload"]["handle"] == mark
    }
}

/// Writes the parts that do not stand yet in order: a bot's as answers in one thread, a webhook's one after the
/// other.
pub(super) async fn publish(
    api: &Api,
    access: &Access,
    handle: PublishHandle,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Published, ProviderError> {
    if let Some(problem) = check(&post.parts).into_iter().next() {
        let message = format!("part {} {}", problem.part + 1, problem.message);
        return Err(ProviderError::new(FailureClass::BadContent, message));
    }
    let mut written: Vec<Published> = Vec::with_capacity(post.parts.len());
    for (index, part) in post.parts.iter().enumerate().skip(post.standing.len()) {
        let mark = mark(handle, index);
        let root = post.standing.first().or(written.first()).map(|root| root.remote_id.as_str());
        let outcome = match access {
            Access::Bot(bot) => write(api, bot, part, &mark, root, deadline).await,
            Access::Webhook { url } => {
                let message = json!({ "text": escaped(&part.text) });
                let posted = api.post_to(url, &message, deadline).await;
                // Slack gives it no name that we could know.
                posted.map(|()| Published { remote_id: format!("webhook:{mark}"), url: None })
            }
        };
        match outcome {
            Ok(published) => written.push(published),
            Err(error) => return Err(half_written(error, written.len())),
        }
    }
    let all_stand =
        || ProviderError::new(FailureClass::BadContent, "all of the thread's parts stand already");
    written.into_iter().next().ok_or_else(all_stand)
}

async fn write(
    api: &Api,
    bot: &Bot,
    part: &OutgoingPart,
    mark: &str,
    root: Option<&str>,
    deadline: Deadline,
) -> Result<Published, ProviderError> {
    let mut message = json!({
        "channel": bot.channel_id,
        "text": escaped(&part.text),
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"handle": mark}},
    });
    if let Some(root) = root {
        message["thread_ts"] = json!(root);
    }
    let posted: Message = api.write("chat.postMessage", &bot.token.access_token, &message, deadline).await?;
    Ok(published(bot, posted.ts, root))
}

/// Found if every part that is asked for is there, by its handle: the first in the channel, those that answer it
/// in its thread.
pub(super) async fn find(
    api: &Api,
    access: &Access,
    handle: PublishHandle,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Lookup, ProviderError> {
    let Access::Bot(bot) = access else { return Ok(Lookup::CannotTell) };
    let since = (post.at - CLOCKS_DIFFER).timestamp().max(0).to_string();
    let history = History { api, bot, since: &since, deadline };
    match history.look(handle, post).await {
        Err(failed) if failed.is_one_of(&MAY_NOT_READ) => Ok(Lookup::CannotTell),
        looked => Ok(looked?),
    }
}

fn published(bot: &Bot, ts: String, root: Option<&str>) -> Published {
    Published { url: bot.page(Some((&ts, root))), remote_id: ts }
}

/// The same for a part of a post in every attempt.
fn mark(handle: PublishHandle, part: usize) -> String {
    let hash = Sha256::new()
        .chain_update(b"annals slack message 1")
        .chain_update(handle.post.uuid().as_bytes())
        .chain_update(handle.channel.uuid().as_bytes())
        .chain_update(handle.occurrence.to_be_bytes())
        .chain_update((part as u64).to_be_bytes())
        .finalize();
    hex::encode(&hash[..16])
}

/// What a failure means when earlier parts stand: Slack has acted, so it is not simply a failure.
fn half_written(error: ProviderError, stand: usize) -> ProviderError {
    if stand == 0 || error.class == FailureClass::OutcomeUnknown {
        return error;
    }
    let message = format!("only {stand} of the thread's parts stand: {}", error.message);
    let retry_after = error.retry_after;
    let unknown = ProviderError::new(FailureClass::OutcomeUnknown, message).caused_by(error);
    ProviderError { retry_after, ..unknown }
}

/// The messages of a channel since a time, as its bot sees them.
struct History<'h> {
    api: &'h Api,
    bot: &'h Bot,
    since: &'h str,
    deadline: Deadline,
}

impl History<'_> {
    async fn look(&self, handle: PublishHandle, post: &OutgoingPost) -> Result<Lookup, Failed> {
        let mut root = post.standing.first().map(|root| root.remote_id.clone());
        let mut first = None;
        for index in post.standing.len()..post.parts.len() {
            let mark = mark(handle, index);
            let asked = match &root {
                None => self.search("conversations.history", &[], &mark).await?,
                Some(root) => self.search("conversations.replies", &[("ts", root)], &mark).await?,
            };
            let ts = match asked {
                Searched::Found(ts) => ts,
                Searched::NotThere => return Ok(Lookup::NotFound),
                Searched::TooMany => return Ok(Lookup::CannotTell),
            };
            let found = published(self.bot, ts.clone(), root.as_deref());
            first = first.or(Some(found));
            root = root.or(Some(ts));
        }
        Ok(first.map_or(Lookup::CannotTell, Lookup::Found))
    }

    async fn search(&self, method: &str, of: &[(&str, &str)], mark: &str) -> Result<Searched, Failed> {
        #[derive(Deserialize)]
        struct Page {
            messages: Vec<Message>,
            #[serde(default)]
            response_metadata: Next,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Next {
            next_cursor: String,
        }
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let mut arguments = vec![
                ("channel", self.bot.channel_id.as_str()),
                ("oldest", self.since),
                ("limit", PAGE),
                ("include_all_metadata", "true"),
            ];
            arguments.extend_from_slice(of);
            if !cursor.is_empty() {
                arguments.push(("cursor", &cursor));
            }
            let token = Some(self.bot.token.access_token.as_str());
            let page: Page = self.api.ask(method, token, &arguments, self.deadline).await?;
            if let Some(message) = page.messages.into_iter().find(|message| message.bears(mark)) {
                return Ok(Searched::Found(message.ts));
            }
            if page.response_metadata.next_cursor.is_empty() {
                return Ok(Searched::NotThere);
            }
            cursor = page.response_metadata.next_cursor;
        }
        Ok(Searched::TooMany)
    }
}

enum Searched {
    Found(String),
    NotThere,
    /// More messages than can be looked at.
    TooMany,
}
