//! What an operator does. Each action is recorded as an event first, with who and why; then it is
//! carried out, in a way that carrying it out again changes nothing. So a call that was cut off in
//! between is finished by a retry under the same idempotency key.

use annals_commands::{
    bus::{CommandError, Context, Outcome, Work},
    timers::{self, ListedTimer, TimerState},
};
use annals_domain::operations::{
    Build, EventsPerSecond, ProjectionControl, ProjectionControlCommand as Command, Reason, SkippedKey,
    TimerControl, TimerControlCommand,
};
use annals_eventstore::StoreError;
use annals_projections::runtime::{AdminError, Replayed, UnderWay};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    Operations, ProjectionView,
    refusal::OperationRefusal,
    views::{ReplayedView, SkippedView, TimerDoneView},
};
use crate::http::ApiError;

/// What an action led to, and the position of the event that records it.
#[derive(Clone, Debug)]
pub struct Acted<T> {
    pub value: T,
    pub position: u64,
}

/// How a build is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guide {
    Pause,
    Resume,
    /// `None` lifts the bound.
    Throttle(Option<EventsPerSecond>),
    Cancel,
    /// It may take over although keys are parked.
    AcceptParked,
}

impl Guide {
    fn command(self, build: Build, reason: Reason) -> (&'static str, Command) {
        match self {
            Self::Pause => ("PauseRebuild", Command::PauseRebuild { build, reason }),
            Self::Resume => ("ResumeRebuild", Command::ResumeRebuild { build, reason }),
            Self::Throttle(events_per_second_max) => {
                ("ThrottleRebuild", Command::ThrottleRebuild { build, events_per_second_max, reason })
            }
            Self::Cancel => ("CancelRebuild", Command::CancelRebuild { build, reason }),
            Self::AcceptParked => ("AcceptParked", Command::AcceptParked { build, reason }),
        }
    }
}

impl Operations {
    /// Builds a read model again beside the live one, at most so fast; it takes over by itself.
    ///
    /// # Errors
    /// 404 for an unknown read model, 409 if a build is under way, 503 if the database does not answer.
    pub async fn rebuild(
        &self,
        context: &Context,
        name: &str,
        events_per_second_max: Option<EventsPerSecond>,
        reason: Reason,
    ) -> Result<Acted<ProjectionView>, ApiError> {
        let (this, read_model) = (self.clone(), name.to_string());
        let outcome = self
            .bus
            .transact(&of_the_installation(context), "RequestRebuild", move |work| {
                let (this, name, reason) = (this.clone(), read_model.clone(), reason.clone());
                Box::pin(async move {
                    if this.under_way(&name).await?.is_some() {
                        return Err(CommandError::refused(OperationRefusal::RebuildUnderWay));
                    }
                    let request = Command::RequestRebuild { events_per_second_max, reason };
                    work.execute::<ProjectionControl>(&name, request).await?;
                    remember(work, events_per_second_max)
                })
            })
            .await?;
        let (events_per_second_max, position) = remembered(outcome)?;
        self.admin.rebuild(name, position, events_per_second_max).await?;
        Ok(Acted { value: self.projection(name).await?, position })
    }

    /// Guides the build that is under way.
    ///
    /// # Errors
    /// 404 for an unknown read model, 409 if no build is under way or it can't be given up, 503 if the
    /// database does not answer.
    pub async fn guide(
        &self,
        context: &Context,
        name: &str,
        guide: Guide,
        reason: Reason,
    ) -> Result<Acted<ProjectionView>, ApiError> {
        let (this, read_model) = (self.clone(), name.to_string());
        let (command_name, _) = guide.command(Build { version: 0, generation: 0 }, reason.clone());
        let outcome = self
            .bus
            .transact(&of_the_installation(context), command_name, move |work| {
                let (this, name, reason) = (this.clone(), read_model.clone(), reason.clone());
                Box::pin(async move {
                    let under_way = this.under_way(&name).await?;
                    let under_way =
                        under_way.ok_or_else(|| CommandError::refused(OperationRefusal::NoRebuild))?;
                    if guide == Guide::Cancel && !under_way.has_live {
                        return Err(CommandError::refused(OperationRefusal::NothingToFallBackOn));
                    }
                    let (_, command) = guide.command(under_way.build, reason);
                    work.execute::<ProjectionControl>(&name, command).await?;
                    remember(work, under_way.build)
                })
            })
            .await?;
        let (build, position) = remembered(outcome)?;
        match guide {
            Guide::Pause => self.admin.pause(name, build, true, position).await?,
            Guide::Resume => self.admin.pause(name, build, false, position).await?,
            Guide::Throttle(limit) => self.admin.throttle(name, build, limit, position).await?,
            Guide::Cancel => {
                self.admin.cancel(name, build).await?;
            }
            Guide::AcceptParked => {
                self.admin.accept_parked(name, build).await?;
            }
        }
        Ok(Acted { value: self.projection(name).await?, position })
    }

