//! `annals timers`: what waits for a person, and trying it again.

use annals_commands::timers::{self, ListedTimer, TimerFilter, TimerState};
use chrono::Utc;
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::{ConfigArgs, database::Access, out};

const LISTED_MAX: u32 = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Timers {
    /// The timers that were parked after their last attempt, and why
    List(ConfigArgs),
    /// Make a parked timer due at once, with fresh attempts
    Retry(Retry),
}

#[derive(Debug, Args)]
pub(super) struct Retry {
    /// The timer, as `list` names it
    id: Uuid,
    #[command(flatten)]
    settings: ConfigArgs,
}

impl Timers {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (settings, retry) = match &self {
            Self::List(settings) => (settings, None),
            Self::Retry(retry) => (&retry.settings, Some(retry.id)),
        };
        let access = Access::open(&settings.load()?.config).await?;
        let done = async {
            annals_commands::migrate(&access.pool).await?;
            match retry {
                None => {
                    let filter = TimerFilter { state: Some(TimerState::Parked), ..TimerFilter::default() };
                    Ok(table(&timers::list(&access.pool, Utc::now(), &filter, LISTED_MAX).await?))
                }
                Some(id) if timers::retrigger(&access.pool, id, Utc::now(), u64::MAX >> 1).await? => {
                    Ok("it is due now\n".to_string())
                }
                Some(id) => {
                    Err(anyhow::anyhow!("no parked timer has the id {id}; annals timers list shows them"))
                }
            }
        }
        .await;
        access.close().await?;
        out::print(&done?);
        Ok(())
    }
}

fn table(parked: &[ListedTimer]) -> String {
    let mut text = format!("{} timers are parked\n", parked.len());
    for timer in parked {
        text.push_str(&format!(
            "{}  {} {} due {} after {} attempts: {}\n",
            timer.id,
            timer.kind,
            timer.key,
            timer.due_at.format("%Y-%m-%d %H:%M:%S UTC"),
            timer.attempt,
            timer.reason.as_deref().unwrap_or("no reason was given"),
        ));
    }
    text
}
