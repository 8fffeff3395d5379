//! The tree of a whole log, computed again from its lines, and checkpoints held to it on the way.

use std::collections::BTreeMap;

use tlog_tiles::Hash;

use crate::notary::{Frontier, TreeHead};

/// Leaves that came too early are kept until the gap before them is filled.
const WAITING_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Chain {
    frontier: Frontier,
    waiting: BTreeMap<u64, Hash>,
    is_overfull: bool,
    /// Roots that some checkpoint is about, by size, as they come to be.
    roots: BTreeMap<u64, Option<Hash>>,
    earlier: Vec<TreeHead>,
}

impl Chain {
    /// `sizes` are those whose roots will be asked for.
    pub(super) fn new(sizes: impl IntoIterator<Item = u64>) -> Self {
        let mut chain = Self::default();
        sizes.into_iter().for_each(|size| chain.want(size));
        chain
    }

    /// A checkpoint that the bundle has itself: it comes before the events.
    pub(super) fn hold(&mut self, earlier: &TreeHead) {
        self.want(earlier.size);
        self.earlier.push(earlier.clone());
    }

    fn want(&mut self, size: u64) {
        self.roots.entry(size).or_default();
    }

    pub(super) fn add(&mut self, position: u64, leaf: Hash) {
        if self.waiting.len() == WAITING_MAX {
            self.is_overfull = true;
            return;
        }
        self.waiting.insert(position, leaf);
        while let Some(leaf) = self.waiting.remove(&(self.frontier.size() + 1)) {
            self.frontier.push(leaf);
            let size = self.frontier.size();
            if let Some(root) = self.roots.get_mut(&size) {
                *root = Some(self.frontier.root());
            }
        }
    }

    /// Whether this position was seen; always false where the chain is not used.
    pub(super) fn has(&self, position: u64) -> bool {
        (1..=self.frontier.size()).contains(&position) || self.waiting.contains_key(&position)
    }

    /// The positions up to `size` that were not seen, as ranges.
    pub(super) fn gaps(&self, size: u64) -> Vec<(u64, u64)> {
        if self.is_overfull {
            return vec![(self.frontier.size() + 1, self.frontier.size() + 1)];
        }
        let mut gaps = Vec::new();
        let mut next = self.frontier.size() + 1;
        for position in self.waiting.keys().copied().filter(|position| *position <= size).chain([size + 1]) {
            if position > next {
                gaps.push((next, position - 1));
            }
            next = position + 1;
        }
        gaps
    }

    /// The root of all lines, if they are `size` without a gap.
    pub(super) fn root_at_end(&self, size: u64) -> Option<Hash> {
        (self.frontier.size() >= size).then(|| match self.roots.get(&size) {
            Some(Some(root)) => *root,
            _ => self.frontier.root(),
        })
    }

    /// Whether a kept checkpoint is of these events; `None` if they are fewer.
    pub(super) fn kept(&self, kept: &TreeHead) -> Option<bool> {
        Some((*self.roots.get(&kept.size)?)? == kept.root)
    }

    /// How many of the bundle's own checkpoints are of these events.
    pub(super) fn held(&self) -> usize {
        self.earlier.iter().filter(|earlier| self.kept(earlier) == Some(true)).count()
    }

    /// Where a tree of `size` events that does not fit begins not to: after the last checkpoint that
    /// fits, up to the first that does not.
    pub(super) fn between(&self, size: u64) -> (u64, u64) {
        let mut earlier: Vec<_> = self.earlier.iter().filter(|earlier| earlier.size < size).collect();
        earlier.sort_by_key(|earlier| earlier.size);
        let fits = |earlier: &&TreeHead| self.kept(earlier) == Some(true);
        let first =
            earlier.iter().filter(|earlier| fits(earlier)).map(|earlier| earlier.size + 1).max().unwrap_or(1);
        let differs =
            earlier.iter().find(|earlier| earlier.size >= first && self.kept(earlier) == Some(false));
        (first, differs.map_or(size, |earlier| earlier.size))
    }
}
