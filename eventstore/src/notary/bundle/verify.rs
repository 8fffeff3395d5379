//! Verifying a bundle, line by line, with nothing but the bundle and what an auditor brings.

mod chain;
mod lines;

use std::io::{self, BufRead};

use chrono::{DateTime, Utc};
use tlog_tiles::Hash;

use super::{Base64Hash, FORMAT, Line, Lines, Problem, Scope, plain};
use crate::{
    StoredEvent,
    notary::{Comparison, NoteError, TreeHead, leaf_hash, open_checkpoint, open_note},
};
use chain::Chain;

/// Problems of one bundle that are told one by one.
const PROBLEMS_MAX: usize = 1_000;

/// What an auditor brings.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The log's verifier key, learned elsewhere than from the bundle.
    pub key: Option<String>,
    /// Signed checkpoints that the auditor kept from before.
    pub kept: Vec<String>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything holds, against a key or a checkpoint that the auditor brought.
    Holds,
    /// Nothing contradicts, but something that would have to be known is not.
    Incomplete,
    /// Something was changed.
    Broken,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    pub scope: Scope,
    pub verifier_key: String,
    /// Of the bundle's checkpoint.
    pub head: Option<TreeHead>,
    pub exported_at: DateTime<Utc>,
    /// Events whose bytes were hashed.
    pub events: u64,
    pub problems: Vec<Problem>,
    /// What was shown.
    pub shown: Vec<String>,
    /// What this can't show, and what would.
    pub unknown: Vec<String>,
    pub verdict: Verdict,
}

/// Verifies a bundle. `progress` hears of the lines that were read.
///
/// # Errors
/// If it can't be read, or is no bundle at all. What is wrong with a bundle is not an error: it is the
/// report.
pub fn verify(
    bundle: impl BufRead,
    options: &VerifyOptions,
    mut progress: impl FnMut(u64),
) -> io::Result<Report> {
    let mut reader = lines::Reader::new(bundle);
    let mut verifier = Verifier::begin(reader.header()?, options)?;
    while let Some((number, line)) = reader.next()? {
        match line {
            Ok(line) => verifier.take(number, line),
            Err(why) => verifier.problem(Problem::Line { number, why }),
        }
        progress(number);
    }
    Ok(verifier.finish())
}

struct Verifier {
    scope: Scope,
    verifier_key: String,
    exported_at: DateTime<Utc>,
    head: Option<TreeHead>,
    is_pinned: bool,
    kept: Vec<TreeHead>,
    /// Which of `kept` are settled by a proof of the bundle.
    kept_shown: Vec<u64>,
    comparison: Comparison,
    chain: Chain,
    lines: Lines,
    events: u64,
    last_position: u64,
    is_ended: bool,
    is_manifest_signed: bool,
    problems: Vec<Problem>,
    unknown: Vec<String>,
}

