//! Comparing events with the leaves that were noted of them, and saying what became of those that differ.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use tlog_tiles::Hash;
use uuid::Uuid;

use super::record::leaf_hash;
use crate::StoredEvent;

/// So many events that differ are looked into one by one; of the others there is only a count.
const SUSPECTS_MAX: usize = 1_000;
/// And at most so much text of them is kept.
const SUSPECT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An event in the words of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventName {
    pub event_id: Uuid,
    pub stream: String,
    pub event_type: String,
}

impl EventName {
    fn of(event: &StoredEvent) -> Self {
        Self {
            event_id: event.event_id,
            stream: event.stream.to_string(),
            event_type: event.event_type.clone(),
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}, id {}", self.event_type, self.stream, self.event_id)
    }
}

/// What was found to be otherwise than it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The event at this position is not the one that was noted there, and is not known elsewhere.
    Changed { position: u64, event: EventName },
    /// What was noted at this position is nowhere.
    Removed { position: u64 },
    /// An event that was never noted.
    Added { position: u64, event: EventName },
    /// An event that was noted at another position.
    Moved { from: u64, to: u64, event: EventName },
    /// More events differ than were looked into one by one.
    More { count: u64, first: u64, last: u64 },
}

impl Finding {
    /// Where it is.
    pub fn position(&self) -> u64 {
        match self {
            Self::Changed { position, .. } | Self::Removed { position } | Self::Added { position, .. } => {
                *position
            }
            Self::Moved { to, .. } => *to,
            Self::More { first, .. } => *first,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { position, event } => {
                write!(f, "position {position}: CHANGED since it was noted ({event})")
            }
            Self::Removed { position } => {
                write!(f, "position {position}: REMOVED, what was noted here is gone")
            }
            Self::Added { position, event } => {
                write!(f, "position {position}: ADDED, it was never noted ({event})")
            }
            Self::Moved { from, to, event } => {
                write!(f, "position {to}: REORDERED, this event was noted at position {from} ({event})")
            }
            Self::More { count, first, last } => {
                write!(f, "positions {first} to {last}: {count} more events are not the ones that were noted")
            }
        }
    }
}

/// Takes events and leaves in any order, and says at the end what differs.
#[derive(Default)]
pub struct Comparison {
    compared: u64,
    suspects: Vec<StoredEvent>,
    suspect_bytes: usize,
    /// The leaves whose events differ or are gone.
    leaves: BTreeMap<u64, Hash>,
    unmatched: Option<(u64, u64, u64)>,
    /// Events that were not noted yet: they count only if they were noted elsewhere.
    later: Vec<StoredEvent>,
}

impl Comparison {
    /// An event and the leaf that was noted at its position, if one was.
    pub fn event(&mut self, event: StoredEvent, leaf: Option<Hash>) {
        self.compared += 1;
        if leaf == Some(leaf_hash(&event)) {
            return;
        }
        let bytes = event.payload.len() + event.metadata.len();
        if self.suspects.len() == SUSPECTS_MAX || self.suspect_bytes + bytes > SUSPECT_BYTES_MAX {
            let (count, first, _) = self.unmatched.unwrap_or((0, event.position, 0));
            self.unmatched = Some((count + 1, first, event.position));
            return;
        }
        self.suspect_bytes += bytes;
        self.leaves.extend(leaf.map(|leaf| (event.position, leaf)));
        self.suspects.push(event);
    }

    /// A leaf without an event.
    pub fn missing(&mut self, position: u64, leaf: Hash) {
        if self.leaves.len() < 2 * SUSPECTS_MAX {
            self.leaves.insert(position, leaf);
        } else {
            let (count, first, _) = self.unmatched.unwrap_or((0, position, 0));
            self.unmatched = Some((count + 1, first, position));
        }
    }

    /// An event after the tree's end. By itself it is as it should be; one that was pushed there is not.
    pub fn later(&mut self, event: StoredEvent) {
        if self.later.len() < SUSPECTS_MAX {
            self.later.push(event);
        }
    }

    /// Whether anything differs so far.
    pub fn differs(&self) -> bool {
        !self.leaves.is_empty() || !self.suspects.is_empty() || self.unmatched.is_some()
    }

