//! `annals timers`: what is to happen when, and what waits for a person.

use annals_commands::timers::{TimerFilter, TimerState};
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{
    ConfigArgs, tables,
    tools::{Acting, Shown, Tools, show, told},
};

#[derive(Debug, Subcommand)]
pub(super) enum Timers {
    /// The timers that are set, the soonest due first
    List(List),
    /// Make a parked timer due at once, with fresh attempts
    Retry(Action),
    /// Remove a timer: what it was for does not happen
    Cancel(Action),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those that are waiting for their time, due, leased by a worker, or parked
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<TimerState>,
    /// Only those of one kind, such as publishing.publish
    #[arg(long)]
    kind: Option<String>,
    /// How many are listed
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct Action {
    /// The timer, as `list` names it
    id: Uuid,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    settings: ConfigArgs,
}

fn state(text: &str) -> Result<TimerState, String> {
    let state = TimerState::ALL.into_iter().find(|state| state.as_str() == text);
    state.ok_or_else(|| "must be one of waiting, due, leased, parked".to_string())
}

impl Timers {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(List { state, kind, limit, shown, settings }) => {
                let filter = TimerFilter { state, kind, ..TimerFilter::default() };
                let timers = Tools::with(&settings, async |tools| {
                    tools.operations.timers(&filter, limit).await.map_err(told)
                });
                show(shown, &timers.await?, |timers| tables::timers(timers))
            }
            Self::Retry(Action { id, acting, shown, settings }) => {
                let retried = Tools::with(&settings, async |tools| {
                    let context = tools.context(&acting).await?;
                    tools.operations.retry_timer(&context, id, acting.reason.clone()).await.map_err(told)
                });
                show(shown, &retried.await?.value, |_| "it is due now".to_string())
            }
            Self::Cancel(Action { id, acting, shown, settings }) => {
                let cancelled = Tools::with(&settings, async |tools| {
                    let context = tools.context(&acting).await?;
                    tools.operations.cancel_timer(&context, id, acting.reason.clone()).await.map_err(told)
                });
                show(shown, &cancelled.await?.value, |_| "it is cancelled".to_string())
            }
        }
    }
}
