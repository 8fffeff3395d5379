//! One who listens: first what they missed, then what comes, as long as they may and keep up.

use std::{sync::Arc, time::Duration};

use annals_domain::{
    identity::{ApiKey, Organization, Session, User},
    kernel::OrganizationId,
};
use annals_eventstore::{HistoryQuery, Opening, RecordedEvent, StreamId};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc, oneshot},
    time::Instant,
};

use super::{
    RESOURCE,
    hub::{Batch, Shown},
    word::{Reason, Word},
};
use crate::{
    engagement,
    history::{self, Scope},
    http::{ApiError, Caller, Credential},
    state::AppState,
};

/// Words that wait for the network.
const WORDS_MAX: usize = 64;
/// Who takes nothing for so long is let go.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events of the past that are read at once.
const PAGE_EVENTS: usize = 200;
const SEARCHED_FOR: Duration = Duration::from_secs(2);

/// What is listened for; empty: everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// An event type or its beginning up to a dot.
    pub(super) event_type: Option<String>,
    pub(super) aggregate_type: Option<String>,
    pub(super) aggregate_id: Option<String>,
}

impl Wanted {
    fn has(&self, event: &RecordedEvent) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        let of_type = self.event_type.as_ref().is_none_or(|wanted| {
            event.event_type.strip_prefix(wanted.as_str()).is_some_and(|rest| {
                // `publishing.post` is no beginning of `publishing.posting`.
                rest.is_empty() || rest.starts_with('.')
            })
        });
        of_type
            && is(&self.aggregate_type, &event.stream.aggregate_type)
            && is(&self.aggregate_id, &event.stream.aggregate_id)
    }
}

/// What a listener may see.
#[derive(Clone, Copy, Debug)]
struct Sight {
    scope: Scope,
    /// Everything but what is sealed; else that it happened.
    is_full: bool,
}

impl Sight {
    /// # Errors
    /// 403 without the right `live:read`.
    fn of(caller: &Caller) -> Result<Self, ApiError> {
        caller.require(RESOURCE, "read")?;
        Ok(match caller.may(history::RESOURCE, "read") {
            true => Self { scope: Scope::of(caller)?, is_full: true },
            false => Self {
                scope: Scope::Organization(OrganizationId::new(caller.organization_id.uuid())),
                is_full: false,
            },
        })
    }
}

struct Listener {
    state: AppState,
    caller: Caller,
    wanted: Wanted,
    sight: Sight,
    /// Everything up to here was told, or is not for this listener.
    position: u64,
    words: mpsc::Sender<Word>,
}

/// Why a listener is let go.
enum Gone {
    /// They left by themselves.
    Left,
    Told(Word),
}

/// The words for one listener; the last one comes when the others are taken.
pub(super) struct Words {
    words: mpsc::Receiver<Word>,
    last: Option<oneshot::Receiver<Word>>,
}

impl Words {
    /// The next word; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Word> {
        if let Some(word) = self.words.recv().await {
            return Some(word);
        }
        self.last.take()?.await.ok()
    }
}

/// Begins to listen: after a position, or from now on.
///
/// # Errors
/// 403 without the right; 503 if the log can't be read.
pub(super) async fn listen(
    state: &AppState,
    caller: Caller,
    wanted: Wanted,
    after: Option<u64>,
) -> Result<Words, ApiError> {
    let sight = Sight::of(&caller)?;
    let head = state.bus.store().head().await?;
    // A position that is not there yet is from another log, or made up: what comes is what there is.
    let position = after.map_or(head, |after| after.min(head));
    let (words, taken) = mpsc::channel(WORDS_MAX);
    let (last, told) = oneshot::channel();
    let listener = Listener { state: state.clone(), caller, wanted, sight, position, words };
    tokio::spawn(async move {
        let counted = Counted::new();
        if let Gone::Told(word) = listener.run().await {
            // They may have left meanwhile.
            drop(last.send(word));
        }
        drop(counted);
    });
    Ok(Words { words: taken, last: Some(told) })
}

/// One of those that listen, in the metrics.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("annals_live_listeners").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("annals_live_listeners").decrement(1.0);
    }
}

