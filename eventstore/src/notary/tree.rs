//! The Merkle tree of RFC 6962, kept as tiles of 256 hashes (C2SP tlog-tiles).
//!
//! The arithmetic is `tlog_tiles`' (a port of Go's `golang.org/x/mod/sumdb/tlog`); here is only where
//! its hashes lie.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use tlog_tiles::{EMPTY_HASH, Error, HASH_SIZE, Hash, HashReader, Tile, node_hash};

/// A tile has 2^8 hashes, and a hash of the level above is that of a whole tile.
const TILE_HEIGHT: u8 = 8;
pub(super) const TILE_HASHES: u64 = 1 << TILE_HEIGHT;

/// Level and index of a tile.
pub(super) type TileName = (u8, u64);

/// Tiles at hand. What is asked for and is not there is remembered, so that it can be fetched and the
/// same question asked again: `tlog_tiles` asks without waiting.
#[derive(Default)]
pub(super) struct Tiles {
    known: BTreeMap<TileName, Vec<u8>>,
    missing: Mutex<BTreeSet<TileName>>,
}

impl Tiles {
    pub(super) fn add(&mut self, tiles: impl IntoIterator<Item = (TileName, Vec<u8>)>) {
        self.known.extend(tiles);
    }

    /// What was asked for in vain since the last call.
    pub(super) fn take_missing(&self) -> BTreeSet<TileName> {
        std::mem::take(&mut *self.missing.lock())
    }

    pub(super) fn get(&self, name: TileName) -> Option<&[u8]> {
        self.known.get(&name).map(Vec::as_slice)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Drops the leaves; the levels above are small and asked for again and again.
    pub(super) fn drop_leaves(&mut self) {
        self.known.retain(|(level, _), _| *level > 0);
    }
}

impl HashReader for Tiles {
    /// Of what is missing it gives a dummy: the answer counts only if nothing was.
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let mut hashes = Vec::with_capacity(indexes.len());
        for index in indexes {
            let tile = Tile::from_index(TILE_HEIGHT, *index);
            let name = (tile.level(), tile.level_index());
            hashes.push(match self.known.get(&name) {
                Some(data) => tile.hash_at_index(data, *index)?,
                None => {
                    self.missing.lock().insert(name);
                    EMPTY_HASH
                }
            });
        }
        Ok(hashes)
    }
}

/// The tiles at the right edge of a tree that still have room: all that it takes to add to it.
pub(super) fn edge(size: u64) -> Vec<TileName> {
    let mut names = Vec::new();
    let (mut level, mut count) = (0, size);
    while count > 0 {
        if count % TILE_HASHES != 0 {
            names.push((level, count / TILE_HASHES));
        }
        level += 1;
        count /= TILE_HASHES;
    }
    names
}

/// A tree that grows. It holds its right edge and what was added.
pub(super) struct Growth {
    size: u64,
    tiles: Tiles,
    changed: BTreeSet<TileName>,
}

impl Growth {
    /// A tree of this size, with the tiles of its [`edge`].
    ///
    /// # Errors
    /// In words, if the tiles are not those of a tree of this size.
    pub(super) fn new(size: u64, tiles: Tiles) -> Result<Self, String> {
        for (level, index) in edge(size) {
            let hashes = (size >> (TILE_HEIGHT * level)) % TILE_HASHES;
            let found = tiles.get((level, index)).map_or(0, <[u8]>::len);
            if found as u64 != hashes * HASH_SIZE as u64 {
                return Err(format!(
                    "tile {index} of level {level} has {found} bytes where a tree of {size} events has {hashes} hashes"
                ));
            }
        }
        Ok(Self { size, tiles, changed: BTreeSet::new() })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn push(&mut self, leaf: Hash) {
        let (mut level, mut index, mut hash) = (0, self.size, leaf);
        loop {
            let name = (level, index / TILE_HASHES);
            let tile = self.tiles.known.entry(name).or_default();
            tile.extend_from_slice(&hash.0);
            self.changed.insert(name);
            if (index + 1) % TILE_HASHES != 0 {
                break;
            }
            hash = Tile::subtree_hash(tile);
            (level, index) = (level + 1, index / TILE_HASHES);
        }
        self.size += 1;
    }

    /// The root, or `None` if the tiles do not fit together.
    pub(super) fn root(&self) -> Option<Hash> {
        let root = tlog_tiles::tree_hash(self.size, &self.tiles).ok()?;
        self.tiles.take_missing().is_empty().then_some(root)
    }

    /// The tiles that are new or longer than before.
    pub(super) fn changed(&self) -> impl Iterator<Item = (TileName, &[u8])> {
        self.changed.iter().filter_map(|name| Some((*name, self.tiles.get(*name)?)))
    }
}

/// The roots of whole subtrees, from large to small: enough to go on and to say the root, in 2 kB for
/// any number of leaves.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // As many subtrees are completed as the size has ones at its end.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node_hash(left, hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev().copied();
        let Some(last) = subtrees.next() else { return EMPTY_HASH };
        subtrees.fold(last, |right, left| node_hash(left, right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: u64) -> Hash {
        tlog_tiles::record_hash(&number.to_be_bytes())
    }

    /// RFC 6962, 2.1, as it is written.
    fn by_the_book(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => EMPTY_HASH,
            [one] => *one,
            more => {
                let split = more.len().next_power_of_two() / 2;
                let (left, right) = more.split_at(split);
                node_hash(by_the_book(left), by_the_book(right))
            }
        }
    }

