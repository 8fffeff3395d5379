//! Writing a post, or a thread, under keys that are the same in every attempt; and asking for it.

use annals_commands::ports::social::{
    FailureClass, Lookup, OutgoingPost, ProviderError, PublishHandle, Published,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    identity::accounts_mentioned,
    record::{COLLECTION, ReplyTo, StrongRef, record},
    session::Session,
    text,
    tid::tid,
    xrpc::{Call, Payload, RECORD_NOT_FOUND, Xrpc, XrpcError},
};
use crate::net::{Deadline, Effect};

/// Writes the parts in order, each as an answer to the one before. Doing so again changes nothing.
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
    let mut written: Vec<(String, StrongRef)> = Vec::with_capacity(post.parts.len());
    for (part, text) in post.parts.iter().enumerate() {
        let reply = reply_to(&written);
        let rkey = tid(handle, post.at, part);
        match repo.put(&rkey, record(text, post.at, &accounts, reply.as_ref())).await {
            Ok(reference) => written.push((rkey, reference)),
            Err(error) => return Err(repo.half_written(error.into(), &written).await),
        }
    }
    let (rkey, first) = written.into_iter().next().expect("the check refuses a post without parts");
    Ok(published(session, &first.uri, &rkey))
}

/// Found if the first and the last part are there: they are written in order.
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
    let first_key = tid(handle, post.at, 0);
    if last > 0 && repo.get(&last_key).await?.is_none() {
        return Ok(Lookup::NotFound);
    }
    let first = repo.get(&first_key).await?;
    Ok(first.map_or(Lookup::NotFound, |uri| Lookup::Found(published(session, &uri, &first_key))))
}

fn reply_to(written: &[(String, StrongRef)]) -> Option<ReplyTo> {
    let ((_, root), (_, parent)) = (written.first()?, written.last()?);
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

    /// The record's address, if it is there.
    async fn get(&self, rkey: &str) -> Result<Option<String>, XrpcError> {
        #[derive(Deserialize)]
        struct Found {
            uri: String,
        }
        let call = Call { token: None, effect: Effect::Read, ..self.call("com.atproto.repo.getRecord") };
        let parameters = [("repo", self.session.did.as_str()), ("collection", COLLECTION), ("rkey", rkey)];
        match self.xrpc.query::<Found>(call, &parameters).await {
            Ok(found) => Ok(Some(found.uri)),
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
