//! Looks for what is late, and sees to it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use annals_domain::{
    kernel::{IntegrationId, PostId},
    publishing::{
        Integration, IntegrationStatus, Post, PostCommand,
        post::{Delivery, Overdue, OverdueCause},
    },
};
use annals_eventstore::{Actor, ActorKind, Source};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::FromRow;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    super::publish::{KIND, LOOK_AT_CHANNEL},
    DueDeliveries,
    deliveries::Waiting,
};
use crate::{
    bus::{CommandBus, CommandError, Context},
    process::ProcessManager,
    publishing::publisher::{Due, key},
    timers::{self, NewTimer},
};

/// Rows that one sweep takes up; what is left is for the next.
const ROWS_MAX: i64 = 500;

/// A timer that is missing for so long after its time is set again.
const HEALED_AFTER: TimeDelta = TimeDelta::minutes(1);

/// One node sweeps at a time. Any number will do.
const LOCK: i64 = 0x616e_6e61_6c73_7764;

/// How the watchdog goes about it.
#[derive(Clone, Copy, Debug)]
pub struct WatchdogOptions {
    /// How late something is when it is found.
    pub late_by: TimeDelta,
    pub sweeps_every: Duration,
}

impl Default for WatchdogOptions {
    fn default() -> Self {
        Self { late_by: TimeDelta::minutes(10), sweeps_every: Duration::from_secs(30) }
    }
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Deliveries that were recorded as overdue.
    pub overdue: u32,
    /// Timers that were set again.
    pub timers_set: u32,
}

/// One per node; one of them sweeps at a time.
#[derive(Clone)]
pub struct Watchdog {
    bus: CommandBus,
    options: WatchdogOptions,
}

#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    #[error("a timer could not be written down")]
    Timer(#[from] serde_json::Error),
}

/// A delivery that is late, with the timer that should see to it.
#[derive(FromRow)]
struct Late {
    post: Uuid,
    channel: Uuid,
    due_at: DateTime<Utc>,
    since: DateTime<Utc>,
    state: String,
    timer_cancelled: bool,
    was_found: bool,
    position: i64,
    caused_by: Uuid,
    correlation: Uuid,
    organization_id: Option<Uuid>,
    /// None: there is no timer.
    timer_state: Option<String>,
    timer_reason: Option<String>,
}

impl Late {
    /// Whether nothing would call for it any more. In doubt, the platform was asked and could not tell: that
    /// waits for a person and needs no timer.
    fn lost_its_timer(&self) -> bool {
        self.timer_state.is_none() && !self.timer_cancelled && self.state != Waiting::Unknown.as_str()
    }

    fn post(&self) -> PostId {
        PostId::new(self.post)
    }

    fn channel(&self) -> IntegrationId {
        IntegrationId::new(self.channel)
    }
}

impl Watchdog {
    pub fn new(bus: CommandBus, options: WatchdogOptions) -> Self {
        Self { bus, options }
    }

