//! Asks a channel's platform for what is due.

use std::time::Duration;

use annals_domain::{
    kernel::IntegrationId,
    publishing::{Integration, IntegrationStatus},
};
use annals_eventstore::{Actor, ActorKind, Source};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    KIND,
    keeper::Due,
    look::{Answer, Finding, Question},
    schedule,
    watch::{self, Hold, Watched},
};
use crate::{
    bus::{CommandBus, CommandError, Context, IdempotencyKey},
    ports::social::{FailureClass, Platforms, PostReading, ProviderError},
    publishing::{outcome::class_word, reach::Reach},
    timers::{Fired, Timer, TimerHandler},
};

const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Two questions, each twice with a refresh between, and time to write.
const LEASE: Duration = Duration::from_secs(150);
/// When the log or our own table could not be read or written.
const PAUSE: TimeDelta = TimeDelta::seconds(30);
/// Between two looks when more is due than can be asked for at once.
const BETWEEN: TimeDelta = TimeDelta::seconds(10);

/// The handler of the timers that [`super::FiguresKeeper`] sets.
pub struct FiguresTimer {
    bus: CommandBus,
    reach: Reach,
}

/// Why a look could not be finished; it is repeated, and its key keeps it from counting twice.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the list of whom to ask about could not be read or written")]
    Database(#[from] sqlx::Error),
    #[error("that access is lost could not be recorded")]
    Access(#[from] ProviderError),
}

impl FiguresTimer {
    pub fn new(bus: CommandBus, platforms: Platforms) -> Self {
        let reach = Reach::new(bus.clone(), platforms, CALL_TIMEOUT);
        Self { bus, reach }
    }

    async fn look(&self, timer: &Timer, due: &Due) -> Result<Fired, LookError> {
        let (channel, now, pool) = (due.channel, self.bus.now(), self.bus.store().pool());
        let integration = self.bus.load::<Integration>(channel).await?.state;
        if integration.status() != IntegrationStatus::Connected {
            // Enabled or connected again, it gets another timer.
            return Ok(Fired::Done);
        }
        let hold = watch::hold(pool, channel).await?;
        if let Some(until) = hold.held_until.filter(|until| *until > now) {
            return Ok(Fired::Later { due_at: until });
        }
        let found = watch::due(pool, channel, now + schedule::TAKEN_ALONG, Question::SIZE).await?;
        let (old, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|watched| {
            watched.post().is_some() && now - watched.since > schedule::WATCHED_FOR + TimeDelta::days(7)
        });
        let question = Question::of(found);
        let old = old.into_iter().map(|watched| (watched, None)).collect::<Vec<_>>();
        let Ok(reached) = self.reach.reach(channel, &integration) else {
            // The platform is no longer of this installation.
            return Ok(Fired::Later { due_at: now + TimeDelta::days(1) });
        };
        if question.is_empty() || reached.provider.figures().is_empty() {
            return self
                .settle(channel, now, Hold::default(), [old, question.by_schedule(channel, now)].concat())
                .await;
        }
        let context = self.context(timer, due, None);
        let platform = reached.provider.info().identifier;
        let answer = Answer::to(&question, &self.reach, &context, &reached).await;
        let outcome = answer.failure().map_or("answered", |error| class_word(error.class));
        metrics::counter!("annals_figures_looks_total", "platform" => platform, "outcome" => outcome)
            .increment(1);
        let finding = Finding {
            organization: integration.organization(),
            channel,
            account: answer.account.as_ref().and_then(|account| account.as_ref().ok().copied()),
            missing: answer.missing(),
            posts: question
                .posts
                .iter()
                .filter_map(|watched| Some((watched.post()?.0, watched.since, answer.of(watched)?)))
                .collect(),
        };
        // The same in every attempt at this occurrence.
        let step = timer.due_at.timestamp_micros().to_string();
        finding.record(&self.bus, &self.context(timer, due, Some(step))).await?;
        if let Some(Err(error)) = &answer.account
            && error.class == FailureClass::Disconnected
        {
            self.reach.lose_access(&context, channel, error.message.clone()).await?;
            return Ok(Fired::Done);
        }
        let next_hold = answer.failure().map_or_else(Hold::default, |error| {
            let misses = hold.misses.saturating_add(1);
            tracing::info!(channel.id = %channel, platform, %error, misses, "a platform gave no figures");
            Hold { held_until: Some(now + schedule::pause(misses, error.retry_after)), misses }
        });
        let looked = question.answered(&answer, channel, now);
        self.settle(channel, now, next_hold, [old, looked].concat()).await
    }

    /// Writes when to look next.
    async fn settle(
        &self,
        channel: IntegrationId,
        now: DateTime<Utc>,
        hold: Hold,
        looked: Vec<(Watched, Option<DateTime<Utc>>)>,
    ) -> Result<Fired, LookError> {
        let mut tx = self.bus.store().pool().begin().await?;
        watch::looked(&mut tx, channel, &looked).await?;
        watch::set_hold(&mut tx, channel, hold).await?;
        let next = watch::next(&mut tx, channel).await?;
        tx.commit().await?;
        Ok(match next {
            None => Fired::Done,
            Some(next) => {
                let earliest = hold.held_until.unwrap_or(now + BETWEEN);
                Fired::Later { due_at: next.max(earliest) }
            }
        })
    }

    /// The worker's context; with a `step`, what it does happens once for the event that set the timer.
    fn context(&self, timer: &Timer, due: &Due, step: Option<String>) -> Context {
        let actor = Actor { kind: ActorKind::Process, id: Some(KIND.to_string()) };
        Context {
            correlation_id: due.correlation,
            causation_id: Some(timer.caused_by),
            idempotency: step.map(|step| IdempotencyKey {
                scope: format!("process:{KIND}"),
                key: format!("{}:{}:{step}", timer.caused_by, due.channel),
                request: Vec::new(),
            }),
            ..Context::new(actor, timer.organization_id, Source::Worker)
        }
    }
}

impl Question {
    /// When all that was asked for is due next, whatever became of the question.
    fn by_schedule(
        self,
        channel: IntegrationId,
        now: DateTime<Utc>,
    ) -> Vec<(Watched, Option<DateTime<Utc>>)> {
        let account = self.account.map(|account| (account, Some(schedule::next_of_account(channel, now))));
        let posts = self.posts.into_iter().map(|watched| {
            let next = schedule::next_of_post(channel, watched.since, now);
            (watched, next)
        });
        posts.chain(account).collect()
    }

    /// When each is due next; what the platform did not answer stays due, and waits with the channel.
    fn answered(
        self,
        answer: &Answer,
        channel: IntegrationId,
        now: DateTime<Utc>,
    ) -> Vec<(Watched, Option<DateTime<Utc>>)> {
        let done = |class: Option<FailureClass>| matches!(class, None | Some(FailureClass::Unsupported));
        let class = |error: &ProviderError| error.class;
        let account = answer.account.as_ref().map(|account| account.as_ref().err().map(class));
        let posts = answer.posts.as_ref().map(|posts| posts.as_ref().err().map(class));
        let unsupported = posts == Some(Some(FailureClass::Unsupported));
        let asked = Self {
            account: self.account.filter(|_| account.is_some_and(done)),
            posts: if posts.is_some_and(done) { self.posts } else { Vec::new() },
        };
        let mut next = asked.by_schedule(channel, now);
        for (watched, next) in &mut next {
            if matches!(answer.of(watched), Some(PostReading::Gone)) {
                *next = None;
            } else if unsupported && watched.post().is_some() {
                // It may give them one day; once a day is asked often enough.
                *next = next.map(|next| next.max(schedule::next_of_account(channel, now)));
            }
        }
        next
    }
}

#[async_trait]
impl TimerHandler for FiguresTimer {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn lease(&self) -> Duration {
        LEASE
    }

    async fn fire(&self, timer: &Timer) -> Fired {
        let due: Due = match serde_json::from_value(timer.payload.clone()) {
            Ok(due) => due,
            Err(error) => return Fired::Park { reason: format!("its payload can't be read: {error}") },
        };
        match self.look(timer, &due).await {
            Ok(fired) => fired,
            Err(error) => {
                tracing::warn!(channel.id = %due.channel, %error, "a look at figures is put off");
                Fired::Later { due_at: self.bus.now() + PAUSE }
            }
        }
    }
}
