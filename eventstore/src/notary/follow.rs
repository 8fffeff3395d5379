//! Following the log: the tree grows page by page, and what has grown is signed at an interval.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sqlx::{Postgres, Transaction};
use tokio_util::sync::CancellationToken;

use super::{
    KeyChange, Notary, NotaryError, PAGE_EVENTS, Tree, checkpoint,
    checkpoint::{Checkpoint, open_checkpoint},
    record::leaf_hash,
    tables::{self, Head},
    tree::{Growth, Tiles, edge},
};
use crate::{EventStore, read};

/// Single events are gathered for so long, so that the tile at the edge is not rewritten for each.
const GATHER: Duration = Duration::from_millis(200);
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a node's notary works.
#[derive(Clone, Copy, Debug)]
pub struct NotaryOptions {
    /// A checkpoint is signed so often, if something is new. Among all nodes.
    pub checkpoint_interval: Duration,
}

impl Default for NotaryOptions {
    fn default() -> Self {
        Self { checkpoint_interval: Duration::from_secs(60) }
    }
}

impl Notary {
    /// Follows the log until `stop`. On any number of nodes: one of them works at a time.
    pub async fn follow(self, store: EventStore, options: NotaryOptions, stop: CancellationToken) {
        describe();
        let mut head = store.watch_head();
        let mut pause = PAUSE_FIRST;
        loop {
            let worked = stop.run_until_cancelled(self.work(options.checkpoint_interval)).await;
            let wait = match worked {
                None => return,
                Some(Ok(tree)) => {
                    pause = PAUSE_FIRST;
                    let news = async {
                        // An error: the store is closed, and this node stops in a moment.
                        if head.wait_for(|head| *head > tree.size).await.is_err() {
                            std::future::pending::<()>().await;
                        }
                        tokio::time::sleep(GATHER).await;
                    };
                    // Woken for the checkpoint too; asking whether one is due is one small query.
                    let due = options.checkpoint_interval.clamp(GATHER, Duration::from_secs(5));
                    stop.run_until_cancelled(tokio::time::timeout(due, news)).await.map(drop)
                }
                Some(Err(error)) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    metrics::counter!("annals_notary_failures_total", "reason" => reason(&error))
                        .increment(1);
                    tracing::error!(%error, error.source = source, "the notary could not go on and will try again");
                    let waited = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    waited
                }
            };
            if wait.is_none() {
                return;
            }
        }
    }

    /// Everything there is to do at this moment.
    async fn work(&self, interval: Duration) -> Result<Tree, NotaryError> {
        let tree = loop {
            let tree = self.advance().await?;
            measure(&tree);
            if tree.size >= tree.head {
                break tree;
            }
        };
        if let Some(signed) = self.sign(interval, KeyChange::Refused).await? {
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("annals_notary_checkpoint_size").set(signed.size as f64);
            let age = (chrono::Utc::now() - signed.signed_at).num_milliseconds().max(0);
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("annals_notary_checkpoint_age_seconds").set(age as f64 / 1000.0);
        }
        Ok(tree)
    }

    /// One page of the log into the tree; nothing while another node is at it.
    ///
    /// # Errors
    /// [`NotaryError::Missing`] if a position is not there, [`NotaryError::Damaged`] if the tiles do not
    /// fit, or if the database does not answer. The tree is as it was then.
    pub async fn advance(&self) -> Result<Tree, NotaryError> {
        let tree = self.tree().await?;
        if tree.size >= tree.head {
            return Ok(tree);
        }
        let mut tx = self.pool.begin().await?;
        match tables::try_lock(&mut tx).await? {
            Some(head) => grow(tx, head).await,
            None => {
                drop(tx);
                tokio::time::sleep(GATHER).await;
                self.tree().await
            }
        }
    }

    /// Signs the tree as it is, if it has grown and the last signature is older than `interval`;
    /// returns the newest checkpoint, that one or the one before.
    pub(super) async fn sign(
        &self,
        interval: Duration,
        change: KeyChange,
    ) -> Result<Option<Checkpoint>, NotaryError> {
        let is_due = |last: Option<&Checkpoint>, size| {
            let other_key = last.is_some_and(|last| last.verifier_key != self.key().verifier_key());
            (other_key && change == KeyChange::Allowed) || is_due(last, size, interval)
        };
        let last = self.latest_checkpoint().await?;
        let tree = self.tree().await?;
        if !is_due(last.as_ref(), tree.size) {
            return Ok(last);
        }
        let mut tx = self.pool.begin().await?;
        let head = tables::lock(&mut tx).await?;
        let last = tables::latest_checkpoint(&mut *tx).await?;
        if !is_due(last.as_ref(), head.size) {
            return Ok(last);
        }
        if let Some(last) = &last
            && last.verifier_key != self.key().verifier_key()
            && change == KeyChange::Refused
        {
            return Err(NotaryError::OtherKey { former: last.verifier_key.clone() });
        }
        self.require_extension(last.as_ref(), &head).await?;
        let note = checkpoint::sign(self.key(), head.size, head.root)?;
        let signed =
            tables::add_checkpoint(&mut tx, head.size, head.root, &note, self.key().verifier_key()).await?;
        tx.commit().await?;
        tracing::info!(checkpoint.size = signed.size, checkpoint.root = %signed.root, "a checkpoint was signed");
        Ok(Some(signed))
    }

    /// What was signed before must be in the tree, and the tree must be what its tiles say: whoever changed
    /// the tables without having the key gets no signature for it.
    async fn require_extension(&self, last: Option<&Checkpoint>, head: &Head) -> Result<(), NotaryError> {
        if self.root_at(head.size).await? != head.root {
            return Err(NotaryError::Damaged { why: "the root is not that of the tiles".to_string() });
        }
        let Some(last) = last else { return Ok(()) };
        let rewritten = || NotaryError::Rewritten { size: last.size };
        let signed = open_checkpoint(&last.note, &last.verifier_key).map_err(|_| rewritten())?;
        if (signed.size, signed.root) != (last.size, last.root) || signed.size > head.size {
            return Err(rewritten());
        }
        if last.size > 0 {
            let proof = self.consistency(last.size, head.size).await?;
            if proof.from_root != last.root || proof.to_root != head.root {
                return Err(rewritten());
            }
        }
        Ok(())
    }
}