    /// Sweeps every now and then until `stop` is cancelled. Any number of nodes may.
    pub async fn watch(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.options.sweeps_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for cause in OverdueCause::ALL {
            // There from the beginning, so that an alert can tell none from not asked.
            counted(cause, 0);
        }
        metrics::counter!("annals_timers_set_again_total").increment(0);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.sweep().await {
                Ok(found) if found == Found::default() => {}
                Ok(found) => tracing::warn!(
                    overdue = found.overdue,
                    timers_set = found.timers_set,
                    "posts that should have been published are not"
                ),
                Err(error) => tracing::warn!(%error, "the watchdog could not look; it looks again soon"),
            }
        }
    }

    /// Looks once, unless another node is at it. Killed in between, the next sweep goes on: what was
    /// recorded is not recorded again.
    ///
    /// # Errors
    /// If the database or the log does not answer.
    pub async fn sweep(&self) -> Result<Found, WatchdogError> {
        let pool = self.bus.store().pool();
        let now = self.bus.now();
        self.measure(now).await?;
        // The lock goes with the transaction, however this ends.
        let mut lock = pool.begin().await?;
        let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *lock)
            .await?;
        let mut found = Found::default();
        if !is_ours || self.is_behind().await? {
            return Ok(found);
        }
        for late in self.late(now).await? {
            let heals = late.lost_its_timer();
            if now - late.since >= self.options.late_by && !late.was_found {
                found.overdue += u32::from(self.record(&late).await?);
            }
            if heals {
                found.timers_set += u32::from(self.set_timer(&late, now).await?);
            }
        }
        lock.commit().await?;
        Ok(found)
    }

    /// Whether the table is of an earlier time, as while it is filled for the first time: what it shows as
    /// late may long be published.
    async fn is_behind(&self) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT EXISTS (
                 SELECT FROM process.checkpoints c JOIN events e ON e.position = c.position + 1
                 WHERE c.name = $1 AND e.recorded_at < clock_timestamp() - interval '1 minute')",
        )
        .bind(DueDeliveries::NAME)
        .fetch_one(self.bus.store().pool())
        .await
    }

    /// Everything that waits longer than it should, the longest first; what was found and has its timer
    /// is not among them.
    async fn late(&self, now: DateTime<Utc>) -> Result<Vec<Late>, sqlx::Error> {
        sqlx::query_as(
            "SELECT w.post, w.channel, w.due_at, w.since, w.state, w.timer_cancelled, w.position,
                    w.caused_by, w.correlation, w.organization_id,
                    w.found_due_at IS NOT DISTINCT FROM w.due_at AS was_found,
                    t.state AS timer_state, t.reason AS timer_reason
             FROM process.watched w
             LEFT JOIN process.timers t ON t.kind = $1 AND t.key = w.post || ':' || w.channel
             WHERE (w.since <= $2 AND w.found_due_at IS DISTINCT FROM w.due_at)
                OR (w.since <= $3 AND t.id IS NULL AND NOT w.timer_cancelled AND w.state <> 'unknown')
             ORDER BY w.since LIMIT $4",
        )
        .bind(KIND)
        .bind(now - self.options.late_by)
        .bind(now - HEALED_AFTER.min(self.options.late_by))
        .bind(ROWS_MAX)
        .fetch_all(self.bus.store().pool())
        .await
    }

    /// Has the post decide whether it is overdue; whether it is, and was not known yet.
    async fn record(&self, late: &Late) -> Result<bool, WatchdogError> {
        let (post, channel, late_by) = (late.post(), late.channel(), self.options.late_by);
        let of_timer = of_timer(late);
        let recorded = self
            .bus
            .transact(&context(late), "FindOverdue", move |work| {
                let of_timer = of_timer.clone();
                Box::pin(async move {
                    let overdue = why(&*work.load::<Integration>(channel).await?, of_timer);
                    let (cause, before) = (overdue.cause, work.load::<Post>(post).await?);
                    let at = work.now();
                    let command = PostCommand::FindOverdue { channel, late_by, overdue, at };
                    work.execute::<Post>(post, command).await?;
                    let is_new = before != work.load::<Post>(post).await?;
                    Ok(if is_new { Verdict::Overdue(cause) } else { Verdict::of(&before, channel) })
                })
            })
            .await;
        let verdict = match recorded {
            Ok(outcome) => outcome.value.unwrap_or(Verdict::NotYet),
            // It is gone, or goes elsewhere by now.
            Err(CommandError::Refused(_)) => Verdict::Over,
            Err(error) => return Err(error.into()),
        };
        let cause = match verdict {
            Verdict::Overdue(cause) => cause,
            Verdict::NotYet => return Ok(false),
            Verdict::Over => {
                self.look_away(late).await?;
                return Ok(false);
            }
        };
        counted(cause, 1);
        tracing::warn!(post.id = %post, channel.id = %channel, cause = cause.as_str(), due_at = %late.due_at,
            "a post should have been published and was not");
        Ok(true)
    }

    /// Nothing more is to be found of this row: it does not stand in the way of others.
    async fn look_away(&self, late: &Late) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE process.watched SET found_due_at = due_at WHERE post = $1 AND channel = $2 AND due_at = $3",
        )
        .bind(late.post)
        .bind(late.channel)
        .bind(late.due_at)
        .execute(self.bus.store().pool())
        .await?;
        Ok(())
    }

    /// Sets the timer that is missing. The post decides whether there is something to do.
    async fn set_timer(&self, late: &Late, now: DateTime<Utc>) -> Result<bool, WatchdogError> {
        let due = Due {
            post: late.post(),
            channel: late.channel(),
            correlation: late.correlation,
            position: late.position.cast_unsigned(),
        };
        let timer = NewTimer {
            kind: KIND,
            key: key(late.post(), late.channel()),
            due_at: now,
            payload: serde_json::to_value(due)?,
            caused_by: late.caused_by,
            organization_id: late.organization_id,
        };
        let mut tx = self.bus.store().pool().begin().await?;
        let was_missing = timers::schedule_if_missing(&mut tx, timer).await?;
        tx.commit().await?;
        if was_missing {
            metrics::counter!("annals_timers_set_again_total").increment(1);
            tracing::warn!(post.id = %late.post, channel.id = %late.channel,
                "the timer of a post was lost and is set again");
        }
        Ok(was_missing)
    }

    /// What was found and is still late, by what keeps it: every node that watches tells it.
    async fn measure(&self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        let counts: Vec<(String, i64)> = sqlx::query_as(
            "SELECT found_cause, count(*) FROM process.watched
             WHERE since <= $1 AND found_cause IS NOT NULL GROUP BY found_cause",
        )
        .bind(now - self.options.late_by)
        .fetch_all(self.bus.store().pool())
        .await?;
        let counts: HashMap<String, i64> = counts.into_iter().collect();
        for cause in OverdueCause::ALL {
            let count = counts.get(cause.as_str()).copied().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("annals_posts_overdue", "cause" => cause.as_str()).set(count as f64);
        }
        Ok(())
    }
}

