//! A rebuild's progress, as a bar on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::tools::told;
use crate::operations::{Operations, ProjectionView, RebuildState};

/// How often a rebuild is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Waits until a generation has taken over. The bar is drawn on standard error, and only there where
/// somebody looks.
pub(super) async fn wait(
    operations: &Operations,
    name: &str,
    generation: u32,
) -> anyhow::Result<ProjectionView> {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent:>3} % of {human_len} {prefix}")?;
    let bar = ProgressBar::new(0).with_style(style.progress_chars("=> ")).with_message(name.to_string());
    loop {
        let view = operations.projection(name).await.map_err(told)?;
        if view.generation >= generation {
            bar.finish_and_clear();
            return Ok(view);
        }
        let Some(rebuild) = &view.rebuild else {
            bar.abandon();
            anyhow::bail!("the rebuild of {name} was cancelled");
        };
        anyhow::ensure!(
            rebuild.state != RebuildState::Blocked,
            "generation {generation} of {name} has {} parked keys and does not take over: \
             replay, skip or accept them (annals projections parked {name})",
            rebuild.parked_keys
        );
        bar.set_length(view.head);
        bar.set_position(rebuild.position);
        bar.set_prefix(match (rebuild.state, rebuild.remaining_seconds) {
            (RebuildState::Paused, _) => "paused".to_string(),
            (_, Some(seconds)) => format!("{:.0}/s, {:.0} s left", rebuild.events_per_second, seconds.ceil()),
            (_, None) => String::new(),
        });
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
