//! Writing a bundle, chunk by chunk: a bounded part of the log is in memory at a time.

use std::collections::BTreeSet;

use chrono::Utc;
use futures::TryStreamExt;
use tlog_tiles::Hash;
use uuid::Uuid;

use super::{Base64Hash, FORMAT, Line, Lines, Scope, base64};
use crate::{
    StoredEvent,
    notary::{Checkpoint, Notary, NotaryError, open_checkpoint, tables, tree::Tiles},
    read,
};

/// A chunk ends with the line that takes it past this.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Of an organization's events, one query looks through so many positions and gives so many events.
const WINDOW_POSITIONS: u64 = 20_000;
const PAGE_EVENTS: i64 = 256;
/// Tiles of leaves are dropped once so many are in memory.
const TILES_MAX: usize = 512;
/// Earlier checkpoints that are put into a bundle, evenly chosen.
const CHECKPOINTS_OF_LOG: u32 = 1_000;
const CHECKPOINTS_OF_ORGANIZATION: u32 = 100;

/// What is exported.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    pub scope: Scope,
    /// Sizes of checkpoints that an auditor holds: the bundle gets the checkpoints of these sizes with
    /// their proofs, whichever others are chosen.
    pub since: Vec<u64>,
}

/// A bundle under way.
pub struct Export {
    notary: Notary,
    scope: Scope,
    checkpoint: Checkpoint,
    earlier: Vec<Checkpoint>,
    is_begun: bool,
    is_ended: bool,
    position: u64,
    previous: u64,
    tiles: Tiles,
    lines: Lines,
}

impl Export {
    /// A bundle up to the newest checkpoint; `None` if nothing was signed yet.
    ///
    /// # Errors
    /// If the database does not answer, or the tree no longer has what was signed.
    pub async fn start(notary: &Notary, options: ExportOptions) -> Result<Option<Self>, NotaryError> {
        let Some(checkpoint) = notary.latest_checkpoint().await? else { return Ok(None) };
        let count = match options.scope {
            Scope::Log => CHECKPOINTS_OF_LOG,
            Scope::Organization(_) => CHECKPOINTS_OF_ORGANIZATION,
        };
        let mut earlier = tables::some_checkpoints(&notary.pool, checkpoint.size, count).await?;
        let chosen: BTreeSet<u64> = earlier.iter().map(|one| one.number).collect();
        let asked = tables::checkpoints_of(&notary.pool, &options.since).await?;
        earlier.extend(asked.into_iter().filter(|one| !chosen.contains(&one.number)));
        earlier.retain(|one| (1..checkpoint.size).contains(&one.size));
        earlier.sort_by_key(|one| (one.size, one.number));
        Ok(Some(Self {
            notary: notary.clone(),
            scope: options.scope,
            checkpoint,
            earlier,
            is_begun: false,
            is_ended: false,
            position: 0,
            previous: 0,
            tiles: Tiles::default(),
            lines: Lines::default(),
        }))
    }

    /// Positions done, of how many.
    pub fn progress(&self) -> (u64, u64) {
        (self.position, self.checkpoint.size)
    }

    /// Events written so far.
    pub fn events(&self) -> u64 {
        self.lines.count
    }

