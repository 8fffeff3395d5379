//! Publishes what is due on one channel: attempted, called, recorded (invariant 6).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use annals_domain::{
    kernel::{AttemptId, IntegrationId},
    publishing::{
        Integration, IntegrationCommand, IntegrationError, IntegrationStatus, Post, PostCommand,
        post::{ATTEMPTS_MAX, DeliveryState, Failure, RetryBasis},
    },
};
use annals_eventstore::{Actor, ActorKind, Source};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    attachments::{ChangedMeanwhile, Luggage, Packed, not_ready, pack},
    outcome::{class_word, failure},
    publisher::Due,
    reach::{Errand, Reach, Reached, errand},
};
use crate::{
    bus::{CommandBus, CommandError, Context, IdempotencyKey},
    ports::{
        files::Files,
        social::{FailureClass, IdempotencyKind, Lookup, Platforms, ProviderError, Published},
    },
    restore,
    timers::{self, Fired, Timer, TimerHandler},
};

/// The kind of its timers.
pub(super) const KIND: &str = "publishing.publish";

/// A worker that dies in a call is followed by another after this long.
const LEASE: Duration = Duration::from_secs(90);

/// A fire makes at most so many calls: find, publish, refresh, publish again.
const CALLS_MAX: u32 = 4;

/// How often a post that is held looks whether its channel is back; see [`release_held`].
const HELD_PAUSE: TimeDelta = TimeDelta::minutes(5);

const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(20);

/// How long a part that is due waits for smaller ones of its images, and how often it looks for them.
const PROCESSING_PATIENCE: TimeDelta = TimeDelta::minutes(10);
const PROCESSING_PAUSE: TimeDelta = TimeDelta::seconds(1);

/// What files under way to platforms may take of a node's memory, in units of [`MEMORY_UNIT_BYTES`]. One that is
/// larger goes when nothing else does.
const MEMORY_UNITS: u32 = 256;
const MEMORY_UNIT_BYTES: u64 = 1024 * 1024;

/// How often the outcome of an attempt is tried to be written before the next worker has to find it out.
const RECORD_TRIES: u32 = 5;

const RESTORED: &str =
    "the log was restored from a backup: the post may have been published since it was made";

pub(super) const LOOK_AT_CHANNEL: &str = "look at the channel: if it is not there, retry the post";

/// Has posts that a channel's loss of access held looked at when it is back, and not minutes later. A timer
/// that was not held finds that it is early.
pub(super) async fn release_held(
    tx: &mut Transaction<'static, Postgres>,
    channel: IntegrationId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    timers::advance(tx, KIND, &format!(":{channel}"), now, now + HELD_PAUSE * 2).await
}

/// The handler of the timers that [`super::Publisher`] sets.
pub struct PublishTimer {
    bus: CommandBus,
    reach: Reach,
    lease: Duration,
    files: Option<Arc<dyn Files>>,
    memory: Arc<Semaphore>,
}

/// Where a fire stands after one step.
enum Step {
    /// The state has moved: look again.
    Again,
    End(Fired),
}

impl PublishTimer {
    pub fn new(bus: CommandBus, platforms: Platforms) -> Self {
        Self::with_lease(bus, platforms, LEASE)
    }

    /// With another lease; calls to platforms end within a fraction of it.
    pub fn with_lease(bus: CommandBus, platforms: Platforms, lease: Duration) -> Self {
        // A tenth is kept for writing down what happened.
        let call_timeout = (lease.mul_f64(0.9) / CALLS_MAX).min(CALL_TIMEOUT_MAX);
        let reach = Reach::new(bus.clone(), platforms, call_timeout);
        let memory = Arc::new(Semaphore::new(MEMORY_UNITS as usize));
        Self { bus, reach, lease, files: None, memory }
    }

    /// With the store that posts' files lie in; without one, a post that has some fails.
    #[must_use]
    pub fn with_files(mut self, files: Arc<dyn Files>) -> Self {
        self.files = Some(files);
        self
    }
}

