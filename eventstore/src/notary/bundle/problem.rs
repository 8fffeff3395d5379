//! What is wrong with a bundle, in words that name the position.

use std::fmt;

use crate::notary::Finding;

/// Evidence that something is not as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// An event against its leaf.
    Event(Finding),
    /// A line's leaf is not in the signed tree.
    NotInTree {
        position: u64,
    },
    /// A line without the proof that it should have.
    NoProof {
        position: u64,
    },
    /// There are two lines of a position.
    Twice {
        position: u64,
    },
    /// A line stands after one of a later position.
    OutOfOrder {
        position: u64,
        after: u64,
    },
    /// Lines were taken out between these two.
    LinesRemoved {
        after: u64,
        before: u64,
    },
    /// An event of somebody else in an organization's bundle.
    Foreign {
        position: u64,
    },
    /// The header's checkpoint.
    Checkpoint {
        why: String,
    },
    /// An earlier checkpoint in the bundle.
    EarlierInBundle {
        why: String,
    },
    /// The leaves do not give the signed root; between which positions, as far as earlier checkpoints tell.
    Root {
        first: u64,
        last: u64,
    },
    /// Nor do they give what an auditor kept.
    Kept {
        size: u64,
        first: u64,
        last: u64,
    },
    /// What an auditor gave is no checkpoint of this log.
    KeptNotSigned {
        why: String,
    },
    /// The end does not say what the lines say.
    End {
        why: String,
    },
    /// There is no end.
    CutOff,
    Line {
        number: u64,
        why: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(finding) => finding.fmt(f),
            Self::NotInTree { position } => {
                write!(f, "position {position}: ADDED or its proof changed, the signed tree does not have it")
            }
            Self::NoProof { position } => write!(f, "position {position}: its proof was taken out"),
            Self::Twice { position } => write!(f, "position {position}: ADDED, there are two of it"),
            Self::OutOfOrder { position, after } => {
                write!(f, "position {position}: REORDERED, it stands after position {after}")
            }
            Self::LinesRemoved { after, before } => {
                write!(f, "between positions {after} and {before}: REMOVED, lines are missing here")
            }
            Self::Foreign { position } => {
                write!(f, "position {position}: ADDED, it is not of this organization")
            }
            Self::Checkpoint { why } => write!(f, "the bundle's checkpoint: {why}"),
            Self::EarlierInBundle { why } => write!(f, "an earlier checkpoint in the bundle: {why}"),
            Self::Root { first, last } => write!(
                f,
                "positions {first} to {last}: CHANGED together with the tree, which has not the root that was signed"
            ),
            Self::Kept { size, first, last } => write!(
                f,
                "REWRITTEN: the checkpoint of {size} events that you kept has another root than these events; \
                 the change is within positions {first} to {last}"
            ),
            Self::KeptNotSigned { why } => write!(f, "the checkpoint that you kept: {why}"),
            Self::End { why } => write!(f, "the bundle's end: {why}"),
            Self::CutOff => f.write_str("the bundle is cut off: its end is missing"),
            Self::Line { number, why } => write!(f, "line {number}: {why}"),
        }
    }
}
