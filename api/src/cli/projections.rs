//! `annals projections`: how the read models are, building them again, repairing what is parked.

use annals_domain::operations::EventsPerSecond;
use clap::{Args, Subcommand};

use super::{
    ConfigArgs, progress, tables,
    tools::{self, Acting, Shown, Tools, show, told},
};
use crate::operations::Guide;

/// Rows that a list shows at most.
const LISTED_MAX: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum Projections {
    /// How far each read model is, who writes it, and what it could not apply
    List(Listed),
    /// Build a read model again beside the live one; the workers do it, and it takes over by itself
    Rebuild(Rebuild),
    /// Hold a rebuild where it is
    Pause(Action),
    /// Let a paused rebuild go on
    Resume(Action),
    /// Bound how fast a rebuild goes, or lift the bound
    Throttle(Throttle),
    /// Give a rebuild up and drop what it has built
    Cancel(Action),
    /// The keys that a read model could not apply, and why
    Parked(Named),
    /// The events that wait on one parked key; sealed values are erased
    Events(Keyed),
    /// Apply what is parked, in order, after a fix
    Replay(Replay),
    /// Leave out what is parked on a key, until the read model is built again
    Skip(Skip),
    /// Let a rebuild that has parked keys take over all the same
    Accept(Action),
}

#[derive(Debug, Args)]
pub(super) struct Listed {
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The read model, as `list` names it
    name: String,
    #[command(flatten)]
    listed: Listed,
}

#[derive(Debug, Args)]
pub(super) struct Keyed {
    #[command(flatten)]
    named: Named,
    /// The key, as `parked` names it
    key: String,
}

#[derive(Debug, Args)]
pub(super) struct Action {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    acting: Acting,
}

#[derive(Debug, Args)]
pub(super) struct Rebuild {
    #[command(flatten)]
    action: Action,
    /// At most so many events per second [default: as fast as it goes]
    #[arg(long, value_name = "NUMBER", value_parser = tools::pace)]
    events_per_second: Option<EventsPerSecond>,
    /// Wait until it has taken over, and show how far it is
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct Throttle {
    #[command(flatten)]
    action: Action,
    /// At most so many events per second; without it the bound is lifted
    #[arg(long, value_name = "NUMBER", value_parser = tools::pace)]
    events_per_second: Option<EventsPerSecond>,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    action: Action,
    /// This key only
    #[arg(long)]
    key: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Skip {
    #[command(flatten)]
    action: Action,
    /// The key, as `parked` names it
    key: String,
}

impl Projections {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(listed) => {
                let all = Tools::with(&listed.settings, async |tools| {
                    tools.operations.projections().await.map_err(told)
                });
                show(listed.shown, &all.await?, |all| tables::projections(all))
            }
            Self::Rebuild(rebuild) => rebuild.run().await,
            Self::Pause(action) => action.guide(Guide::Pause).await,
            Self::Resume(action) => action.guide(Guide::Resume).await,
            Self::Throttle(throttle) => {
                throttle.action.guide(Guide::Throttle(throttle.events_per_second)).await
            }
            Self::Cancel(action) => action.guide(Guide::Cancel).await,
            Self::Accept(action) => action.guide(Guide::AcceptParked).await,
            Self::Parked(Named { name, listed }) => {
                let keys = Tools::with(&listed.settings, async |tools| {
                    tools.operations.parked(&name, None, LISTED_MAX).await.map_err(told)
                });
                show(listed.shown, &keys.await?, |keys| tables::parked(&name, keys))
            }
            Self::Events(Keyed { named, key }) => {
                let events = Tools::with(&named.listed.settings, async |tools| {
                    tools.operations.parked_events(&named.name, &key, LISTED_MAX).await.map_err(told)
                });
                show(named.listed.shown, &events.await?, |events| tables::parked_events(events))
            }
            Self::Replay(Replay { action, key }) => {
                let replayed = Tools::with(&action.named.listed.settings, async |tools| {
                    let context = tools.context(&action.acting).await?;
                    let reason = action.acting.reason.clone();
                    let name = &action.named.name;
                    tools.operations.replay_parked(&context, name, key.as_deref(), reason).await.map_err(told)
                });
                show(action.named.listed.shown, &replayed.await?.value, |replayed| {
                    format!("{} events applied, {} keys failed again", replayed.applied, replayed.failed_keys)
                })
            }
            Self::Skip(Skip { action, key }) => {
                let skipped = Tools::with(&action.named.listed.settings, async |tools| {
                    let context = tools.context(&action.acting).await?;
                    let reason = action.acting.reason.clone();
                    tools
                        .operations
                        .skip_parked(&context, &action.named.name, &key, reason)
                        .await
                        .map_err(told)
                });
                show(action.named.listed.shown, &skipped.await?.value, |skipped| {
                    format!(
                        "{} events from position {} to {} are left out, {} that came after are applied",
                        skipped.skipped, skipped.first_position, skipped.last_position, skipped.applied
                    )
                })
            }
        }
    }
}

impl Action {
    async fn guide(self, guide: Guide) -> anyhow::Result<()> {
        let guided = Tools::with(&self.named.listed.settings, async |tools| {
            let context = tools.context(&self.acting).await?;
            let reason = self.acting.reason.clone();
            tools.operations.guide(&context, &self.named.name, guide, reason).await.map_err(told)
        });
        show(self.named.listed.shown, &guided.await?.value, |one| {
            tables::projections(std::slice::from_ref(one))
        })
    }
}

impl Rebuild {
    async fn run(self) -> anyhow::Result<()> {
        let Action { named, acting } = &self.action;
        let last = Tools::with(&named.listed.settings, async |tools| {
            if self.wait {
                tools.needs_workers().await?;
            }
            let context = tools.context(acting).await?;
            let (pace, reason) = (self.events_per_second, acting.reason.clone());
            let begun =
                tools.operations.rebuild(&context, &named.name, pace, reason).await.map_err(told)?.value;
            match (self.wait, &begun.rebuild) {
                (true, Some(rebuild)) => {
                    progress::wait(&tools.operations, &named.name, rebuild.generation).await
                }
                // It may have taken over already: small logs are read at once.
                _ => Ok(begun),
            }
        });
        show(named.listed.shown, &last.await?, |one| tables::projections(std::slice::from_ref(one)))
    }
}