    /// Applies what a read model has parked, in order, after a fix: one key, or all of them.
    ///
    /// # Errors
    /// 404 for an unknown read model or a key that is not parked, 503 if the database does not answer.
    pub async fn replay_parked(
        &self,
        context: &Context,
        name: &str,
        key: Option<&str>,
        reason: Reason,
    ) -> Result<Acted<ReplayedView>, ApiError> {
        let (this, read_model, only) = (self.clone(), name.to_string(), key.map(str::to_string));
        let outcome = self
            .bus
            .transact(&of_the_installation(context), "ReplayParked", move |work| {
                let (this, name, key, reason) =
                    (this.clone(), read_model.clone(), only.clone(), reason.clone());
                Box::pin(async move {
                    this.must_know(&name)?;
                    if let Some(key) = &key {
                        this.skippable(&name, key).await?;
                    }
                    let replay = Command::ReplayParked { key, reason };
                    work.execute::<ProjectionControl>(&name, replay).await?;
                    remember(work, ())
                })
            })
            .await?;
        let ((), position) = remembered(outcome)?;
        let replayed = self.admin.replay_parked(name, key).await?;
        Ok(Acted { value: replayed.into(), position })
    }

    /// Leaves out what is parked on a key, in every generation that parked it.
    ///
    /// # Errors
    /// 404 for an unknown read model or a key that is not parked, 503 if the database does not answer.
    pub async fn skip_parked(
        &self,
        context: &Context,
        name: &str,
        key: &str,
        reason: Reason,
    ) -> Result<Acted<SkippedView>, ApiError> {
        let (this, read_model, only) = (self.clone(), name.to_string(), key.to_string());
        let outcome = self
            .bus
            .transact(&of_the_installation(context), "SkipParked", move |work| {
                let (this, name, key, reason) =
                    (this.clone(), read_model.clone(), only.clone(), reason.clone());
                Box::pin(async move {
                    this.must_know(&name)?;
                    let all = this.skippable(&name, &key).await?;
                    for skipped in &all {
                        let skip = Command::SkipParked { skipped: skipped.clone(), reason: reason.clone() };
                        work.execute::<ProjectionControl>(&name, skip).await?;
                    }
                    remember(work, all)
                })
            })
            .await?;
        let (all, position): (Vec<SkippedKey>, u64) = remembered(outcome)?;
        let mut replayed = Replayed::default();
        for skipped in &all {
            let after = self.admin.skip(name, skipped).await?;
            replayed.applied += after.applied;
            replayed.failed_keys += after.failed_keys;
        }
        Ok(Acted { value: SkippedView::of(key, &all, replayed), position })
    }

    /// Makes a parked timer due at once, with fresh attempts.
    ///
    /// # Errors
    /// 404 for an unknown timer, 409 for one that is not parked, 503 if the database does not answer.
    pub async fn retry_timer(
        &self,
        context: &Context,
        id: Uuid,
        reason: Reason,
    ) -> Result<Acted<TimerDoneView>, ApiError> {
        let this = self.clone();
        let outcome = self
            .bus
            .transact(&of_the_installation(context), "RetriggerTimer", move |work| {
                let (this, reason) = (this.clone(), reason.clone());
                Box::pin(async move {
                    let timer = this.timer(id).await?;
                    if timer.state != TimerState::Parked {
                        return Err(CommandError::refused(OperationRefusal::TimerNotParked));
                    }
                    let ListedTimer { kind, key, .. } = timer;
                    let retrigger = TimerControlCommand::Retrigger { kind, key, reason };
                    work.execute::<TimerControl>(id, retrigger).await?;
                    remember(work, ())
                })
            })
            .await?;
        let ((), position) = remembered(outcome)?;
        timers::retrigger(self.bus.store().pool(), id, self.bus.now(), position).await?;
        Ok(Acted { value: TimerDoneView { id, status: "due" }, position })
    }