impl Listener {
    async fn run(mut self) -> Gone {
        let Err(gone) = self.follow().await;
        gone
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, Gone> {
        self.tell(Word::Heartbeat { position: self.position }).await?;
        // What takes long is read first; then nothing is between the log and what comes.
        Box::pin(self.catch_up()).await?;
        let hub = self.state.edge.live.clone();
        let mut batches = self.told(Box::pin(hub.join(self.state.bus.store())).await)?;
        Box::pin(self.catch_up()).await?;
        let mut beat = Instant::now() + HEARTBEAT;
        loop {
            let received = tokio::select! {
                () = self.words.closed() => return Err(Gone::Left),
                () = hub.closing().cancelled() => return Err(self.resume(Reason::Unavailable)),
                received = batches.recv() => Some(received),
                () = tokio::time::sleep_until(beat) => None,
            };
            match received {
                Some(Ok(batch)) => {
                    if Box::pin(self.take(&batch)).await? {
                        beat = Instant::now() + HEARTBEAT;
                    }
                }
                Some(Err(RecvError::Lagged(_))) => return Err(self.resume(Reason::Slow)),
                Some(Err(RecvError::Closed)) => return Err(self.resume(Reason::Unavailable)),
                None => {
                    Box::pin(self.look_again()).await?;
                    self.tell(Word::Heartbeat { position: self.position }).await?;
                    beat = Instant::now() + HEARTBEAT;
                }
            }
        }
    }

    /// Tells what of a batch is for this listener; whether anything was.
    async fn take(&mut self, batch: &Batch) -> Result<bool, Gone> {
        if batch.after > self.position {
            self.catch_up().await?;
        }
        if batch.events.iter().any(|shown| self.is_about_caller(&shown.event.stream)) {
            self.look_again().await?;
        }
        let told = self.tell_all(&batch.events).await?;
        self.position = self.position.max(batch.position);
        Ok(told)
    }

    /// Reads what is between the listener and the log's head.
    async fn catch_up(&mut self) -> Result<(), Gone> {
        let store = self.state.bus.store().clone();
        let head = self.told(store.head().await)?;
        let mut query = HistoryQuery {
            to: head,
            event_type: self.wanted.event_type.clone(),
            aggregate_type: self.wanted.aggregate_type.clone(),
            aggregate_id: self.wanted.aggregate_id.clone(),
            ..HistoryQuery::default()
        };
        while self.position < head {
            self.look_again().await?;
            query.from = self.position + 1;
            query.organization = self.sight.scope.organization();
            let page = self.told(store.history(&query, PAGE_EVENTS, SEARCHED_FOR).await)?;
            let events = self.told(store.open_events(&page.events, Opening::Nothing).await)?;
            self.tell_all(&Shown::all(events)).await?;
            self.position = page.next.map_or(head, |next| next - 1);
        }
        Ok(())
    }

    async fn tell_all(&mut self, events: &[Arc<Shown>]) -> Result<bool, Gone> {
        let mut told = false;
        for shown in events.iter().filter(|shown| shown.event.position > self.position) {
            if !(self.wanted.has(&shown.event) && self.sight.scope.sees(&shown.event)) {
                continue;
            }
            let Some(is_full) = self.sees(shown) else { continue };
            self.tell(Word::Event { shown: Arc::clone(shown), is_full }).await?;
            told = true;
        }
        if let Some(last) = events.last() {
            self.position = self.position.max(last.event.position);
        }
        Ok(told)
    }

    /// Whether all of an event is shown or only that it happened; `None` if neither. What is one
    /// person's own is whole for them, and for those who may read history; others hear nothing of it.
    fn sees(&self, shown: &Shown) -> Option<bool> {
        let Some(inbox) = shown.inbox() else { return Some(self.sight.is_full) };
        let is_own = inbox == engagement::inbox_of(&self.caller).to_string();
        (is_own || self.sight.is_full).then_some(true)
    }

    async fn tell(&self, word: Word) -> Result<(), Gone> {
        match self.words.send_timeout(word, TAKEN_WITHIN).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(Gone::Left),
            // What waits is still sent, then this.
            Err(mpsc::error::SendTimeoutError::Timeout(word)) => Err(Gone::Told(Word::Resume {
                after: match word {
                    Word::Event { shown, .. } => shown.event.position - 1,
                    _ => self.position,
                },
                reason: Reason::Slow,
            })),
        }
    }

    /// Whether the session, the key or the membership still holds, and what may be seen now.
    async fn look_again(&mut self) -> Result<(), Gone> {
        let now = self.caller.still(&self.state.edge).await;
        let now = now.and_then(|caller| Ok((Sight::of(&caller)?, caller)));
        (self.sight, self.caller) = self.told(now)?;
        Ok(())
    }

    /// Whether what happens to a stream may end this one, or change what it shows.
    fn is_about_caller(&self, stream: &StreamId) -> bool {
        let is = |other: StreamId| *stream == other;
        let credential = match &self.caller.credential {
            Credential::Session(id) => is(StreamId::of::<Session>(id)),
            Credential::ApiKey { id, .. } => is(StreamId::of::<ApiKey>(id)),
        };
        credential
            || is(StreamId::of::<User>(self.caller.user_id))
            || is(StreamId::of::<Organization>(self.caller.organization_id))
    }

    fn resume(&self, reason: Reason) -> Gone {
        Gone::Told(Word::Resume { after: self.position, reason })
    }

    /// An error as the last word: who may not go on is told so, who may is told where.
    fn told<T, E: Into<ApiError>>(&self, done: Result<T, E>) -> Result<T, Gone> {
        done.map_err(|error| {
            let error: ApiError = error.into();
            if error.status.is_client_error() {
                return Gone::Told(Word::End { code: error.code, message: error.message });
            }
            tracing::warn!(%error, cause = error.cause.as_deref(), "a live stream is cut");
            self.resume(Reason::Unavailable)
        })
    }
}
