//! The node's one subscription to the log, shared by all who listen.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use annals_domain::engagement::{Inbox, InboxId, Notification, NotificationEvent};
use annals_eventstore::{EventStore, Filter, Opening, RecordedEvent, StoreError, Subscription};
use cqrs_es::Aggregate as _;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::word::Notice;
use crate::{history::EventView, http::ApiError};

/// Batches that wait for the slowest listener; who is further behind is let go.
const BATCHES_MAX: usize = 256;
const BATCH_EVENTS: usize = 500;
/// How many may listen on one node.
const LISTENERS_MAX: usize = 20_000;
/// With nobody listening for so long, the subscription ends until somebody does.
const IDLE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(500);

/// What the subscription gave at once: everything after `after` up to `position`.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) after: u64,
    pub(super) position: u64,
    pub(super) events: Vec<Arc<Shown>>,
}

/// An event with what is told of it, written once for all who listen.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) event: RecordedEvent,
    /// Whether none with its position follows (see [`RecordedEvent::part`]).
    pub(super) is_whole: bool,
    full: OnceLock<Box<RawValue>>,
    notice: OnceLock<Box<RawValue>>,
    /// Whose inbox it is about, if it is about one.
    inbox: OnceLock<Option<String>>,
}

impl Shown {
    /// In order of position.
    pub(super) fn all(events: Vec<RecordedEvent>) -> Vec<Arc<Self>> {
        let next: Vec<Option<u64>> =
            events.iter().skip(1).map(|event| Some(event.position)).chain([None]).collect();
        let shown = |(event, next): (RecordedEvent, Option<u64>)| {
            let is_whole = next != Some(event.position);
            Arc::new(Self {
                event,
                is_whole,
                full: OnceLock::new(),
                notice: OnceLock::new(),
                inbox: OnceLock::new(),
            })
        };
        events.into_iter().zip(next).map(shown).collect()
    }

    /// All but what is sealed.
    pub(super) fn full(&self) -> &RawValue {
        self.full.get_or_init(|| raw(&EventView::from(self.event.clone())))
    }

    /// The name of the inbox's stream, for what is one person's own: a notification that is shown in the
    /// app, or what they did with theirs. Empty for one that goes by mail only.
    pub(super) fn inbox(&self) -> Option<&str> {
        let found = self.inbox.get_or_init(|| match self.event.stream.aggregate_type.as_ref() {
            Inbox::TYPE => Some(self.event.stream.aggregate_id.clone()),
            Notification::TYPE => Some(match self.event.decode() {
                Ok(NotificationEvent::Raised { organization_id, recipient, ways, .. }) if ways.in_app => {
                    InboxId { organization: organization_id, person: recipient }.to_string()
                }
                _ => String::new(),
            }),
            _ => None,
        });
        found.as_deref()
    }

    /// That it happened.
    pub(super) fn notice(&self) -> &RawValue {
        self.notice.get_or_init(|| raw(&Notice::of(&self.event)))
    }
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a view has text keys only")
}

/// One per node, cheap to clone. The subscription runs while somebody listens.
#[derive(Clone, Default)]
pub struct Hub {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    running: Mutex<Option<broadcast::Sender<Arc<Batch>>>>,
    closing: CancellationToken,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hub({} listeners)", self.listeners())
    }
}

impl Hub {
    /// Ends all streams, each with where to go on: the node stops.
    pub fn close(&self) {
        self.inner.closing.cancel();
    }

    pub(super) fn closing(&self) -> &CancellationToken {
        &self.inner.closing
    }

    /// How many listen on this node.
    pub fn listeners(&self) -> usize {
        self.inner.running.lock().as_ref().map_or(0, broadcast::Sender::receiver_count)
    }

    /// Everything that is recorded from now on: what is read from the log after this call, up to
    /// its head, and the batches together leave nothing out.
    ///
    /// # Errors
    /// 503 if too many listen or the log can't be read.
    pub(super) async fn join(&self, store: &EventStore) -> Result<broadcast::Receiver<Arc<Batch>>, ApiError> {
        if self.listeners() >= LISTENERS_MAX {
            return Err(ApiError::unavailable("too many listen on this node", 30));
        }
        let head = store.head().await?;
        let mut running = self.inner.running.lock();
        if let Some(sender) = &*running {
            return Ok(sender.subscribe());
        }
        let (sender, receiver) = broadcast::channel(BATCHES_MAX);
        let subscription = store.subscribe(head, Filter::default(), Opening::Nothing);
        *running = Some(sender.clone());
        tokio::spawn(self.clone().follow(subscription, sender));
        Ok(receiver)
    }

    async fn follow(self, mut subscription: Subscription, sender: broadcast::Sender<Arc<Batch>>) {
        loop {
            let after = subscription.position();
            tokio::select! {
                () = self.inner.closing.cancelled() => return,
                () = tokio::time::sleep(IDLE) => {}
                next = subscription.next(BATCH_EVENTS) => match next {
                    Ok(batch) => {
                        let position = batch.position;
                        let batch = Batch { after, position, events: Shown::all(batch.events) };
                        // With nobody left it is for nobody.
                        drop(sender.send(Arc::new(batch)));
                    }
                    Err(error) => wait_after(&error).await,
                },
            }
            // Under the lock that whoever joins takes, so that nobody joins what ends.
            let mut running = self.inner.running.lock();
            if sender.receiver_count() == 0 {
                *running = None;
                return;
            }
        }
    }
}

async fn wait_after(error: &StoreError) {
    tracing::warn!(%error, "the live streams can't read the log: trying again");
    tokio::time::sleep(RETRY).await;
}