    /// The checkpoint that the bundle is held to.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The next whole lines, each with its newline; `None` after the end.
    ///
    /// # Errors
    /// If the database does not answer. The bundle is not whole then.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, NotaryError> {
        if self.is_ended {
            return Ok(None);
        }
        if !self.is_begun {
            self.is_begun = true;
            return self.begin().await.map(Some);
        }
        if self.position >= self.checkpoint.size {
            self.is_ended = true;
            return self.end().map(Some);
        }
        match self.scope {
            Scope::Log => self.page_of_log().await,
            Scope::Organization(id) => self.page_of_organization(id).await,
        }
        .map(Some)
    }

    async fn begin(&self) -> Result<Vec<u8>, NotaryError> {
        let mut chunk = Vec::new();
        let Checkpoint { size, note, verifier_key, .. } = self.checkpoint.clone();
        let header = Line::Header {
            format: FORMAT.to_string(),
            scope: self.scope,
            size,
            verifier_key,
            checkpoint: note,
            exported_at: Utc::now(),
        };
        write(&mut chunk, &header)?;
        for earlier in &self.earlier {
            let proof = match self.scope {
                Scope::Log => None,
                // A proof that can't be given is left out: the verifier says that it is not there.
                Scope::Organization(_) => {
                    let proof = self.notary.consistency(earlier.size, size).await;
                    proof.ok().map(|proof| base64(&proof.path))
                }
            };
            let (note, verifier_key) = (earlier.note.clone(), earlier.verifier_key.clone());
            write(&mut chunk, &Line::Checkpoint { note, verifier_key, proof })?;
        }
        Ok(chunk)
    }

    /// A tile's worth of the log; every leaf gets a line, whether its event is there or not.
    async fn page_of_log(&mut self) -> Result<Vec<u8>, NotaryError> {
        let mut chunk = Vec::new();
        let leaves = self.notary.leaves(self.position, self.checkpoint.size).await?;
        if leaves.is_empty() {
            let why = format!("the leaf of position {} is not there", self.position + 1);
            return Err(NotaryError::Damaged { why });
        }
        let first = self.position + 1;
        let up_to = self.position + leaves.len() as u64;
        let mut connection = self.notary.pool.acquire().await?;
        let mut rows = read::rows(&mut connection, self.position, up_to);
        let mut next = rows.try_next().await?;
        for (position, leaf) in (first..).zip(leaves) {
            let event = match next.take() {
                Some(event) if event.position == position => {
                    next = rows.try_next().await?;
                    Some(event)
                }
                other => {
                    next = other;
                    None
                }
            };
            self.position = position;
            self.lines.add(position, leaf);
            match event {
                Some(event) => write_event(&mut chunk, event, leaf, None, None)?,
                None => write(&mut chunk, &Line::Missing { position, leaf: Base64Hash(leaf) })?,
            }
            if chunk.len() > CHUNK_BYTES {
                break;
            }
        }
        Ok(chunk)
    }

    /// The organization's events of the next window, each with its proof.
    async fn page_of_organization(&mut self, id: Uuid) -> Result<Vec<u8>, NotaryError> {
        let mut chunk = Vec::new();
        let (size, root) = (self.checkpoint.size, self.checkpoint.root);
        let up_to = size.min(self.position + WINDOW_POSITIONS);
        let mut page: Vec<StoredEvent> = Vec::new();
        {
            let mut connection = self.notary.pool.acquire().await?;
            let mut rows = read::rows_of(&mut connection, id, self.position, up_to, PAGE_EVENTS);
            let mut bytes = 0;
            let mut is_whole = true;
            while let Some(event) = rows.try_next().await? {
                bytes += event.payload.len() + event.metadata.len();
                page.push(event);
                is_whole = bytes <= CHUNK_BYTES && page.len() < 256;
                if !is_whole {
                    break;
                }
            }
            self.position = if is_whole { up_to } else { page.last().map_or(up_to, |event| event.position) };
        }
        for event in page {
            if self.tiles.len() > TILES_MAX {
                self.tiles.drop_leaves();
            }
            let proof = self.notary.inclusion_in(&mut self.tiles, event.position, size, root).await?;
            self.lines.add(event.position, proof.leaf);
            let previous = std::mem::replace(&mut self.previous, event.position);
            write_event(&mut chunk, event, proof.leaf, Some(base64(&proof.path)), Some(previous))?;
        }
        Ok(chunk)
    }

    fn end(&self) -> Result<Vec<u8>, NotaryError> {
        let key = self.notary.key();
        // Only the log's own key; on a machine without it, the bundle has no manifest.
        let is_own = open_checkpoint(&self.checkpoint.note, key.verifier_key()).is_ok();
        let manifest =
            is_own.then(|| key.sign(&self.lines.manifest(key.origin(), self.scope, self.checkpoint.size)));
        let mut chunk = Vec::new();
        let end = Line::End {
            events: self.lines.count,
            digest: Base64Hash(self.lines.digest()),
            manifest: manifest.transpose()?,
        };
        write(&mut chunk, &end)?;
        Ok(chunk)
    }
}

fn write_event(
    chunk: &mut Vec<u8>,
    event: StoredEvent,
    leaf: Hash,
    proof: Option<Vec<Base64Hash>>,
    previous: Option<u64>,
) -> Result<(), NotaryError> {
    write(chunk, &Line::Event { leaf: Base64Hash(leaf), proof, previous, event: event.into() })
}

fn write(chunk: &mut Vec<u8>, line: &Line) -> Result<(), NotaryError> {
    serde_json::to_writer(&mut *chunk, line)
        .map_err(|error| NotaryError::Damaged { why: error.to_string() })?;
    chunk.push(b'\n');
    Ok(())
}
