//! `annals audit check`: the living log against its own tree.

use std::process::ExitCode;

use annals_eventstore::notary::Check;

use super::{EXIT_BROKEN, counted, open, progress::Progress};
use crate::cli::{ConfigArgs, out};

pub(super) async fn run(settings: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let (access, notary) = open(settings).await?;
    let mut progress = Progress::new("positions");
    let checked = notary.check(|done, total| progress.tell(done, Some(total))).await;
    drop(progress);
    access.close().await?;
    let check = checked?;
    out::print(&told(&check));
    Ok(if check.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_BROKEN) })
}

fn told(check: &Check) -> String {
    let mut text = String::new();
    let mut tell = |is_well: bool, line: String| {
        text.push_str(&format!("{:<6} {line}\n", if is_well { "ok" } else { "WRONG" }));
    };
    let compared = counted(check.compared, "event");
    if check.findings.is_empty() {
        tell(true, format!("events: {compared} are as they were noted"));
    }
    for finding in &check.findings {
        tell(false, finding.to_string());
    }
    let root = if check.root_fits {
        "the leaves have the root"
    } else {
        "the leaves have not the root that it says"
    };
    tell(check.root_fits, format!("tree: {} noted, {root}", counted(check.size, "event")));
    let forged = check.checkpoints.iter().filter(|checkpoint| !checkpoint.is_signed);
    for checkpoint in forged {
        tell(false, format!("checkpoint of {} events: its signature does not hold", checkpoint.size));
    }
    match check.rewritten_between() {
        Some((first, last)) => tell(
            false,
            format!(
                "positions {first} to {last}: CHANGED together with the tree, the signed checkpoints are of other events"
            ),
        ),
        None => tell(true, format!("checkpoints: {} are of these events", check.checkpoints.len())),
    }
    let behind = check.head.saturating_sub(check.size);
    if behind > 0 {
        tell(
            true,
            format!(
                "behind: {} since are not noted yet; the notary of a node with the role workers does it",
                counted(behind, "event")
            ),
        );
    }
    text
}