fn is_due(last: Option<&Checkpoint>, size: u64, interval: Duration) -> bool {
    let Some(last) = last else { return size > 0 || interval.is_zero() };
    // A tree that is smaller than what was signed is looked at too, and refused.
    let has_changed = last.size != size;
    let age = (chrono::Utc::now() - last.signed_at).to_std().unwrap_or_default();
    has_changed && age >= interval
}

/// Adds the next page under the lock.
async fn grow(mut tx: Transaction<'_, Postgres>, head: Head) -> Result<Tree, NotaryError> {
    let started = Instant::now();
    if head.size >= head.log {
        return Ok(Tree { size: head.size, root: head.root, head: head.log });
    }
    let mut tiles = Tiles::default();
    tiles.add(tables::tiles(&mut *tx, edge(head.size)).await?);
    let mut growth = Growth::new(head.size, tiles).map_err(|why| NotaryError::Damaged { why })?;
    if growth.root() != Some(head.root) {
        return Err(NotaryError::Damaged {
            why: "the root is not that of the tiles at the edge".to_string(),
        });
    }
    let up_to = head.log.min(head.size + PAGE_EVENTS);
    {
        // Row by row: a page of the largest events would not fit into memory comfortably.
        let mut rows = read::rows(&mut tx, head.size, up_to);
        while let Some(event) = rows.try_next().await? {
            if event.position != growth.size() + 1 {
                return Err(NotaryError::Missing { position: growth.size() + 1 });
            }
            growth.push(leaf_hash(&event));
        }
    }
    if growth.size() != up_to {
        return Err(NotaryError::Missing { position: growth.size() + 1 });
    }
    let root = growth
        .root()
        .ok_or_else(|| NotaryError::Damaged { why: "the tiles at the edge do not fit".to_string() })?;
    tables::store(&mut tx, &growth, root).await?;
    tx.commit().await?;
    metrics::counter!("annals_notary_events_total").increment(growth.size() - head.size);
    metrics::histogram!("annals_notary_page_seconds").record(started.elapsed().as_secs_f64());
    Ok(Tree { size: growth.size(), root, head: head.log })
}

fn reason(error: &NotaryError) -> &'static str {
    match error {
        NotaryError::Database(_) => "database",
        NotaryError::Missing { .. } => "missing",
        NotaryError::Rewritten { .. } => "rewritten",
        NotaryError::OtherKey { .. } => "key",
        NotaryError::Damaged { .. } | NotaryError::Origin(_) | NotaryError::NotInTree { .. } => "damaged",
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats; a position past 2^53 is centuries away")]
fn measure(tree: &Tree) {
    metrics::gauge!("annals_notary_position").set(tree.size as f64);
    metrics::gauge!("annals_notary_lag_events").set(tree.head.saturating_sub(tree.size) as f64);
}

fn describe() {
    metrics::describe_gauge!(
        "annals_notary_position",
        "The position up to which events are in the notary's tree"
    );
    metrics::describe_gauge!(
        "annals_notary_lag_events",
        "Positions between the notary's tree and the log's head"
    );
    metrics::describe_gauge!("annals_notary_checkpoint_size", "Events in the newest signed checkpoint");
    metrics::describe_gauge!("annals_notary_checkpoint_age_seconds", "Age of the newest signed checkpoint");
    metrics::describe_counter!("annals_notary_events_total", "Events this node has put into the tree");
    metrics::describe_counter!(
        "annals_notary_failures_total",
        "What kept the notary from going on, by reason"
    );
    metrics::describe_histogram!(
        "annals_notary_page_seconds",
        metrics::Unit::Seconds,
        "Time to put one page of events into the tree"
    );
}
