//! Read models: how far they are, and whether they are what the log gives.

use annals_eventstore::EventStore;
use annals_projections::runtime::Compared;

use crate::read_models::projector;

pub(super) async fn models(store: &EventStore) -> anyhow::Result<String> {
    let applied = projector(store.clone()).reader().applied().await?;
    let live = applied.iter().filter(|one| one.state == "live").count();
    let parked: Vec<String> = applied
        .iter()
        .filter(|one| one.parked_keys > 0)
        .map(|one| format!("{} has {} parked keys (annals projections parked)", one.name, one.parked_keys))
        .collect();
    anyhow::ensure!(parked.is_empty(), "{}", parked.join(", "));
    let behind = applied.iter().map(|one| one.head.saturating_sub(one.position)).max().unwrap_or(0);
    Ok(format!("{live} live, at most {behind} positions behind"))
}

/// Each built beside the live one, up to the same position, and compared row by row.
pub(super) async fn fresh_builds(store: &EventStore, events_max: u64) -> anyhow::Result<String> {
    let admin = projector(store.clone()).admin();
    let (mut rows, mut equal, mut wrong) = (0, 0, Vec::new());
    let (mut unbuilt, mut left) = (0, Vec::new());
    for name in admin.names() {
        match admin.compare(name, events_max).await? {
            Compared::NotLive => unbuilt += 1,
            Compared::HasParkedKeys => left.push(format!("{name} has parked keys")),
            Compared::TooLong { position } => left.push(format!("{name} is at {position}")),
            Compared::Done { rows: compared, differences } if differences.is_empty() => {
                (rows, equal) = (rows + compared, equal + 1);
            }
            Compared::Done { differences, .. } => wrong.push(format!("{name}: {}", differences.join(", "))),
        }
    }
    anyhow::ensure!(wrong.is_empty(), "not what a fresh build gives: {}", wrong.join("; "));
    let mut said = format!("{equal} equal fresh builds, {rows} rows");
    if unbuilt > 0 {
        said.push_str(&format!("; {unbuilt} are not built yet: a server does that when it runs"));
    }
    if !left.is_empty() {
        said.push_str(&format!("; not compared (see --events): {}", left.join(", ")));
    }
    Ok(said)
}
