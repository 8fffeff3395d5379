//! What one try of a command loads, decides and collects.

use std::{any::Any, collections::HashMap, sync::Arc};

use annals_domain::Refusal;
use annals_eventstore::{
    Append, AppendError, Assert, Claim, ClaimKey, EventStore, Expected, Idempotency, IdempotencyRef,
    NewEvent, Receipt, StreamAppend, StreamId,
};
use chrono::{DateTime, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use uuid::Uuid;

use super::{CommandError, Context, stream_of};
use crate::tiers::Tiers;

/// What a command does, collected for one append.
pub struct Work {
    store: EventStore,
    tiers: Arc<Tiers>,
    now: DateTime<Utc>,
    /// `If-Match`, until the first command took it.
    expected_version: Option<u64>,
    /// In the order in which they were first opened.
    opened: Vec<Opened>,
    /// Where each stream is in `opened`.
    places: HashMap<StreamId, usize>,
    /// The first aggregate that got a command.
    leading: Option<usize>,
    claims: Vec<Claim>,
    claims_read: HashMap<ClaimKey, Option<String>>,
    forget: Vec<String>,
    client_subject: Option<String>,
    result: serde_json::Value,
    shown_once: Option<Vec<u8>>,
}

/// An aggregate that this work loaded, as its own commands left it.
struct Opened {
    stream: StreamId,
    /// When it was loaded.
    version: u64,
    state: Arc<dyn Any + Send + Sync>,
    events: Vec<NewEvent>,
    order: Order,
}

/// Whether the events must follow the version they were decided on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Free,
    Strict,
}

impl Work {
    pub(super) fn new(
        store: EventStore,
        tiers: Arc<Tiers>,
        now: DateTime<Utc>,
        expected_version: Option<u64>,
    ) -> Self {
        Self {
            store,
            tiers,
            now,
            expected_version,
            opened: Vec::new(),
            places: HashMap::new(),
            leading: None,
            claims: Vec::new(),
            claims_read: HashMap::new(),
            forget: Vec::new(),
            client_subject: None,
            result: serde_json::Value::Null,
            shown_once: None,
        }
    }

    /// The time of this try.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// What organizations may have, by their tier.
    pub(crate) fn tiers(&self) -> Arc<Tiers> {
        Arc::clone(&self.tiers)
    }

    /// A new UUIDv7.
    pub fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    /// An aggregate, as this work's own commands left it.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn load<A>(&mut self, id: impl ToString + Send) -> Result<Arc<A>, CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
    {
        let place = self.open::<A>(id.to_string()).await?;
        Ok(self.state_at(place))
    }

    /// The version of an aggregate when this work loaded it; what its own commands added does not count.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn version<A>(&mut self, id: impl ToString + Send) -> Result<u64, CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
    {
        let place = self.open::<A>(id.to_string()).await?;
        Ok(self.opened[place].version)
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
        self.decide::<A>(id.to_string(), command, Order::Strict).await
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
        self.decide::<A>(id.to_string(), command, Order::Free).await
    }

    /// Takes a unique key for `holder` with this append.
    pub fn take_claim(&mut self, key: ClaimKey, holder: impl ToString) {
        self.claims.push(Claim::Take { key, holder: holder.to_string() });
    }

    pub fn release_claim(&mut self, key: ClaimKey, holder: impl ToString) {
        self.claims.push(Claim::Release { key, holder: holder.to_string() });
    }

    /// Who holds a key, confirmed when the work commits.
    ///
    /// # Errors
    /// If the log can't be read.
    pub async fn claim_holder(&mut self, key: &ClaimKey) -> Result<Option<String>, CommandError> {
        if let Some(holder) = self.claims_read.get(key) {
            return Ok(holder.clone());
        }
        let holder = self.store.claim_holder(key).await?;
        self.claims_read.insert(key.clone(), holder.clone());
        Ok(holder)
    }

    /// Destroys the keys of a subject or owner (`user:…`, `integration:…`) with this append.
    pub fn forget(&mut self, subject: impl ToString) {
        self.forget.push(subject.to_string());
    }

    /// Whose personal data the client's address is, if only the command knows (registration, login).
    pub fn client_subject(&mut self, subject: impl ToString) {
        self.client_subject = Some(subject.to_string());
    }

    /// Takes back everything that was collected: what was asked was only tried. That it could be done is still
    /// confirmed at the versions it was decided on.
    pub fn discard(&mut self) {
        for opened in &mut self.opened {
            opened.events.clear();
        }
        self.claims.clear();
        self.forget.clear();
    }

    /// Ids for the answer to a retry under the same idempotency key.
    pub fn result(&mut self, result: serde_json::Value) {
        self.result = result;
    }

    /// An answer that shows a secret once: kept sealed for 10 minutes for a retry.
    pub fn shown_once(&mut self, answer: Vec<u8>) {
        self.shown_once = Some(answer);
    }

