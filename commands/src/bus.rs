//! The command bus: who asks what of which aggregate, and the receipt.

use std::sync::Arc;

use annals_domain::Refusal;
use annals_eventstore::{
    Actor, AppendError, ClaimKey, ClientInfo, EventStore, LoadError, Receipt, Source, StoreError,
};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::ports::clock::Clock;

/// Who commands, for which organization, why, and under which key.
#[derive(Clone, Debug)]
pub struct Context {
    pub actor: Actor,
    pub organization_id: Option<Uuid>,
    pub source: Source,
    pub correlation_id: Uuid,
    /// The event that caused this, for process managers.
    pub causation_id: Option<Uuid>,
    pub request_id: Option<String>,
    pub trace_parent: Option<String>,
    pub client: Option<ClientInfo>,
    /// Whose personal data `client` is (`user:…`); the command may set it with [`Work::client_subject`].
    pub client_subject: Option<String>,
    pub idempotency: Option<IdempotencyKey>,
    /// `If-Match`: the version the first loaded aggregate must have.
    pub expected_version: Option<u64>,
}

impl Context {
    /// A context for a process manager's command, caused by an event, with a key derived from it.
    pub fn process(name: &str, caused_by: &annals_eventstore::RecordedEvent, step: &str) -> Self {
        Self {
            actor: Actor { kind: annals_eventstore::ActorKind::Process, id: Some(name.to_string()) },
            organization_id: caused_by.metadata.organization_id,
            source: Source::Worker,
            correlation_id: caused_by.metadata.correlation_id,
            causation_id: Some(caused_by.event_id),
            request_id: None,
            trace_parent: caused_by.metadata.trace_parent.clone(),
            client: None,
            client_subject: None,
            idempotency: Some(IdempotencyKey {
                scope: format!("process:{name}"),
                key: format!("{}:{}:{step}", caused_by.event_id, caused_by.part),
                request: Vec::new(),
            }),
            expected_version: None,
        }
    }
}

/// What the caller gave to have the effect once.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// Actor and organization, or the route for anonymous calls.
    pub scope: String,
    pub key: String,
    /// Method, path and body of the request; only an HMAC of it is kept.
    pub request: Vec<u8>,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The aggregate said no; its words are for the caller.
    #[error("{0}")]
    Refused(Box<dyn Refusal>),
    /// `If-Match` named another version, or conflicts did not end within the tries.
    #[error("the version is {actual}, not {expected}")]
    VersionConflict { expected: u64, actual: u64 },
    #[error("the key in {} is taken", .0.namespace())]
    ClaimTaken(ClaimKey),
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("the answer to the first call with this key showed a secret and can't be shown again")]
    AnswerExpired,
    #[error(transparent)]
    Append(AppendError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommandError {
    /// For `map_err` on what an aggregate or a check refused.
    pub fn refused(refusal: impl Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// What a command answered.
#[derive(Debug)]
pub struct Outcome<T> {
    pub receipt: Receipt,
    /// The version of the first aggregate that was written or loaded; 0 when replayed.
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
}

#[expect(clippy::todo, unused_variables, reason = "the bodies are being written")]
impl CommandBus {
    pub fn new(store: EventStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    pub fn store(&self) -> &EventStore {
        &self.store
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
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
        todo!()
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
        todo!()
    }
}

/// What a command does, collected for one append.
pub struct Work {
    _private: (),
}

#[expect(clippy::todo, unused_variables, reason = "the bodies are being written")]
impl Work {
    /// The time of this try.
    pub fn now(&self) -> DateTime<Utc> {
        todo!()
    }

    /// A new UUIDv7.
    pub fn new_id(&self) -> Uuid {
        todo!()
    }

    /// An aggregate, as this work's own commands left it.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn load<A>(&mut self, id: impl ToString + Send) -> Result<Arc<A>, CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
    {
        todo!()
    }

    /// A command on an aggregate; its events join the append. Several commands on one aggregate
    /// are fine: each sees what those before it did.
    ///
    /// # Errors
    /// The aggregate's refusal, or a log that can't be read.
    pub async fn execute<A>(
        &mut self,
        id: impl ToString + Send,
        command: A::Command,
    ) -> Result<(), CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
        A::Command: Send + Sync,
        A::Error: Refusal,
    {
        todo!()
    }

    /// The same, for facts that stand in any order: appended at whatever version the stream has.
    ///
    /// # Errors
    /// As [`Work::execute`].
    pub async fn execute_at_any_version<A>(
        &mut self,
        id: impl ToString + Send,
        command: A::Command,
    ) -> Result<(), CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
        A::Command: Send + Sync,
        A::Error: Refusal,
    {
        todo!()
    }

    /// Takes a unique key for `holder` with this append.
    pub fn take_claim(&mut self, key: ClaimKey, holder: impl ToString) {
        todo!()
    }

    pub fn release_claim(&mut self, key: ClaimKey, holder: impl ToString) {
        todo!()
    }

    /// Who holds a key, confirmed when the work commits.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn claim_holder(&mut self, key: &ClaimKey) -> Result<Option<String>, CommandError> {
        todo!()
    }

    /// Destroys the keys of a subject or owner (`user:…`, `integration:…`) with this append.
    pub fn forget(&mut self, subject: impl ToString) {
        todo!()
    }

    /// Whose personal data the client's address is, if only the command knows (registration, login).
    pub fn client_subject(&mut self, subject: impl ToString) {
        todo!()
    }

    /// Ids for the answer to a retry under the same idempotency key.
    pub fn result(&mut self, result: serde_json::Value) {
        todo!()
    }

    /// An answer that shows a secret once: kept sealed for 10 minutes for a retry.
    pub fn shown_once(&mut self, answer: Vec<u8>) {
        todo!()
    }
}