#[async_trait]
impl TimerHandler for PublishTimer {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn fire(&self, timer: &Timer) -> Fired {
        let due: Due = match serde_json::from_value(timer.payload.clone()) {
            Ok(due) => due,
            Err(error) => return Fired::Park { reason: format!("its payload can't be read: {error}") },
        };
        let in_doubt = match restore::restored_up_to(self.bus.store().pool()).await {
            Ok(restored) => due.position <= restored && restored > 0,
            Err(error) => {
                tracing::warn!(post.id = %due.post, %error, "publishing is put off: the log could not be read");
                return Fired::Later { due_at: self.bus.now() + TimeDelta::seconds(2) };
            }
        };
        let fire = Fire { handler: self, timer, due, in_doubt: AtomicBool::new(in_doubt) };
        // Open attempt (or doubt) → unknown → safe to repeat → attempt: no way through has more steps.
        for _ in 0..4 {
            match fire.step().await {
                Ok(Step::Again) => {}
                Ok(Step::End(fired)) => return fired,
                Err(error) => {
                    tracing::warn!(post.id = %fire.due.post, channel.id = %fire.due.channel, %error,
                        "publishing is put off: the log could not be read or written");
                    return fire.soon();
                }
            }
        }
        fire.soon()
    }
}

/// One call of the handler.
struct Fire<'f> {
    handler: &'f PublishTimer,
    timer: &'f Timer,
    due: Due,
    /// Set by an event from before a restore: it may have been published by a history that was lost.
    in_doubt: AtomicBool,
}

