//! The command bus: who asks what of which aggregate, and the receipt.

mod context;
mod error;
mod work;

use std::{sync::Arc, time::Duration};

use annals_domain::Refusal;
use annals_eventstore::{Append, AppendError, EventStore, IdempotencyRef, Loaded, Receipt, StreamId};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use futures::future::BoxFuture;
use rand::Rng;

pub use context::{Context, IdempotencyKey};
pub use error::CommandError;
pub use work::Work;

use crate::{ports::clock::Clock, tiers::Tiers};

/// How often a command decides before its conflicts are the answer.
const TRIES_MAX: u32 = 8;

/// The first pause after a conflict is at most this, the next twice as long, and so on.
const CONFLICT_PAUSE_MS: u64 = 2;

/// What a command answered.
#[derive(Debug)]
pub struct Outcome<T> {
    pub receipt: Receipt,
    /// The version after the append of the first aggregate that got a command, or else of the
    /// first that was loaded; 0 when replayed.
    pub version: u64,
    /// What the command returned, unless this is the replay of an earlier call: then look at
    /// `receipt.result` and `receipt.shown_once`.
    pub value: Option<T>,
}

/// Executes commands. One per node, cheap to clone.
#[derive(Clone)]
pub struct CommandBus {
    store: EventStore,
    clock: Arc<dyn Clock>,
    tiers: Arc<Tiers>,
}