    /// How many events were compared.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// What differs, in order of position.
    pub fn finish(self) -> Vec<Finding> {
        let noted_at: HashMap<[u8; 32], u64> = self.leaves.iter().map(|(at, leaf)| (leaf.0, *at)).collect();
        let origins: Vec<(StoredEvent, Option<u64>)> = self
            .suspects
            .into_iter()
            .map(|event| {
                let origin = origin(&event, &noted_at);
                (event, origin)
            })
            .collect();
        let pushed = self.later.into_iter().filter_map(|event| {
            let origin = origin(&event, &noted_at)?;
            Some((event, Some(origin)))
        });
        let origins: Vec<(StoredEvent, Option<u64>)> = origins.into_iter().chain(pushed).collect();
        let found: HashSet<u64> = origins.iter().filter_map(|(_, origin)| *origin).collect();
        let mut findings: Vec<Finding> = Vec::new();
        let mut explained: HashSet<u64> = found.clone();
        for (event, origin) in &origins {
            let (position, name) = (event.position, EventName::of(event));
            findings.push(match origin {
                Some(from) => Finding::Moved { from: *from, to: position, event: name },
                // What was noted here stands elsewhere now, or nothing was: this one came in between.
                None if found.contains(&position) || !self.leaves.contains_key(&position) => {
                    Finding::Added { position, event: name }
                }
                None => {
                    explained.insert(position);
                    Finding::Changed { position, event: name }
                }
            });
        }
        let gone = self.leaves.keys().filter(|position| !explained.contains(position));
        findings.extend(gone.map(|position| Finding::Removed { position: *position }));
        findings.sort_by_key(|finding| (finding.position(), !matches!(finding, Finding::Removed { .. })));
        findings.extend(self.unmatched.map(|(count, first, last)| Finding::More { count, first, last }));
        findings
    }
}

/// The other position at which this very event was noted.
fn origin(event: &StoredEvent, noted_at: &HashMap<[u8; 32], u64>) -> Option<u64> {
    let mut moved = event.clone();
    noted_at.values().copied().find(|position| {
        moved.position = *position;
        *position != event.position && noted_at.get(&leaf_hash(&moved).0) == Some(position)
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::StreamId;

    fn event(number: u64) -> StoredEvent {
        StoredEvent {
            position: number,
            event_id: Uuid::from_u128(u128::from(number)),
            stream: StreamId::new("test.account", "a1"),
            sequence: number,
            event_type: "test.account.deposited".to_string(),
            event_version: "1".to_string(),
            payload: format!(r#"{{"amount":{number}}}"#),
            metadata: "{}".to_string(),
            recorded_at: DateTime::UNIX_EPOCH,
        }
    }

    /// What differs between the events that were noted, 1 to 6, and those that are there.
    fn findings(there: Vec<StoredEvent>) -> Vec<String> {
        let noted: BTreeMap<u64, Hash> = (1..=6).map(|number| (number, leaf_hash(&event(number)))).collect();
        let mut comparison = Comparison::default();
        for (position, leaf) in &noted {
            if !there.iter().any(|event| event.position == *position) {
                comparison.missing(*position, *leaf);
            }
        }
        for event in there {
            let leaf = noted.get(&event.position).copied();
            comparison.event(event, leaf);
        }
        let short = |finding: &Finding| match finding {
            Finding::Changed { position, .. } => format!("changed {position}"),
            Finding::Removed { position } => format!("removed {position}"),
            Finding::Added { position, .. } => format!("added {position}"),
            Finding::Moved { from, to, .. } => format!("moved {from} to {to}"),
            Finding::More { .. } => "more".to_string(),
        };
        comparison.finish().iter().map(short).collect()
    }

    fn events() -> Vec<StoredEvent> {
        (1..=6).map(event).collect()
    }

    #[test]
    fn what_is_as_it_was_noted_is_not_told() {
        assert_eq!(findings(events()), Vec::<String>::new());
    }

    #[test]
    fn a_change_a_removal_and_an_addition_are_told_with_their_positions() {
        let mut there = events();
        there[2].payload = r#"{"amount":30}"#.to_string();
        assert_eq!(findings(there), ["changed 3"]);
        let mut there = events();
        there.remove(2);
        assert_eq!(findings(there), ["removed 3"]);
        let mut there = events();
        there.push(event(7));
        assert_eq!(findings(there), ["added 7"]);
    }

    #[test]
    fn two_that_changed_places_are_told_as_that() {
        let mut there = events();
        (there[1].position, there[4].position) = (5, 2);
        assert_eq!(findings(there), ["moved 5 to 2", "moved 2 to 5"]);
    }

    #[test]
    fn what_was_pushed_in_between_is_told_apart_from_what_it_pushed() {
        let mut there = events();
        there[4..].iter_mut().for_each(|event| event.position += 1);
        there.insert(4, StoredEvent { position: 5, ..event(60) });
        assert_eq!(findings(there), ["added 5", "moved 5 to 6", "moved 6 to 7"]);
    }

    #[test]
    fn what_was_taken_out_is_told_apart_from_what_moved_up() {
        let mut there = events();
        there.remove(3);
        there[3..].iter_mut().for_each(|event| event.position -= 1);
        assert_eq!(findings(there), ["removed 4", "moved 5 to 4", "moved 6 to 5"]);
    }
}