/// What a post says of one that seemed late.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Overdue(OverdueCause),
    /// It was found before, or the table is behind.
    NotYet,
    Over,
}

impl Verdict {
    fn of(post: &Arc<Post>, channel: IntegrationId) -> Self {
        let waits = post.deliveries().get(&channel).and_then(Delivery::stuck_since);
        if waits.is_none() || post.is_archived() { Self::Over } else { Self::NotYet }
    }
}

fn counted(cause: OverdueCause, more: u64) {
    metrics::counter!("annals_posts_found_overdue_total", "cause" => cause.as_str()).increment(more);
}

/// What the timer has to do with it.
fn of_timer(late: &Late) -> Overdue {
    let overdue = |cause, reason: String, what_to_do: &str| Overdue {
        cause,
        reason,
        what_to_do: what_to_do.to_string(),
    };
    if late.timer_cancelled {
        return overdue(
            OverdueCause::TimerCancelled,
            "its timer was cancelled by whoever runs this installation".to_string(),
            "ask them why; reschedule the post to have it published after all",
        );
    }
    if late.timer_state.as_deref() == Some("parked") {
        let why = late.timer_reason.as_deref().unwrap_or("no reason was kept");
        return overdue(
            OverdueCause::TimerParked,
            format!("trying was given up: {why}"),
            "retry the post, or have whoever runs this installation retry its timer",
        );
    }
    if late.state == Waiting::Unknown.as_str() {
        let reason = "nobody decided yet whether it is to be published again".to_string();
        return overdue(OverdueCause::OutcomeUnknown, reason, LOOK_AT_CHANNEL);
    }
    if late.lost_its_timer() {
        return overdue(
            OverdueCause::TimerLost,
            "its timer was lost; it was set again".to_string(),
            "nothing, it is tried at once: look at the post in a few minutes",
        );
    }
    overdue(
        OverdueCause::NotTakenUp,
        "no worker has taken it up".to_string(),
        "tell whoever runs this installation; it is published as soon as a worker is free, unless you reschedule or \
         delete it",
    )
}

/// A channel that lost access explains it before anything else does.
fn why(channel: &Integration, of_timer: Overdue) -> Overdue {
    if channel.status() != IntegrationStatus::Expired || of_timer.cause == OverdueCause::OutcomeUnknown {
        return of_timer;
    }
    Overdue {
        cause: OverdueCause::LostAccess,
        reason: "access to the channel is lost: the post is held".to_string(),
        what_to_do: "connect the channel again and the post is published at once; or reschedule or delete it"
            .to_string(),
    }
}

/// Every node of a sweep that was cut off records the same once: the post decides that.
fn context(late: &Late) -> Context {
    let actor = Actor { kind: ActorKind::Process, id: Some(DueDeliveries::NAME.to_string()) };
    Context {
        correlation_id: late.correlation,
        causation_id: Some(late.caused_by),
        ..Context::new(actor, late.organization_id, Source::Worker)
    }
}