impl CommandBus {
    /// Without a policy of tiers: nothing is bounded.
    pub fn new(store: EventStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, tiers: Arc::new(Tiers::unlimited()) }
    }

    /// The same under a policy.
    #[must_use]
    pub fn with_tiers(self, tiers: Arc<Tiers>) -> Self {
        Self { tiers, ..self }
    }

    pub fn tiers(&self) -> &Arc<Tiers> {
        &self.tiers
    }

    pub fn store(&self) -> &EventStore {
        &self.store
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// An aggregate outside of a command, for rendering an answer or checking a session: as
    /// fresh as this node's cache, which is at most a moment behind what other nodes wrote.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn load<A>(&self, id: impl ToString + Send) -> Result<Loaded<A>, CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
    {
        Ok(self.store.load::<A>(&id.to_string()).await?)
    }

    /// An aggregate that lets somebody in, if it does. One that does not, as this node knows it, is asked of
    /// the database before it is believed: nobody is turned away for what another node wrote just now.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn load_admitting<A>(
        &self,
        id: impl ToString + Send,
        admits: impl Fn(&A) -> bool + Send,
    ) -> Result<Option<Arc<A>>, CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
    {
        let id = id.to_string();
        let known = self.store.load::<A>(&id).await?;
        if admits(&known.state) {
            return Ok(Some(known.state));
        }
        let stream = StreamId::of::<A>(&id);
        if self.store.confirm(&[(stream.clone(), known.version)]).await? {
            return Ok(None);
        }
        self.store.evict(&stream);
        let current = self.store.load::<A>(&id).await?.state;
        Ok(admits(&current).then_some(current))
    }

    /// One command on one aggregate. `name` is the command's name in the metadata.
    ///
    /// # Errors
    /// See [`CommandError`]; nothing is written then.
    pub async fn execute<A>(
        &self,
        context: &Context,
        name: &'static str,
        id: impl ToString + Send,
        command: A::Command,
    ) -> Result<Receipt, CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
        A::Command: Clone + Send + Sync,
        A::Error: Refusal,
    {
        let id = id.to_string();
        let outcome = self
            .transact(context, name, move |work| {
                let (id, command) = (id.clone(), command.clone());
                Box::pin(work.execute::<A>(id, command))
            })
            .await?;
        Ok(outcome.receipt)
    }

    /// Several aggregates, one append. `work` may run several times: a conflict evicts, reloads
    /// and decides again, at most 8 times. A hit on the idempotency key does not run it at all.
    ///
    /// Whatever was loaded but not written is confirmed at its version: within the append if there
    /// is one, else (a refusal, or nothing to append) by a read. So no node decides on a stale aggregate.
    ///
    /// # Errors
    /// See [`CommandError`]; nothing is written then.
    pub async fn transact<T, F>(
        &self,
        context: &Context,
        name: &'static str,
        work: F,
    ) -> Result<Outcome<T>, CommandError>
    where
        T: Send,
        F: for<'w> FnMut(&'w mut Work) -> BoxFuture<'w, Result<T, CommandError>> + Send,
    {
        let idempotency = self.reference(context);
        let answered = self.answer(context, name, idempotency.as_ref(), work).await;
        let outcome = match &answered {
            Ok(Outcome { value: Some(_), .. }) => "accepted",
            Ok(_) => "replayed",
            Err(error) => error.outcome(),
        };
        metrics::counter!("annals_commands_total", "command" => name, "outcome" => outcome).increment(1);
        answered
    }

    /// Whether a call under the context's idempotency key has had its effect already.
    ///
    /// # Errors
    /// [`CommandError::KeyReused`] if it was another request, or a log that can't be read.
    pub async fn is_answered(&self, context: &Context) -> Result<bool, CommandError> {
        Ok(self.earlier_receipt(self.reference(context).as_ref()).await?.is_some())
    }

    fn reference(&self, context: &Context) -> Option<IdempotencyRef> {
        context.idempotency.as_ref().map(|key| IdempotencyRef {
            scope: key.scope.clone(),
            key: key.key.clone(),
            request_digest: self.store.digest(&key.request),
        })
    }

    /// The earlier answer under this key, or else a decision that stands.
    async fn answer<T, F>(
        &self,
        context: &Context,
        name: &'static str,
        idempotency: Option<&IdempotencyRef>,
        mut work: F,
    ) -> Result<Outcome<T>, CommandError>
    where
        T: Send,
        F: for<'w> FnMut(&'w mut Work) -> BoxFuture<'w, Result<T, CommandError>> + Send,
    {
        if let Some(receipt) = self.earlier_receipt(idempotency).await? {
            return replay(receipt);
        }
        let mut tries = 1;
        loop {
            match Box::pin(self.attempt(context, name, idempotency, &mut work)).await {
                Attempt::Answered(answer) => return answer,
                Attempt::Moved(last) if tries == TRIES_MAX => return Err(last),
                Attempt::Moved(_) => {
                    metrics::counter!("annals_command_conflicts_total", "command" => name).increment(1);
                    conflict_pause(tries).await;
                    tries += 1;
                }
            }
        }
    }

    /// Decides once on what this node knows, and finds out whether that was current.
    async fn attempt<T, F>(
        &self,
        context: &Context,
        name: &'static str,
        idempotency: Option<&IdempotencyRef>,
        work: &mut F,
    ) -> Attempt<T>
    where
        T: Send,
        F: for<'w> FnMut(&'w mut Work) -> BoxFuture<'w, Result<T, CommandError>> + Send,
    {
        let (store, tiers) = (self.store.clone(), Arc::clone(&self.tiers));
        let mut collected = Work::new(store, tiers, self.clock.now(), context.expected_version);
        match work(&mut collected).await {
            Ok(value) if collected.changes_nothing() && idempotency.is_none() => {
                self.confirm(collected, value).await
            }
            Ok(value) => {
                let append = collected.take_append(context, name, idempotency.cloned());
                self.append(collected, append, value).await
            }
            Err(error) if error.is_a_decision() => self.refuse(collected, error, idempotency).await,
            Err(error) => Attempt::Answered(Err(error)),
        }
    }

    async fn append<T>(&self, work: Work, append: Append, value: T) -> Attempt<T> {
        match self.store.append(append).await {
            Ok(receipt) if receipt.replayed => Attempt::Answered(replay(receipt)),
            Ok(receipt) => {
                let version = work.leading_version(&receipt);
                Attempt::Answered(Ok(Outcome { receipt, version, value: Some(value) }))
            }
            Err(AppendError::VersionConflict { expected, actual, .. }) => {
                self.evict(&work);
                Attempt::Moved(CommandError::VersionConflict { expected, actual })
            }
            Err(error @ AppendError::AssertFailed { .. }) => {
                self.evict(&work);
                Attempt::Moved(CommandError::Append(error))
            }
            // A work that looked at the claim before decided on its absence, and may decide otherwise now.
            Err(AppendError::ClaimTaken { key, .. }) if work.has_read_claim(&key) => {
                self.evict(&work);
                Attempt::Moved(CommandError::ClaimTaken(key))
            }
            Err(AppendError::ClaimTaken { key, .. }) => Attempt::Answered(Err(CommandError::ClaimTaken(key))),
            Err(AppendError::KeyReused) => Attempt::Answered(Err(CommandError::KeyReused)),
            Err(error) => Attempt::Answered(Err(CommandError::Append(error))),
        }
    }

    /// Nothing to append: what the work relied on is asked of the database instead.
    async fn confirm<T>(&self, work: Work, value: T) -> Attempt<T> {
        let confirmed = async {
            let versions = work.versions();
            // It stands on the claims it read too. They are asked again after the versions, so there
            // was a moment, while the versions were confirmed, when all of it held together.
            Ok::<_, CommandError>(
                (versions.is_empty() || self.store.confirm(&versions).await?)
                    && self.claims_stand(&work).await?,
            )
        };
        match confirmed.await {
            Err(error) => Attempt::Answered(Err(error)),
            Ok(false) => {
                self.evict(&work);
                let what = "what the command relied on".to_string();
                Attempt::Moved(CommandError::Append(AppendError::AssertFailed { what }))
            }
            Ok(true) => Attempt::Answered(self.head_receipt(work).await.map(|(receipt, version)| Outcome {
                receipt,
                version,
                value: Some(value),
            })),
        }
    }

    /// A refusal stands only if it was decided on what is current, and if no other call under the
    /// same idempotency key was what made it refuse.
    async fn refuse<T>(
        &self,
        work: Work,
        error: CommandError,
        idempotency: Option<&IdempotencyRef>,
    ) -> Attempt<T> {
        let versions = work.versions();
        let confirmed = if versions.is_empty() { Ok(true) } else { self.store.confirm(&versions).await };
        match confirmed {
            Err(unreachable) => return Attempt::Answered(Err(unreachable.into())),
            Ok(false) => {
                self.evict(&work);
                return Attempt::Moved(error);
            }
            Ok(true) => {}
        }
        Attempt::Answered(match self.earlier_receipt(idempotency).await {
            Ok(Some(receipt)) => replay(receipt),
            Ok(None) => Err(error),
            Err(unreachable) => Err(unreachable),
        })
    }

    async fn earlier_receipt(
        &self,
        idempotency: Option<&IdempotencyRef>,
    ) -> Result<Option<Receipt>, CommandError> {
        let Some(reference) = idempotency else { return Ok(None) };
        self.store.find_receipt(reference).await.map_err(|error| match error {
            AppendError::KeyReused => CommandError::KeyReused,
            other => CommandError::Append(other),
        })
    }

    async fn claims_stand(&self, work: &Work) -> Result<bool, CommandError> {
        for (key, holder) in work.claims_read() {
            if self.store.claim_holder(key).await? != *holder {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The receipt of a command that changed nothing: whoever reads up to it sees what it saw.
    async fn head_receipt(&self, mut work: Work) -> Result<(Receipt, u64), CommandError> {
        let (result, shown_once) = work.take_answer();
        let receipt = Receipt {
            position: self.store.head().await?,
            recorded_at: self.clock.now(),
            versions: work.versions(),
            result,
            shown_once,
            shown_once_expired: false,
            replayed: false,
        };
        let version = work.leading_version(&receipt);
        Ok((receipt, version))
    }

    fn evict(&self, work: &Work) {
        for (stream, _) in work.versions() {
            self.store.evict(&stream);
        }
    }
}

/// What became of one try.
enum Attempt<T> {
    Answered(Result<Outcome<T>, CommandError>),
    /// Something it relied on has moved; the error is the answer if this was the last try.
    Moved(CommandError),
}

fn replay<T>(receipt: Receipt) -> Result<Outcome<T>, CommandError> {
    if receipt.shown_once_expired {
        return Err(CommandError::AnswerExpired);
    }
    Ok(Outcome { receipt, version: 0, value: None })
}

/// Full jitter: two writers of one stream must not meet again at each try.
async fn conflict_pause(tries: u32) {
    let most = CONFLICT_PAUSE_MS << (tries - 1);
    let pause_ms = rand::rng().random_range(0..=most);
    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
}

/// The stream of an aggregate.
fn stream_of<A: Aggregate>(id: impl ToString) -> StreamId {
    StreamId::of::<A>(id)
}