impl Fire<'_> {
    /// Looks at what the log says, confirmed to be current, and does the one thing that follows.
    async fn step(&self) -> Result<Step, CommandError> {
        let (post, channel) = self.look().await?;
        let Some(delivery) = post.deliveries().get(&self.due.channel).filter(|_| post.exists()) else {
            return Ok(Step::End(Fired::Done));
        };
        let now = self.now();
        match &delivery.state {
            DeliveryState::Scheduled { .. } if now < delivery.due_at => {
                Ok(Step::End(Fired::Later { due_at: delivery.due_at }))
            }
            // Held: the account's owner was told, and a post that waits for them is not a post that failed.
            DeliveryState::Scheduled { .. } if channel.status() == IntegrationStatus::Expired => {
                Ok(Step::End(Fired::Later { due_at: now + HELD_PAUSE }))
            }
            DeliveryState::Scheduled { .. } if self.in_doubt.swap(false, Ordering::Relaxed) => {
                self.doubt().await
            }
            DeliveryState::Scheduled { .. } => {
                // The same for whoever is about to begin the attempt after the last one.
                let last = delivery.last_attempt().map(|id| id.to_string()).unwrap_or_default();
                let step = format!("begin:{}:{last}", delivery.due_at.timestamp_micros());
                self.pack_and_attempt((&post, &channel), delivery.due_at, &step).await
            }
            DeliveryState::Publishing { attempt_id, .. } => {
                let reason = "the worker stopped before the platform's answer was recorded";
                self.record_unknown(*attempt_id, reason.to_string()).await?;
                Ok(Step::Again)
            }
            DeliveryState::Unknown { attempt_id, .. } => {
                // The platform is asked now, and so knows of lost attempts too.
                self.in_doubt.store(false, Ordering::Relaxed);
                self.settle(&post, &channel, *attempt_id).await
            }
            DeliveryState::Published { .. } | DeliveryState::Failed { .. } | DeliveryState::Cancelled => {
                Ok(Step::End(Fired::Done))
            }
        }
    }

    async fn look(&self) -> Result<(Arc<Post>, Arc<Integration>), CommandError> {
        let (post, channel) = (self.due.post, self.due.channel);
        let outcome = self
            .handler
            .bus
            .transact(&self.context(None), "LookAtDuePost", move |work| {
                Box::pin(async move {
                    Ok((work.load::<Post>(post).await?, work.load::<Integration>(channel).await?))
                })
            })
            .await?;
        Ok(outcome.value.unwrap_or_default())
    }

    /// Records an attempt whose outcome nobody knows, in place of those that a restore took out of the
    /// log; from there on it is settled like any other, with the platform asked first.
    async fn doubt(&self) -> Result<Step, CommandError> {
        let (post, channel) = (self.due.post, self.due.channel);
        let doubted = self
            .handler
            .bus
            .transact(&self.context(None), "DoubtPublish", move |work| {
                Box::pin(async move {
                    let now = work.now();
                    let attempt_id = AttemptId::new(work.new_id());
                    let command = PostCommand::BeginAttempt { channel, attempt_id, now };
                    work.execute::<Post>(post, command).await?;
                    let unknown = PostCommand::RecordUnknown {
                        channel,
                        attempt_id,
                        reason: RESTORED.to_string(),
                        what_to_do: LOOK_AT_CHANNEL.to_string(),
                        at: now,
                    };
                    work.execute::<Post>(post, unknown).await
                })
            })
            .await;
        match doubted {
            Ok(_) | Err(CommandError::Refused(_)) => Ok(Step::Again),
            Err(error) => Err(error),
        }
    }

    /// Nothing is attempted before what the part shows is there to be sent.
    async fn pack_and_attempt(
        &self,
        (post, channel): (&Post, &Integration),
        due_at: DateTime<Utc>,
        step: &str,
    ) -> Result<Step, CommandError> {
        let Some(provider) = self.handler.reach.provider(channel.platform()) else {
            // Given up there, with the reason.
            return self.attempt(step, Luggage::default(), None).await;
        };
        let (info, limits) = (provider.info(), provider.limits_on(channel.limits()));
        let (files, route) = (self.handler.files.as_ref(), (post, self.due.channel));
        match pack(&self.handler.bus, files, (info, limits.media.as_ref()), route).await? {
            Packed::Ready(luggage) => match self.room(luggage.bytes()) {
                Some(room) => self.attempt(step, luggage, Some(room)).await,
                None => Ok(Step::End(Fired::Later { due_at: self.now() + PROCESSING_PAUSE })),
            },
            Packed::Later if self.now() < due_at + PROCESSING_PATIENCE => {
                Ok(Step::End(Fired::Later { due_at: self.now() + PROCESSING_PAUSE }))
            }
            Packed::Later => self.give_up(not_ready()).await,
            Packed::Never(failure) => self.give_up(failure).await,
        }
    }

    /// Room for files in memory, until it is dropped; none while others need it.
    fn room(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(MEMORY_UNIT_BYTES)).unwrap_or(u32::MAX).min(MEMORY_UNITS);
        Arc::clone(&self.handler.memory).try_acquire_many_owned(units).ok()
    }

    async fn give_up(&self, failure: Failure) -> Result<Step, CommandError> {
        let command = PostCommand::GiveUp { channel: self.due.channel, failure, at: self.now() };
        let context = self.context(None);
        match self.handler.bus.execute::<Post>(&context, "GiveUpPublish", self.due.post, command).await {
            Ok(_) => Ok(Step::End(Fired::Done)),
            Err(CommandError::Refused(_)) => Ok(Step::Again),
            Err(error) => Err(error),
        }
    }

    /// Records the attempt, calls the platform, records the outcome.
    async fn attempt(
        &self,
        step: &str,
        luggage: Luggage,
        _room: Option<OwnedSemaphorePermit>,
    ) -> Result<Step, CommandError> {
        let luggage = Arc::new(luggage);
        let (post, channel, reach) = (self.due.post, self.due.channel, self.handler.reach.clone());
        let begun = self
            .handler
            .bus
            .transact(&self.context(Some(step)), "PublishPost", move |work| {
                let (reach, luggage) = (reach.clone(), Arc::clone(&luggage));
                Box::pin(async move {
                    if !luggage.is_of(&*work.load::<Post>(post).await?, channel) {
                        return Err(CommandError::refused(ChangedMeanwhile));
                    }
                    let integration = work.load::<Integration>(channel).await?;
                    if integration.status() == IntegrationStatus::Expired {
                        // Lost since we looked: the post is held, not given up.
                        return Err(CommandError::refused(IntegrationError::Expired));
                    }
                    let now = work.now();
                    let reached = match reach.reach(channel, &integration) {
                        Ok(reached) => reached,
                        Err(failure) => {
                            let command = PostCommand::GiveUp { channel, failure, at: now };
                            work.execute::<Post>(post, command).await?;
                            return Ok(None);
                        }
                    };
                    let attempt_id = AttemptId::new(work.new_id());
                    let command = PostCommand::BeginAttempt { channel, attempt_id, now };
                    work.execute::<Post>(post, command).await?;
                    let state = work.load::<Post>(post).await?;
                    let files = luggage.attachments.clone();
                    Ok(errand(post, &state, channel, files).map(|errand| (attempt_id, reached, errand)))
                })
            })
            .await;
        match begun {
            Ok(outcome) => match outcome.value {
                Some(Some((attempt_id, reached, errand))) => self.call(attempt_id, reached, errand).await,
                Some(None) => Ok(Step::End(Fired::Done)),
                // Another worker was here under the same key: what it did is in the log.
                None => Ok(Step::Again),
            },
            // Something moved in between: look again.
            Err(CommandError::Refused(_)) => Ok(Step::Again),
            Err(error) => Err(error),
        }
    }

    async fn call(
        &self,
        attempt_id: AttemptId,
        reached: Reached,
        errand: Errand,
    ) -> Result<Step, CommandError> {
        let started = std::time::Instant::now();
        let platform = reached.provider.info().identifier;
        let answered = self.handler.reach.publish(&self.context(None), reached, &errand).await;
        let outcome = match &answered {
            Ok(_) => "published",
            Err(error) => class_word(error.class),
        };
        metrics::histogram!("annals_publish_seconds", "platform" => platform, "outcome" => outcome)
            .record(started.elapsed().as_secs_f64());
        tracing::info!(post.id = %self.due.post, channel.id = %self.due.channel, platform, outcome,
            duration_ms = started.elapsed().as_millis(), "a post was sent to its platform");
        match answered {
            Ok(published) => self.record_published(attempt_id, published).await,
            Err(error) if error.class == FailureClass::OutcomeUnknown => {
                self.record_unknown(attempt_id, error.message).await?;
                // The platform may still be at it: ask in a moment, not at once.
                Ok(Step::End(self.soon()))
            }
            Err(error) => self.record_failure(attempt_id, error).await,
        }
    }

    /// An unknown outcome: asks the platform, and repeats only what can't double.
    async fn settle(
        &self,
        post: &Post,
        channel: &Integration,
        attempt_id: AttemptId,
    ) -> Result<Step, CommandError> {
        let Some(errand) = errand(self.due.post, post, self.due.channel, Vec::new()) else {
            return Ok(Step::End(Fired::Done));
        };
        let Ok(reached) = self.handler.reach.reach(self.due.channel, channel) else {
            return Ok(Step::End(Fired::Done));
        };
        let by_handle = reached.provider.idempotency(&reached.access) == IdempotencyKind::ByHandle;
        match self.handler.reach.find(&self.context(None), reached, &errand).await {
            Ok(Lookup::Found(published)) => self.record_published(attempt_id, published).await,
            Ok(Lookup::NotFound) if by_handle => self.repeat(post).await,
            Ok(Lookup::NotFound | Lookup::CannotTell) => Ok(Step::End(Fired::Done)),
            Err(error) => match error.class {
                FailureClass::Retry | FailureClass::OutcomeUnknown => Ok(Step::End(Fired::NotActed {
                    reason: format!("whether the post was published can't be asked: {}", error.message),
                    not_before: error.retry_after,
                })),
                FailureClass::Disconnected => {
                    self.lose_access(error.message).await?;
                    Ok(Step::End(Fired::Done))
                }
                _ => Ok(Step::End(Fired::Done)),
            },
        }
    }

    async fn repeat(&self, post: &Post) -> Result<Step, CommandError> {
        let tried = post.deliveries().get(&self.due.channel).map_or(0, |delivery| delivery.attempts);
        if tried >= ATTEMPTS_MAX || post.is_archived() {
            return Ok(Step::End(Fired::Done));
        }
        let command = PostCommand::Retry {
            channel: self.due.channel,
            basis: RetryBasis::SafeByHandle,
            now: self.now(),
        };
        let context = self.context(None);
        match self.handler.bus.execute::<Post>(&context, "RepeatPublish", self.due.post, command).await {
            Ok(_) | Err(CommandError::Refused(_)) => Ok(Step::Again),
            Err(error) => Err(error),
        }
    }

    /// Of a thread, the next part follows: at once as another call of the timer, so that each has
    /// its own time to answer.
    async fn record_published(
        &self,
        attempt_id: AttemptId,
        published: Published,
    ) -> Result<Step, CommandError> {
        let Published { remote_id, url } = published;
        let (channel, at) = (self.due.channel, self.now());
        let command = PostCommand::RecordPublished { channel, attempt_id, remote_id, url, at };
        self.record("RecordPublished", command, None).await?;
        let (post, _) = self.look().await?;
        let next = post
            .deliveries()
            .get(&channel)
            .filter(|delivery| matches!(delivery.state, DeliveryState::Scheduled { .. }))
            .map(|delivery| delivery.due_at);
        Ok(Step::End(next.map_or(Fired::Done, |due_at| Fired::Later { due_at })))
    }

    async fn record_unknown(&self, attempt_id: AttemptId, reason: String) -> Result<(), CommandError> {
        let (channel, at) = (self.due.channel, self.now());
        let what_to_do = LOOK_AT_CHANNEL.to_string();
        let command = PostCommand::RecordUnknown { channel, attempt_id, reason, what_to_do, at };
        self.record("RecordOutcomeUnknown", command, None).await
    }

    /// The platform did not act: tried again by itself, or failed with what to do.
    async fn record_failure(
        &self,
        attempt_id: AttemptId,
        error: ProviderError,
    ) -> Result<Step, CommandError> {
        let retry_after = error.retry_after;
        let lost = (error.class == FailureClass::Disconnected).then(|| error.message.clone());
        let failure = failure(error);
        let (reason, channel, at) = (failure.reason.clone(), self.due.channel, self.now());
        let command = PostCommand::RecordFailed { channel, attempt_id, failure, at };
        self.record("RecordPublishFailed", command, lost).await?;
        let (post, _) = self.look().await?;
        let waits = post
            .deliveries()
            .get(&channel)
            .is_some_and(|delivery| matches!(delivery.state, DeliveryState::Scheduled { .. }));
        Ok(Step::End(if waits { self.not_acted(reason, retry_after) } else { Fired::Done }))
    }

    /// The post decides how often it is tried; a timer that lost tries to dead workers must not
    /// be parked before the post says that it failed.
    fn not_acted(&self, reason: String, retry_after: Option<Duration>) -> Fired {
        if self.timer.attempt < ATTEMPTS_MAX {
            return Fired::NotActed { reason, not_before: retry_after };
        }
        let pause = retry_after.and_then(|pause| TimeDelta::from_std(pause).ok());
        Fired::Later { due_at: self.now() + pause.unwrap_or(TimeDelta::seconds(8)) }
    }

    async fn lose_access(&self, reason: String) -> Result<(), CommandError> {
        let command = IntegrationCommand::LoseAccess { reason, now: self.now() };
        let context = self.context(None);
        match self.handler.bus.execute::<Integration>(&context, "LoseAccess", self.due.channel, command).await
        {
            Ok(_) | Err(CommandError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An outcome, at whatever version the post is by now; with the loss of the channel if it is one.
    async fn record(
        &self,
        name: &'static str,
        command: PostCommand,
        lost: Option<String>,
    ) -> Result<(), CommandError> {
        let (post, channel) = (self.due.post, self.due.channel);
        let mut tries = 0;
        loop {
            tries += 1;
            let (command, lost) = (command.clone(), lost.clone());
            let recorded = self
                .handler
                .bus
                .transact(&self.context(None), name, move |work| {
                    let (command, lost) = (command.clone(), lost.clone());
                    Box::pin(async move {
                        work.execute_at_any_version::<Post>(post, command).await?;
                        if let Some(reason) = lost
                            && work.load::<Integration>(channel).await?.exists()
                        {
                            let now = work.now();
                            let command = IntegrationCommand::LoseAccess { reason, now };
                            work.execute::<Integration>(channel, command).await?;
                        }
                        Ok(())
                    })
                })
                .await;
            match recorded {
                Ok(_) => return Ok(()),
                Err(error) if tries == RECORD_TRIES => return Err(error),
                Err(error) => {
                    tracing::warn!(post.id = %post, channel.id = %channel, %error,
                        "the outcome of an attempt could not be written, trying again");
                    tokio::time::sleep(Duration::from_millis(200) * tries).await;
                }
            }
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.handler.bus.now()
    }

    fn soon(&self) -> Fired {
        Fired::Later { due_at: self.now() + TimeDelta::seconds(2) }
    }

    /// The worker's context; with a `step`, what it does happens once for the event that set the timer.
    fn context(&self, step: Option<&str>) -> Context {
        let actor = Actor { kind: ActorKind::Process, id: Some(KIND.to_string()) };
        Context {
            correlation_id: self.due.correlation,
            causation_id: Some(self.timer.caused_by),
            idempotency: step.map(|step| IdempotencyKey {
                scope: format!("process:{KIND}"),
                key: format!("{}:{}:{step}", self.timer.caused_by, self.due.channel),
                request: Vec::new(),
            }),
            ..Context::new(actor, self.timer.organization_id, Source::Worker)
        }
    }
}
