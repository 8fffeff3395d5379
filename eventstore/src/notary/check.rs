//! Checking a living log against its own tree: every leaf computed again, every checkpoint held to it.

use futures::TryStreamExt;
use tlog_tiles::Hash;

use super::{
    Comparison, Finding, Frontier, Notary, NotaryError, PAGE_EVENTS,
    checkpoint::{Checkpoint, open_checkpoint},
    tables,
    tree::Tiles,
};
use crate::read;

/// So many checkpoints are held to the tree, evenly chosen.
const CHECKPOINTS_MAX: u32 = 1_000;

/// What became of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedCheckpoint {
    pub size: u64,
    /// The signature holds under the key that it names.
    pub is_signed: bool,
    /// The tree of its size has its root.
    pub fits: bool,
}

/// What a check found.
#[derive(Debug)]
pub struct Check {
    /// Events compared with their leaves.
    pub compared: u64,
    /// Events in the tree.
    pub size: u64,
    /// The log's last position.
    pub head: u64,
    /// Events that are not what was noted.
    pub findings: Vec<Finding>,
    /// Whether the leaves give the root that the tree says it has.
    pub root_fits: bool,
    /// In order of size.
    pub checkpoints: Vec<CheckedCheckpoint>,
}

impl Check {
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
            && self.root_fits
            && self.checkpoints.iter().all(|checkpoint| checkpoint.is_signed && checkpoint.fits)
    }

    /// Where the tree itself was rewritten: after the last checkpoint that fits, up to the first that does
    /// not; from 1, if none fits.
    pub fn rewritten_between(&self) -> Option<(u64, u64)> {
        bracket(
            self.checkpoints.iter().filter(|checkpoint| checkpoint.is_signed).map(|one| (one.size, one.fits)),
        )
    }
}

/// First and last position of what differs, by checkpoints in order of size.
pub(super) fn bracket(checkpoints: impl Iterator<Item = (u64, bool)>) -> Option<(u64, u64)> {
    let mut fitting = 0;
    for (size, fits) in checkpoints {
        match fits {
            true => fitting = size,
            false => return Some((fitting + 1, size)),
        }
    }
    None
}

impl Notary {
    /// Reads the whole log and the whole tree and compares them. `progress` hears how many positions
    /// are done, and how many there are.
    ///
    /// # Errors
    /// If the database does not answer. What is wrong with the log is not an error: it is the answer.
    pub async fn check(&self, mut progress: impl FnMut(u64, u64)) -> Result<Check, NotaryError> {
        let head = tables::head(&self.pool).await?;
        let mut checkpoints =
            tables::some_checkpoints(&self.pool, i64::MAX.cast_unsigned(), CHECKPOINTS_MAX).await?;
        checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        let mut held = checkpoints.iter().peekable();
        let mut checked = Vec::new();
        let mut comparison = Comparison::default();
        let mut frontier = Frontier::default();
        let mut position = 0;
        // Beyond the tree too: what the log's head does not know of has no place there.
        let last: i64 =
            sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events").fetch_one(&self.pool).await?;
        while position < head.size {
            let leaves = self.leaves(position, head.size.min(position + PAGE_EVENTS)).await?;
            if leaves.is_empty() {
                return Err(NotaryError::Damaged {
                    why: format!("the leaf of position {} is not there", position + 1),
                });
            }
            let up_to = position + leaves.len() as u64;
            self.compare(position, &leaves, &mut comparison).await?;
            for leaf in leaves {
                frontier.push(leaf);
                while let Some(checkpoint) = held.next_if(|one| one.size == frontier.size()) {
                    checked.push(hold(checkpoint, Some(frontier.root())));
                }
            }
            position = up_to;
            progress(position, head.size);
        }
        checked.extend(held.map(|checkpoint| hold(checkpoint, None)));
        if comparison.differs() {
            self.compare_later(head.size, head.log, &mut comparison).await?;
        }
        self.compare_strays(head.log, last.cast_unsigned(), &mut comparison).await?;
        let root = self.ask(&mut Tiles::default(), |tiles| tlog_tiles::tree_hash(head.size, tiles)).await;
        let is_whole = matches!(root, Ok(root) if root == head.root) && frontier.root() == head.root;
        Ok(Check {
            compared: comparison.compared(),
            size: head.size,
            head: head.log,
            findings: comparison.finish(),
            root_fits: is_whole,
            checkpoints: checked,
        })
    }

    /// The events of one page with their leaves.
    async fn compare(
        &self,
        after: u64,
        leaves: &[Hash],
        comparison: &mut Comparison,
    ) -> Result<(), NotaryError> {
        let mut connection = self.pool.acquire().await?;
        let mut events = read::rows(&mut connection, after, after + leaves.len() as u64);
        let mut expected = (after + 1..).zip(leaves.iter().copied()).peekable();
        while let Some(event) = events.try_next().await? {
            while let Some((position, leaf)) = expected.next_if(|(position, _)| *position < event.position) {
                comparison.missing(position, leaf);
            }
            let leaf = expected.next_if(|(position, _)| *position == event.position);
            comparison.event(event, leaf.map(|(_, leaf)| leaf));
        }
        expected.for_each(|(position, leaf)| comparison.missing(position, leaf));
        Ok(())
    }

    /// Events that are not noted yet: one of them may be what is missing elsewhere.
    async fn compare_later(
        &self,
        size: u64,
        head: u64,
        comparison: &mut Comparison,
    ) -> Result<(), NotaryError> {
        let mut connection = self.pool.acquire().await?;
        let mut events = read::rows(&mut connection, size, head.min(size + PAGE_EVENTS));
        while let Some(event) = events.try_next().await? {
            comparison.later(event);
        }
        Ok(())
    }

    /// Events after the head: no append put them there.
    async fn compare_strays(
        &self,
        head: u64,
        last: u64,
        comparison: &mut Comparison,
    ) -> Result<(), NotaryError> {
        if last <= head {
            return Ok(());
        }
        let mut connection = self.pool.acquire().await?;
        // The head may have moved since.
        let head = tables::head(&mut *connection).await?.log.max(head);
        let mut strays = read::rows(&mut connection, head, last);
        while let Some(event) = strays.try_next().await? {
            comparison.event(event, None);
        }
        Ok(())
    }
}

fn hold(checkpoint: &Checkpoint, root: Option<Hash>) -> CheckedCheckpoint {
    let opened = open_checkpoint(&checkpoint.note, &checkpoint.verifier_key);
    let says = (checkpoint.size, checkpoint.root);
    CheckedCheckpoint {
        size: checkpoint.size,
        is_signed: opened.is_ok_and(|head| (head.size, head.root) == says),
        fits: root == Some(checkpoint.root),
    }
}