    #[test]
    fn a_tree_that_grows_in_pieces_has_the_root_of_the_specification() {
        let leaves: Vec<Hash> = (0..70_000).map(leaf).collect();
        let mut tiles: BTreeMap<TileName, Vec<u8>> = BTreeMap::new();
        let mut frontier = Frontier::default();
        let mut size = 0;
        for piece in [1, 1, 253, 1, 1, 255, 256, 1000, 64_000, 68, 4164] {
            let mut at_hand = Tiles::default();
            at_hand.add(edge(size).into_iter().map(|name| (name, tiles[&name].clone())));
            let mut growth = Growth::new(size, at_hand).expect("the edge is whole");
            for leaf in &leaves[size as usize..(size + piece) as usize] {
                growth.push(*leaf);
                frontier.push(*leaf);
            }
            size = growth.size();
            let root = growth.root().expect("the edge is enough");
            assert_eq!(root, by_the_book(&leaves[..size as usize]), "at {size}");
            assert_eq!(root, frontier.root(), "at {size}");
            tiles.extend(growth.changed().map(|(name, data)| (name, data.to_vec())));
        }
        assert_eq!(tiles.len(), 274 + 2 + 1, "leaves, tiles of tiles, and the top");
        prove_everything(&leaves[..size as usize], tiles);
    }

    fn prove_everything(leaves: &[Hash], all: BTreeMap<TileName, Vec<u8>>) {
        let size = leaves.len() as u64;
        let mut tiles = Tiles::default();
        // Asked once in vain, then with what was missing.
        assert!(tlog_tiles::prove_record(size, 77, &tiles).is_ok());
        let missing = tiles.take_missing();
        assert!((1..10).contains(&missing.len()), "{missing:?}");
        tiles.add(all);
        for (number, old) in [(0, 1), (77, 78), (65_535, 65_536), (65_536, 69_000), (size - 1, size)] {
            let proof = tlog_tiles::prove_record(size, number, &tiles).expect("proves");
            let root = by_the_book(leaves);
            let leaf = leaves[usize::try_from(number).expect("is small")];
            tlog_tiles::check_record(&proof, size, root, number, leaf).expect("holds");
            let proof = tlog_tiles::prove_tree(size, old, &tiles).expect("proves");
            let old_root = by_the_book(&leaves[..usize::try_from(old).expect("is small")]);
            tlog_tiles::check_tree(&proof, size, root, old, old_root).expect("holds");
        }
        assert!(tiles.take_missing().is_empty());
    }

    #[test]
    fn an_edge_that_is_of_another_size_is_refused() {
        let mut growth = Growth::new(0, Tiles::default()).expect("empty");
        (0..3).for_each(|number| growth.push(leaf(number)));
        let tile: Vec<_> = growth.changed().map(|(name, data)| (name, data.to_vec())).collect();
        let mut tiles = Tiles::default();
        tiles.add(tile);
        assert!(Growth::new(4, tiles).is_err());
        assert!(Growth::new(256, Tiles::default()).is_err(), "the level above is missing");
    }
}