    async fn decide<A>(&mut self, id: String, command: A::Command, order: Order) -> Result<(), CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
        A::Command: Send + Sync,
        A::Error: Refusal,
    {
        let place = self.open::<A>(id).await?;
        self.leading.get_or_insert(place);
        let order = if self.check_expected_version(place)? { Order::Strict } else { order };
        let mut state = A::clone(&self.state_at::<A>(place));
        let sink = EventSink::default();
        state.handle(command, &(), &sink).await.map_err(CommandError::refused)?;
        // `EventSink::write` has applied each event to `state` already.
        let events = sink.collect().await;
        if events.is_empty() {
            return Ok(());
        }
        let opened = &mut self.opened[place];
        for event in &events {
            let event = NewEvent::of(Uuid::now_v7(), event).map_err(|error| {
                CommandError::Append(AppendError::Malformed { why: format!("{}: {error}", A::TYPE) })
            })?;
            opened.events.push(event);
        }
        opened.state = Arc::new(state);
        if order == Order::Strict {
            opened.order = Order::Strict;
        }
        Ok(())
    }

    /// Whether `If-Match` was given for this command, which then holds for its append too.
    fn check_expected_version(&mut self, place: usize) -> Result<bool, CommandError> {
        let actual = self.opened[place].version;
        match self.expected_version.take() {
            Some(expected) if expected != actual => Err(CommandError::VersionConflict { expected, actual }),
            given => Ok(given.is_some()),
        }
    }

    async fn open<A>(&mut self, id: String) -> Result<usize, CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
    {
        let stream = stream_of::<A>(&id);
        if let Some(place) = self.places.get(&stream) {
            return Ok(*place);
        }
        let loaded = self.store.load::<A>(&id).await?;
        let place = self.opened.len();
        self.opened.push(Opened {
            stream: stream.clone(),
            version: loaded.version,
            state: loaded.state,
            events: Vec::new(),
            order: Order::Free,
        });
        self.places.insert(stream, place);
        Ok(place)
    }

    fn state_at<A: Aggregate + 'static>(&self, place: usize) -> Arc<A> {
        let state = Arc::clone(&self.opened[place].state);
        state.downcast().expect("no two types of aggregate share one `TYPE`")
    }
}

/// What the bus asks of a finished work.
impl Work {
    pub(super) fn changes_nothing(&self) -> bool {
        self.claims.is_empty()
            && self.forget.is_empty()
            && self.opened.iter().all(|opened| opened.events.is_empty())
    }

    /// Every stream it loaded, at the version it was loaded at.
    pub(super) fn versions(&self) -> Vec<(StreamId, u64)> {
        self.opened.iter().map(|opened| (opened.stream.clone(), opened.version)).collect()
    }

    pub(super) fn claims_read(&self) -> impl Iterator<Item = (&ClaimKey, &Option<String>)> {
        self.claims_read.iter()
    }

    pub(super) fn has_read_claim(&self, key: &ClaimKey) -> bool {
        self.claims_read.contains_key(key)
    }

    /// The version of [`super::Outcome`].
    pub(super) fn leading_version(&self, receipt: &Receipt) -> u64 {
        let Some(leading) = self.opened.get(self.leading.unwrap_or(0)) else { return 0 };
        let written = receipt.versions.iter().find(|(stream, _)| *stream == leading.stream);
        written.map_or(leading.version, |(_, version)| *version)
    }

    pub(super) fn take_answer(&mut self) -> (serde_json::Value, Option<Vec<u8>>) {
        (std::mem::take(&mut self.result), self.shown_once.take())
    }

    /// Everything it collected, with an assertion for all it relied on and does not write.
    /// Takes the events, claims and answers out of it.
    pub(super) fn take_append(
        &mut self,
        context: &Context,
        name: &'static str,
        idempotency: Option<IdempotencyRef>,
    ) -> Append {
        let mut append = Append::new(context.metadata(name, self.client_subject.as_deref()));
        for opened in &mut self.opened {
            let stream = opened.stream.clone();
            if opened.events.is_empty() {
                append.asserts.push(Assert::StreamVersion { stream, version: opened.version });
                continue;
            }
            let expected = match opened.order {
                Order::Strict => Expected::Exact(opened.version),
                Order::Free => Expected::Any,
            };
            append.streams.push(StreamAppend {
                stream,
                expected,
                events: std::mem::take(&mut opened.events),
            });
        }
        let claims_read = self.claims_read.iter();
        append.asserts.extend(
            claims_read.map(|(key, holder)| Assert::ClaimHolder { key: key.clone(), holder: holder.clone() }),
        );
        append.claims = std::mem::take(&mut self.claims);
        append.forget = std::mem::take(&mut self.forget);
        let (result, shown_once) = self.take_answer();
        append.idempotency = idempotency.map(|reference| Idempotency { reference, result, shown_once });
        append
    }
}
