//! Having notes kept by the relays, and asking for them.

use std::{collections::HashSet, time::Duration};

use annals_commands::ports::social::{
    FailureClass, Lookup, OutgoingPost, ProviderError, PublishHandle, Published,
};
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use serde_json::json;
use tokio::time::sleep;

use super::{
    account::Account,
    event::Event,
    key,
    note::{check, notes},
    relay::Relay,
};
use crate::{
    net::{Deadline, HttpClient},
    social::words::host,
};

const TRIES_MAX: u32 = 3;
/// One try at one relay.
const TRY_TIME: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);
/// Once a relay has the note, the others have this long.
const LATECOMERS_TIME: Duration = Duration::from_secs(4);

/// Has the notes that do not stand yet kept, in order. Doing so again changes nothing.
pub(super) async fn publish(
    http: &HttpClient,
    account: &Account,
    handle: PublishHandle,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Published, ProviderError> {
    if let Some(problem) = check(&post.parts).into_iter().next() {
        let message = format!("part {} {}", problem.part + 1, problem.message);
        return Err(ProviderError::new(FailureClass::BadContent, message));
    }
    let notes = notes(&account.key, handle, post);
    for (index, note) in notes.iter().enumerate() {
        if let Err(error) = keep(http, account, note, deadline).await {
            return Err(half_kept(error, index));
        }
    }
    let all_stand =
        || ProviderError::new(FailureClass::BadContent, "all of the thread's parts stand already");
    notes.first().map(|note| published(account, note)).ok_or_else(all_stand)
}

/// Found if each of the notes that are asked for is on one of the relays. Relays that do not answer may have
/// more, which does no harm: to have a note kept once more changes nothing.
pub(super) async fn find(
    http: &HttpClient,
    account: &Account,
    handle: PublishHandle,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Lookup, ProviderError> {
    let notes = notes(&account.key, handle, post);
    let Some(first) = notes.first() else { return Ok(Lookup::CannotTell) };
    let ids: Vec<&str> = notes.iter().map(|note| note.id.as_str()).collect();
    let asked = account.relays.iter().map(|url| {
        let (relay, filter) = (Relay { http, url, key: &account.key }, json!({ "ids": ids }));
        async move { relay.query(filter, deadline.at_most(TRY_TIME * 2)).await }
    });
    let mut found: HashSet<String> = HashSet::new();
    let (mut answered, mut failure) = (false, None);
    for answer in join_all(asked).await {
        match answer {
            Ok(events) => {
                answered = true;
                found.extend(events.into_iter().map(|event| event.id));
            }
            Err(error) => failure = Some(error),
        }
    }
    if ids.iter().all(|id| found.contains(*id)) {
        return Ok(Lookup::Found(published(account, first)));
    }
    match failure {
        Some(error) if !answered => Err(error),
        _ => Ok(Lookup::NotFound),
    }
}

fn published(account: &Account, note: &Event) -> Published {
    let url = key::note(&note.id).map(|name| account.address(&name));
    Published { remote_id: note.id.clone(), url }
}

/// Has one note kept by as many relays as will: one is enough. Those that are away, or busy, are tried again.
async fn keep(
    http: &HttpClient,
    account: &Account,
    note: &Event,
    deadline: Deadline,
) -> Result<(), ProviderError> {
    let mut tries: FuturesUnordered<_> = account
        .relays
        .iter()
        .map(|url| {
            let relay = Relay { http, url, key: &account.key };
            async move { (url, keep_at(relay, note, deadline).await) }
        })
        .collect();
    let mut failures = Vec::new();
    let mut until = None;
    let mut kept = 0;
    while kept + failures.len() < account.relays.len() {
        let next = match until {
            None => tries.next().await,
            Some(end) => tokio::time::timeout_at(end, tries.next()).await.unwrap_or_default(),
        };
        match next {
            Some((_, Ok(()))) => {
                kept += 1;
                until = until.or(Some(tokio::time::Instant::now() + LATECOMERS_TIME));
            }
            Some((url, Err(error))) => {
                tracing::info!(relay = host(url), class = ?error.class, "a relay did not take a note");
                failures.push(error);
            }
            None => break,
        }
    }
    if kept > 0 { Ok(()) } else { Err(together(failures)) }
}

async fn keep_at(relay: Relay<'_>, note: &Event, deadline: Deadline) -> Result<(), ProviderError> {
    let mut tried = 0;
    loop {
        tried += 1;
        match relay.keep(note, deadline.at_most(TRY_TIME)).await {
            // Safe whatever became of the first: it is the same note.
            Err(error)
                if tried < TRIES_MAX
                    && matches!(error.class, FailureClass::Retry | FailureClass::OutcomeUnknown) =>
            {
                sleep(PAUSE * tried).await;
            }
            told => return told,
        }
    }
}

/// What it means that no relay took a note: that one of them may have it after all, that one may take it
/// later, that it is unwelcome, or that its author is.
fn together(failures: Vec<ProviderError>) -> ProviderError {
    let rank = |class: FailureClass| match class {
        FailureClass::OutcomeUnknown => 0,
        FailureClass::Retry => 1,
        FailureClass::BadContent => 2,
        _ => 3,
    };
    let none = || ProviderError::new(FailureClass::Disconnected, "the channel has no relays");
    let others = failures.len().saturating_sub(1);
    let mut decides = failures.into_iter().min_by_key(|error| rank(error.class)).unwrap_or_else(none);
    if others > 0 {
        decides.message = format!("no relay took the note: {} (and {others} more)", decides.message);
    }
    decides
}

/// What a failure means when earlier parts of a thread stand: the relays have acted, so it is not simply one.
fn half_kept(error: ProviderError, stand: usize) -> ProviderError {
    if stand == 0 || error.class == FailureClass::OutcomeUnknown {
        return error;
    }
    let message = format!("only {stand} of the thread's parts stand: {}", error.message);
    ProviderError::new(FailureClass::OutcomeUnknown, message).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_kept_outweighs_what_was_refused() {
        use FailureClass::{BadContent, Disconnected, OutcomeUnknown, Retry};
        for (classes, class) in [
            (vec![Disconnected], Disconnected),
            (vec![Disconnected, BadContent], BadContent),
            (vec![BadContent, Retry, Disconnected], Retry),
            (vec![Retry, OutcomeUnknown, BadContent], OutcomeUnknown),
            (vec![], Disconnected),
        ] {
            let failures = classes.iter().map(|class| ProviderError::new(*class, "x")).collect();
            assert_eq!(together(failures).class, class, "{classes:?}");
        }
        let error = half_kept(ProviderError::new(BadContent, "no"), 2);
        assert_eq!(error.class, OutcomeUnknown);
        assert_eq!(error.message, "only 2 of the thread's parts stand: no");
        assert_eq!(half_kept(ProviderError::new(BadContent, "no"), 0).class, BadContent);
    }
}