impl Verifier {
    fn begin(header: Line, options: &VerifyOptions) -> io::Result<Self> {
        let Line::Header { format, scope, size, verifier_key, checkpoint, exported_at } = header else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its first line is no header"));
        };
        if format != FORMAT {
            let why = format!("its format is {format:?}, and this program reads {FORMAT:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let mut problems = Vec::new();
        let key = options.key.clone().unwrap_or_else(|| verifier_key.clone());
        let head = match open_checkpoint(&checkpoint, &key) {
            Ok(head) if head.size != size => {
                let why = format!("it is of {} events, and the header says {size}", head.size);
                problems.push(Problem::Checkpoint { why });
                Some(head)
            }
            Ok(head) => Some(head),
            Err(NoteError::Key(why)) if options.key.is_some() => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("--key is no verifier key: {why}"),
                ));
            }
            Err(error) => {
                problems.push(Problem::Checkpoint { why: error.to_string() });
                None
            }
        };
        let mut kept = Vec::new();
        for note in &options.kept {
            match open_checkpoint(note, &key) {
                Ok(head) => kept.push(head),
                Err(error) => problems.push(Problem::KeptNotSigned { why: error.to_string() }),
            }
        }
        Ok(Self {
            scope,
            verifier_key: key,
            exported_at,
            chain: Chain::new(kept.iter().chain(&head).map(|head| head.size)),
            kept,
            kept_shown: Vec::new(),
            is_pinned: options.key.is_some(),
            head,
            comparison: Comparison::default(),
            lines: Lines::default(),
            events: 0,
            last_position: 0,
            is_ended: false,
            is_manifest_signed: false,
            problems,
            unknown: Vec::new(),
        })
    }

    fn take(&mut self, number: u64, line: Line) {
        if self.is_ended {
            let why = "it stands after the end".to_string();
            return self.problem(Problem::Line { number, why });
        }
        match line {
            Line::Header { .. } => {
                let why = "a second header".to_string();
                self.problem(Problem::Line { number, why });
            }
            Line::Checkpoint { note, verifier_key, proof } => self.earlier(&note, &verifier_key, proof),
            Line::Event { leaf, proof, previous, event } => self.event(leaf, proof, previous, event.into()),
            Line::Missing { position, leaf } => {
                self.in_order(position);
                self.lines.add(position, leaf.0);
                self.comparison.missing(position, leaf.0);
                self.chain.add(position, leaf.0);
            }
            Line::End { events, digest, manifest } => self.end(events, digest, manifest),
        }
    }

    fn earlier(&mut self, note: &str, verifier_key: &str, proof: Option<Vec<Base64Hash>>) {
        // Another key's checkpoint, of before the key was changed, proves nothing under this one.
        if verifier_key != self.verifier_key {
            return;
        }
        let earlier = match open_checkpoint(note, &self.verifier_key) {
            Ok(earlier) => earlier,
            Err(error) => return self.problem(Problem::EarlierInBundle { why: error.to_string() }),
        };
        if let (Some(head), Some(proof)) = (self.head.clone(), proof) {
            let proof = plain(&proof);
            if tlog_tiles::check_tree(&proof, head.size, head.root, earlier.size, earlier.root).is_err() {
                let why =
                    format!("the tree of {} events does not begin with its {}", head.size, earlier.size);
                self.problem(Problem::EarlierInBundle { why });
            }
            // The proof is about what the auditor kept, not about what the bundle says of it.
            for kept in self.kept.clone().into_iter().filter(|kept| kept.size == earlier.size) {
                if tlog_tiles::check_tree(&proof, head.size, head.root, kept.size, kept.root).is_ok() {
                    self.kept_shown.push(kept.size);
                } else {
                    self.problem(Problem::Kept { size: kept.size, first: 1, last: kept.size });
                }
            }
        }
        self.chain.hold(&earlier);
    }

    fn event(
        &mut self,
        leaf: Base64Hash,
        proof: Option<Vec<Base64Hash>>,
        previous: Option<u64>,
        event: StoredEvent,
    ) {
        let (position, leaf) = (event.position, leaf.0);
        self.events += 1;
        if let Some(previous) = previous.filter(|previous| *previous != self.last_position)
            && position > self.last_position
        {
            let after = self.last_position;
            if previous > after {
                self.problem(Problem::LinesRemoved { after, before: position });
            }
        }
        if !self.in_order(position) {
            return;
        }
        self.lines.add(position, leaf);
        match self.scope {
            Scope::Log => {
                let size = self.head.as_ref().map_or(u64::MAX, |head| head.size);
                let noted = (position <= size).then_some(leaf);
                self.chain.add(position, leaf);
                self.comparison.event(event, noted);
            }
            Scope::Organization(id) => {
                if event.organization_id() != Some(id) {
                    self.problem(Problem::Foreign { position });
                }
                if self.is_in_tree(position, leaf, proof) {
                    self.comparison.event(event, Some(leaf));
                } else if leaf_hash(&event) != leaf {
                    self.comparison.event(event, None);
                }
            }
        }
    }

    /// Whether a leaf's own proof leads to the signed root.
    fn is_in_tree(&mut self, position: u64, leaf: Hash, proof: Option<Vec<Base64Hash>>) -> bool {
        let Some(head) = self.head.clone() else { return false };
        let Some(proof) = proof else {
            self.problem(Problem::NoProof { position });
            return false;
        };
        let index = position.wrapping_sub(1);
        let holds = tlog_tiles::check_record(&plain(&proof), head.size, head.root, index, leaf).is_ok();
        if !holds {
            self.problem(Problem::NotInTree { position });
        }
        holds
    }

    /// Whether a line may be taken; its place among the others is looked at.
    fn in_order(&mut self, position: u64) -> bool {
        if position == self.last_position || self.chain.has(position) {
            self.problem(Problem::Twice { position });
            return false;
        }
        if position < self.last_position {
            self.problem(Problem::OutOfOrder { position, after: self.last_position });
        }
        self.last_position = self.last_position.max(position);
        true
    }

    fn end(&mut self, events: u64, digest: Base64Hash, manifest: Option<String>) {
        self.is_ended = true;
        let counted = self.lines.count;
        if events != counted {
            let why = format!("it says that there are {events} lines of events, and there are {counted}");
            self.problem(Problem::End { why });
        } else if digest.0 != self.lines.digest() {
            let why = "its digest is not that of the lines: leaves or positions were changed, or their order"
                .to_string();
            self.problem(Problem::End { why });
        }
        let Some(head) = self.head.clone() else { return };
        let Some(manifest) = manifest else {
            self.unknown.push(
                "the bundle has no signed manifest (it was made without the notary's key): \
                 that it has as many lines as it was made with is not shown"
                    .to_string(),
            );
            return;
        };
        let wanted = self.lines.manifest(&head.origin, self.scope, head.size);
        match open_note(&manifest, &self.verifier_key) {
            Ok(text) if text == wanted => self.is_manifest_signed = true,
            Ok(_) => {
                let why = "the manifest that was signed is of other lines".to_string();
                self.problem(Problem::End { why });
            }
            Err(error) => self.problem(Problem::End { why: error.to_string() }),
        }
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    fn finish(mut self) -> Report {
        if !self.is_ended {
            self.problem(Problem::CutOff);
        }
        let mut shown = Vec::new();
        match self.scope {
            Scope::Log => self.finish_log(&mut shown),
            Scope::Organization(_) => self.finish_organization(&mut shown),
        }
        let findings = std::mem::take(&mut self.comparison).finish();
        let at = self.problems.len().min(PROBLEMS_MAX);
        if findings.is_empty() && self.events > 0 {
            shown.push(format!(
                "each of the {} events has the hash of its leaf, every byte of it",
                self.events
            ));
        }
        self.problems.splice(at.., findings.into_iter().map(Problem::Event));
        self.tell_what_is_not_known();
        let is_anchored = self.is_pinned || !self.kept.is_empty();
        let verdict = match (self.problems.is_empty(), is_anchored) {
            (false, _) => Verdict::Broken,
            (true, true) if self.kept_unsettled().is_empty() => Verdict::Holds,
            (true, _) => Verdict::Incomplete,
        };
        Report {
            scope: self.scope,
            verifier_key: self.verifier_key,
            head: self.head,
            exported_at: self.exported_at,
            events: self.events,
            problems: self.problems,
            shown,
            unknown: self.unknown,
            verdict,
        }
    }

    fn finish_log(&mut self, shown: &mut Vec<String>) {
        let Some(head) = self.head.clone() else { return };
        for (first, last) in self.chain.gaps(head.size) {
            for position in (first..=last).take(PROBLEMS_MAX) {
                self.problem(Problem::Event(crate::notary::Finding::Removed { position }));
            }
        }
        let Some(root) = self.chain.root_at_end(head.size) else {
            self.unknown.push("lines are missing, so the tree can't be computed and the leaves are not shown to be the signed ones".to_string());
            return;
        };
        for kept in self.kept.clone() {
            match self.chain.kept(&kept) {
                Some(true) => {
                    self.kept_shown.push(kept.size);
                    shown.push(format!(
                        "the leaves of positions 1 to {} have the root of the checkpoint that you kept",
                        kept.size
                    ));
                }
                Some(false) => {
                    let (first, last) = self.chain.between(kept.size);
                    self.problem(Problem::Kept { size: kept.size, first, last });
                }
                None => {}
            }
        }
        if root == head.root {
            shown.push(format!("the leaves of all {} positions have the root that was signed", head.size));
            let held = self.chain.held();
            if held > 0 {
                shown.push(match held {
                    1 => "an earlier checkpoint in the bundle has the root of these leaves".to_string(),
                    _ => format!("{held} earlier checkpoints in the bundle have the roots of these leaves"),
                });
            }
        } else {
            let (first, last) = self.chain.between(head.size);
            self.problem(Problem::Root { first, last });
        }
    }

    fn finish_organization(&mut self, shown: &mut Vec<String>) {
        let Some(head) = self.head.clone() else { return };
        for kept in self.kept.clone().into_iter().filter(|kept| kept.size == head.size) {
            if kept.root == head.root {
                self.kept_shown.push(kept.size);
            } else {
                self.problem(Problem::Kept { size: kept.size, first: 1, last: kept.size });
            }
        }
        for size in &self.kept_shown {
            shown.push(format!(
                "the signed tree begins with the {size} events of the checkpoint that you kept"
            ));
        }
        if self.problems.is_empty() {
            let size = head.size;
            shown.push(format!("each of the {} events is in the signed tree of {size} events", self.events));
            if self.is_manifest_signed {
                shown.push("no line was taken out since the bundle was made".to_string());
            }
        }
    }

    /// Checkpoints that the auditor kept and that nothing here speaks for or against.
    fn kept_unsettled(&self) -> Vec<u64> {
        let is_settled = |size: &u64| {
            let refuted = |problem: &Problem| matches!(problem, Problem::Kept { size: of, .. } if of == size);
            self.kept_shown.contains(size) || self.problems.iter().any(refuted)
        };
        self.kept.iter().map(|kept| kept.size).filter(|size| *size > 0 && !is_settled(size)).collect()
    }

    fn tell_what_is_not_known(&mut self) {
        for size in self.kept_unsettled() {
            let newer = self.head.as_ref().is_some_and(|head| size > head.size);
            self.unknown.push(if newer {
                format!("the checkpoint of {size} events that you kept is newer than this bundle: export another one")
            } else {
                format!(
                    "the bundle has no proof from the checkpoint of {size} events that you kept: \
                     export it with --since {size}"
                )
            });
        }
        match (self.is_pinned, self.kept.iter().map(|kept| kept.size).max()) {
            (false, None) => self.unknown.push(
                "SELF-CONSISTENT ONLY: the key is the bundle's own. Whoever made the bundle may have made events, tree \
                 and key; give the key that you learned elsewhere (--key) or a checkpoint that you kept (--checkpoint)"
                    .to_string(),
            ),
            (true, None) => self.unknown.push(
                "whether whoever has the key has rewritten the log and signed it anew: only a checkpoint that you kept \
                 from before (--checkpoint) shows that"
                    .to_string(),
            ),
            (_, Some(size)) => self.unknown.push(format!(
                "whether events after position {size} were rewritten before you first saw a checkpoint of them"
            )),
        }
        if matches!(self.scope, Scope::Organization(_)) {
            self.unknown.push(
                "whether the log has more events of this organization than the bundle: a bundle of the whole log shows that"
                    .to_string(),
            );
        }
    }
}
