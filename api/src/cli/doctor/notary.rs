//! The log against the notary's tree.

use annals_eventstore::notary::Notary;

/// Every leaf computed again and every checkpoint held to the tree, in a log of at most so many events.
pub(super) async fn notary(notary: &Notary, events_max: u64) -> anyhow::Result<String> {
    let size = notary.tree().await?.size;
    if size > events_max {
        return Ok(format!("not compared: the tree has {size} events (see --events, or annals audit)"));
    }
    let check = notary.check(|_, _| {}).await?;
    let first = check.findings.first().map(|finding| finding.position());
    anyhow::ensure!(
        check.findings.is_empty(),
        "{} events are not what was noted, the first at position {}",
        check.findings.len(),
        first.unwrap_or(0)
    );
    anyhow::ensure!(check.root_fits, "the tree's root is not that of its leaves");
    if let Some((from, to)) = check.rewritten_between() {
        anyhow::bail!(
            "the tree does not fit its checkpoints: it was rewritten between positions {from} and {to}"
        );
    }
    anyhow::ensure!(check.is_sound(), "a checkpoint's signature does not hold");
    Ok(format!("{} events are what was noted, {} checkpoints fit", check.compared, check.checkpoints.len()))
}
