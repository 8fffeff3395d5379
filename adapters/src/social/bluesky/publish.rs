//! Writing a post, or a thread, under keys that are the same in every attempt; and asking for it.

use annals_commands::ports::social::{
    FailureClass, Lookup, OutgoingPost, ProviderError, PublishHandle, Published,
};
use serde_json::{Value, json};

use super::{
    identity::accounts_mentioned,
    images::upload,
    record::{COLLECTION, Frame, ReplyTo, StrongRef, record},
    session::Session,
    text,
    tid::tid,
    xrpc::{Call, Payload, RECORD_NOT_FOUND, Xrpc, XrpcError},
};
use crate::net::{Deadline, Effect};

/// Writes the parts that do not stand yet in order, each as an answer to the one before. Doing so again
/// changes nothing.
pub(super) async fn publish(
    xrpc: &Xrpc,
    session: &Session,
    handle: PublishHandle,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Published, ProviderError> {
    if let Some(problem) = text::check(&post.parts).into_iter().next() {
        let message = format!("part {} {}", problem.part + 1, problem.message);
        return Err(ProviderError::new(FailureClass::BadContent, message));
    }
    session.check_fresh()?;
    let accounts = accounts_mentioned(xrpc, session, &post.parts, deadline).await;
    let repo = Repo { xrpc, session, deadline };
    let thread = repo.ends_of_thread(handle, post).await?;
    let mut written: Vec<(String, StrongRef)> = Vec::with_capacity(post.parts.len());
    let frame = Frame { at: post.at, accounts: &accounts, settings: &post.settings };
    for (number, part) in post.parts.iter().enumerate().skip(post.standing.len()) {
        let reply = thread_end(thread.as_ref(), &written);
        let rkey = tid(handle, post.at, number);
        let put = async {
            let embed = upload(xrpc, session, &part.attachments, deadline).await?;
            let record = record(&frame, &part.text, embed, reply.as_ref());
            Ok(repo.put(&rkey, record).await?)
        };
        match put.await {
            Ok(reference) => written.push((rkey, reference)),
            Err(error) => return Err(repo.half_written(error, &written).await),
        }
    }
    let Some((rkey, first)) = written.into_iter().next() else {
        return Err(ProviderError::new(FailureClass::BadContent, "all of the thread's parts stand already"));
    };
    Ok(published(session, &first.uri, &rkey))
}

/// Found if the first and the last of the parts that are asked for are there: they are written in order.
pub(super) async fn find(
    xrpc: &Xrpc,
    session: &Session,
    handle: PublishHandle,
    post: &OutgoingPost,
    deadline: Deadline,
) -> Result<Lookup, ProviderError> {
    let repo = Repo { xrpc, session, deadline };
    let last = post.parts.len().saturating_sub(1);
    let last_key = tid(handle, post.at, last);
    let first_key = tid(handle, post.at, post.standing.len());
    if last > post.standing.len() && repo.get(&last_key).await?.is_none() {
        return Ok(Lookup::NotFound);
    }
    let first = repo.get(&first_key).await?;
    Ok(first.map_or(Lookup::NotFound, |found| Lookup::Found(published(session, &found.uri, &first_key))))
}

/// What the next part answers: the last one written, else the last that stood before.
fn thread_end(stood: Option<&ReplyTo>, written: &[(String, StrongRef)]) -> Option<ReplyTo> {
    let last = written.last().map(|(_, part)| part);
    let root = stood.map(|stood| &stood.root).or(written.first().map(|(_, part)| part))?;
    let parent = last.or(stood.map(|stood| &stood.parent))?;
    Some(ReplyTo { root: root.clone(), parent: parent.clone() })
}

fn published(session: &Session, uri: &str, rkey: &str) -> Published {
    Published { remote_id: uri.to_string(), url: Some(session.post_url(uri, rkey)) }
}

/// The account's posts.
struct Repo<'r> {
    xrpc: &'r Xrpc,
    session: &'r Session,
    deadline: Deadline,
}

impl Repo<'_> {
    async fn put(&self, rkey: &str, record: Value) -> Result<StrongRef, XrpcError> {
        let payload = json!({
            "repo": self.session.did,
            "collection": COLLECTION,
            "rkey": rkey,
            "record": record,
        });
        self.xrpc.procedure(self.call("com.atproto.repo.putRecord"), Payload::Json(payload)).await
    }

    async fn delete(&self, rkey: &str) -> Result<(), XrpcError> {
        let payload = json!({"repo": self.session.did, "collection": COLLECTION, "rkey": rkey});
        let call = self.call("com.atproto.repo.deleteRecord");
        self.xrpc.procedure::<Value>(call, Payload::Json(payload)).await.map(|_| ())
    }

    /// The first and the last of the parts that stand, for what answers them.
    async fn ends_of_thread(
        &self,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Option<ReplyTo>, ProviderError> {
        let Some(last) = post.standing.len().checked_sub(1) else { return Ok(None) };
        let gone = || {
            let message = "an earlier part of the thread was deleted on Bluesky";
            ProviderError::new(FailureClass::BadContent, message)
        };
        let root = self.get(&tid(handle, post.at, 0)).await?.ok_or_else(gone)?;
        let parent = match last {
            0 => root.clone(),
            last => self.get(&tid(handle, post.at, last)).await?.ok_or_else(gone)?,
        };
        Ok(Some(ReplyTo { root, parent }))
    }

    /// The record's address and version, if it is there.
    async fn get(&self, rkey: &str) -> Result<Option<StrongRef>, XrpcError> {
        let call = Call { token: None, effect: Effect::Read, ..self.call("com.atproto.repo.getRecord") };
        let parameters = [("repo", self.session.did.as_str()), ("collection", COLLECTION), ("rkey", rkey)];
        match self.xrpc.query::<StrongRef>(call, &parameters).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is(RECORD_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn call<'c>(&'c self, method: &'c str) -> Call<'c> {
        Call {
            server: &self.session.pds,
            method,
            token: Some(&self.session.access_jwt),
            effect: Effect::Write,
            deadline: self.deadline,
        }
    }

    /// What a failure means when earlier parts stand: the platform has acted, so it is not simply a failure.
    async fn half_written(&self, error: ProviderError, written: &[(String, StrongRef)]) -> ProviderError {
        if written.is_empty() {
            return error;
        }
        match error.class {
            // Repeated with a fresh token at once, which goes over the same parts again.
            FailureClass::RefreshToken | FailureClass::OutcomeUnknown => error,
            // It can't be completed: take back what stands.
            FailureClass::BadContent if self.take_back(written).await.is_ok() => error,
            _ => {
                let message =
                    format!("only {} of the thread's parts stand: {}", written.len(), error.message);
                let retry_after = error.retry_after;
                let unknown = ProviderError::new(FailureClass::OutcomeUnknown, message).caused_by(error);
                ProviderError { retry_after, ..unknown }
            }
        }
    }

    async fn take_back(&self, written: &[(String, StrongRef)]) -> Result<(), XrpcError> {
        for (rkey, _) in written.iter().rev() {
            self.delete(rkey).await?;
        }
        Ok(())
    }
}