    /// Removes a timer: what it was for does not happen.
    ///
    /// # Errors
    /// 404 for an unknown timer, 409 while a call for it is under way, 503 if the database does not answer.
    pub async fn cancel_timer(
        &self,
        context: &Context,
        id: Uuid,
        reason: Reason,
    ) -> Result<Acted<TimerDoneView>, ApiError> {
        let this = self.clone();
        let outcome = self
            .bus
            .transact(&of_the_installation(context), "CancelTimer", move |work| {
                let (this, reason) = (this.clone(), reason.clone());
                Box::pin(async move {
                    let timer = this.timer(id).await?;
                    if timer.state == TimerState::Leased {
                        return Err(CommandError::refused(OperationRefusal::TimerLeased));
                    }
                    let ListedTimer { kind, key, due_at, .. } = timer;
                    let cancel = TimerControlCommand::Cancel { kind, key, due_at, reason };
                    work.execute::<TimerControl>(id, cancel).await?;
                    remember(work, ())
                })
            })
            .await?;
        let ((), position) = remembered(outcome)?;
        timers::cancel_by_id(self.bus.store().pool(), id).await?;
        Ok(Acted { value: TimerDoneView { id, status: "cancelled" }, position })
    }

    async fn under_way(&self, name: &str) -> Result<Option<UnderWay>, CommandError> {
        self.must_know(name)?;
        self.admin.under_way(name).await.map_err(failed)
    }

    fn must_know(&self, name: &str) -> Result<(), CommandError> {
        match self.admin.knows(name) {
            true => Ok(()),
            false => Err(CommandError::refused(OperationRefusal::NoSuchReadModel)),
        }
    }

    /// What is parked on a key; at least one generation has it.
    async fn skippable(&self, name: &str, key: &str) -> Result<Vec<SkippedKey>, CommandError> {
        let all = self.admin.skippable(name, key).await.map_err(failed)?;
        if all.is_empty() {
            return Err(CommandError::refused(OperationRefusal::NotParked));
        }
        Ok(all)
    }

    async fn timer(&self, id: Uuid) -> Result<ListedTimer, CommandError> {
        let found = timers::find(self.bus.store().pool(), self.bus.now(), id).await;
        let found = found.map_err(StoreError::Database)?;
        found.ok_or_else(|| CommandError::refused(OperationRefusal::NoSuchTimer))
    }
}

/// The installation's own history: it belongs to no organization, whoever acts.
fn of_the_installation(context: &Context) -> Context {
    Context { organization_id: None, ..context.clone() }
}

fn failed(error: AdminError) -> CommandError {
    match error {
        AdminError::Unknown { .. } => CommandError::refused(OperationRefusal::NoSuchReadModel),
        AdminError::Database(error) => StoreError::Database(error).into(),
        AdminError::Store(error) => error.into(),
    }
}

/// Keeps what the action was about, for carrying it out after a retry.
fn remember<T: Serialize>(work: &mut Work, value: T) -> Result<T, CommandError> {
    if let Ok(json) = serde_json::to_value(&value) {
        work.result(json);
    }
    Ok(value)
}

/// What the action is about, and the position of the event that records it; of an action that changed
/// nothing, the head's.
fn remembered<T: DeserializeOwned>(outcome: Outcome<T>) -> Result<(T, u64), ApiError> {
    let position = outcome.receipt.position;
    let value = match outcome.value {
        Some(value) => value,
        None => T::deserialize(&outcome.receipt.result).map_err(|error| ApiError::internal(&error))?,
    };
    Ok((value, position))
}
