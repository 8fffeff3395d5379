//! Proofs: that an event is in the tree, and that one tree begins with another. Both read a number of
//! tiles that grows with the logarithm of the log.

use tlog_tiles::{Error, Hash};

use super::{
    Notary, NotaryError, tables,
    tree::{TILE_HASHES, Tiles},
};

/// That the event at `position` is in the tree of the first `size` events (RFC 6962, 2.1.1).
#[derive(Clone, Debug, PartialEq)]
pub struct InclusionProof {
    /// The leaf's index is `position - 1`.
    pub position: u64,
    pub size: u64,
    pub leaf: Hash,
    pub root: Hash,
    /// From the leaf's sibling up.
    pub path: Vec<Hash>,
}

impl InclusionProof {
    /// Whether the path leads from the leaf to this root.
    pub fn leads_to(&self, root: &Hash) -> bool {
        let index = self.position.wrapping_sub(1);
        tlog_tiles::check_record(&self.path, self.size, *root, index, self.leaf).is_ok()
    }
}

/// That the tree of `to` events begins with the tree of `from` (RFC 6962, 2.1.2).
#[derive(Clone, Debug, PartialEq)]
pub struct ConsistencyProof {
    pub from: u64,
    pub to: u64,
    pub from_root: Hash,
    pub to_root: Hash,
    pub path: Vec<Hash>,
}

impl Notary {
    /// The root of the tree of the first `size` events.
    ///
    /// # Errors
    /// [`NotaryError::NotInTree`] if the tree is smaller, or if the database does not answer.
    pub async fn root_at(&self, size: u64) -> Result<Hash, NotaryError> {
        self.require_size(size).await?;
        self.ask(&mut Tiles::default(), |tiles| tlog_tiles::tree_hash(size, tiles)).await
    }

    /// The proof for one event in the tree of `size` events.
    ///
    /// # Errors
    /// [`NotaryError::NotInTree`] if `position` is not within `size`, or `size` not within the tree;
    /// [`NotaryError::Damaged`] if the tiles prove nothing.
    pub async fn inclusion(&self, position: u64, size: u64) -> Result<InclusionProof, NotaryError> {
        self.require_size(size).await?;
        let root = self.ask(&mut Tiles::default(), |tiles| tlog_tiles::tree_hash(size, tiles)).await?;
        self.inclusion_in(&mut Tiles::default(), position, size, root).await
    }

    /// The same for one of many events: `tiles` keeps what was read.
    pub(super) async fn inclusion_in(
        &self,
        tiles: &mut Tiles,
        position: u64,
        size: u64,
        root: Hash,
    ) -> Result<InclusionProof, NotaryError> {
        if position == 0 || position > size {
            return Err(NotaryError::NotInTree { asked: position, size });
        }
        let index = position - 1;
        let (leaf, path) = self
            .ask(tiles, |tiles| Ok((leaf(tiles, index)?, tlog_tiles::prove_record(size, index, tiles)?)))
            .await?;
        tlog_tiles::check_record(&path, size, root, index, leaf).map_err(|_| NotaryError::Damaged {
            why: format!("the tiles do not prove position {position} in the tree of {size} events"),
        })?;
        Ok(InclusionProof { position, size, leaf, root, path })
    }

    /// The proof that the tree of `to` events begins with that of `from`.
    ///
    /// # Errors
    /// [`NotaryError::NotInTree`] unless 1 ≤ `from` ≤ `to` ≤ the tree's size; [`NotaryError::Damaged`] if
    /// the tiles prove nothing.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof, NotaryError> {
        self.require_size(to).await?;
        if from == 0 || from > to {
            return Err(NotaryError::NotInTree { asked: from, size: to });
        }
        let (from_root, to_root, path) = self
            .ask(&mut Tiles::default(), |tiles| {
                let from_root = tlog_tiles::tree_hash(from, tiles)?;
                let to_root = tlog_tiles::tree_hash(to, tiles)?;
                Ok((from_root, to_root, tlog_tiles::prove_tree(to, from, tiles)?))
            })
            .await?;
        tlog_tiles::check_tree(&path, to, to_root, from, from_root).map_err(|_| NotaryError::Damaged {
            why: format!("the tiles do not prove that the tree of {to} events begins with that of {from}"),
        })?;
        Ok(ConsistencyProof { from, to, from_root, to_root, path })
    }

    /// The leaf hashes after `after`, at most a tile's worth; empty at the tree's end.
    pub(super) async fn leaves(&self, after: u64, size: u64) -> Result<Vec<Hash>, NotaryError> {
        let (tile, skip) = (after / TILE_HASHES, after % TILE_HASHES);
        let found = tables::tiles(&self.pool, [(0, tile)]).await?;
        let Some((_, data)) = found.first() else { return Ok(Vec::new()) };
        let count = (size.saturating_sub(after)).min(TILE_HASHES - skip);
        data.chunks(32)
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .map(tables::hash)
            .collect()
    }

    async fn require_size(&self, size: u64) -> Result<(), NotaryError> {
        let tree = tables::head(&self.pool).await?.size;
        if size > tree {
            return Err(NotaryError::NotInTree { asked: size, size: tree });
        }
        Ok(())
    }

    /// Asks the tiles, fetches those that were missing, and asks again.
    pub(super) async fn ask<T>(
        &self,
        tiles: &mut Tiles,
        question: impl Fn(&Tiles) -> Result<T, Error>,
    ) -> Result<T, NotaryError> {
        loop {
            let answer = question(tiles);
            let missing = tiles.take_missing();
            if missing.is_empty() {
                return answer.map_err(|error| NotaryError::Damaged { why: error.to_string() });
            }
            tables::complete(&self.pool, tiles, missing).await?;
        }
    }
}

fn leaf(tiles: &Tiles, index: u64) -> Result<Hash, Error> {
    use tlog_tiles::HashReader as _;
    let hashes = tiles.read_hashes(&[tlog_tiles::stored_hash_index(0, index)])?;
    hashes.first().copied().ok_or(Error::IndexesNotInTree)
}
