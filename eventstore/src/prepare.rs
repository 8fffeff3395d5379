//! Makes an append ready for a batch: checked, sealed, serialized, all outside the head's lock.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hash},
    sync::OnceLock,
};

use serde_json::Value;
use uuid::Uuid;

use crate::{
    Append, AppendError, Assert, Claim, ClaimKey, Expected, StoreError, StreamId,
    keyring::{KeyName, KeyState, Keyring, NewKey},
    sealing::{self, Keys, Place, SealError},
};

const EVENTS_MAX: usize = 1_000;
const ITEMS_MAX: usize = 1_000;
const KEY_BYTES_MAX: usize = 1_024;

/// An append as the committers take it.
pub(crate) struct Prepared {
    /// Those of the append first, in their order, then asserted ones.
    pub(crate) streams: Vec<PreparedStream>,
    pub(crate) written_streams: usize,
    /// By stream, in order.
    pub(crate) events: Vec<PreparedEvent>,
    pub(crate) claims: Vec<PreparedClaim>,
    pub(crate) new_keys: Vec<NewKey>,
    pub(crate) forget: Vec<String>,
    pub(crate) idempotency: Option<PreparedKey>,
    /// What it reads and writes: no two appends of a batch may write what the other touches.
    pub(crate) footprint: Vec<Touch>,
    pub(crate) bytes: usize,
}

pub(crate) struct PreparedStream {
    pub(crate) stream: StreamId,
    /// -1: any.
    pub(crate) expected: i64,
    pub(crate) events: u64,
}

pub(crate) struct PreparedEvent {
    /// Index in `streams`.
    pub(crate) stream: usize,
    /// From 1, within the stream of this append.
    pub(crate) nth: u64,
    pub(crate) event_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    pub(crate) payload: String,
    pub(crate) metadata: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimKind {
    Assert = 0,
    Take = 1,
    Release = 2,
}

pub(crate) struct PreparedClaim {
    pub(crate) kind: ClaimKind,
    pub(crate) key: ClaimKey,
    pub(crate) holder: Option<String>,
}

pub(crate) struct PreparedKey {
    pub(crate) hash: [u8; 16],
    pub(crate) digest: [u8; 32],
    pub(crate) result: String,
    pub(crate) shown: Option<Vec<u8>>,
}

/// Something an append reads or writes, hashed; a collision only costs a wait for the next batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) what: u64,
    pub(crate) writes: bool,
}

impl Touch {
    fn new(kind: &str, parts: impl Hash, writes: bool) -> Self {
        static HASHER: OnceLock<std::hash::RandomState> = OnceLock::new();
        let what = HASHER.get_or_init(std::hash::RandomState::new).hash_one((kind, parts));
        Self { what, writes }
    }
}

/// Checks, seals and serializes.
pub(crate) async fn prepare(
    append: &Append,
    keyring: &Keyring,
    event_bytes_max: usize,
) -> Result<Prepared, AppendError> {
    check(append)?;
    let mut work = Sealer::of(append)?;
    let (keys, new_keys) = find_or_make_keys(keyring, &work.names).await?;
    let mut prepared = Prepared {
        streams: Vec::with_capacity(append.streams.len()),
        written_streams: append.streams.len(),
        events: Vec::new(),
        claims: claims(append),
        new_keys,
        forget: unique(&append.forget),
        idempotency: None,
        footprint: Vec::new(),
        bytes: 0,
    };
    for (index, stream) in append.streams.iter().enumerate() {
        prepared.streams.push(PreparedStream {
            stream: stream.stream.clone(),
            expected: match stream.expected {
                Expected::Exact(version) => version_i64(version)?,
                Expected::Any => -1,
            },
            events: stream.events.len() as u64,
        });
        for (nth, event) in (1..).zip(&stream.events) {
            let payload = match work.payloads.remove(&event.event_id) {
                Some(mut value) => {
                    sealing::seal(&mut value, Place { id: event.event_id, part: "payload" }, &keys)
                        .map_err(seal_error)?;
                    value.to_string()
                }
                None => event.payload.clone(),
            };
            let metadata = work.metadata.for_event(event.event_id, &keys)?;
            let bytes = payload.len() + metadata.len();
            if bytes > event_bytes_max {
                return Err(AppendError::TooLarge { bytes, limit: event_bytes_max });
            }
            prepared.bytes += bytes;
            prepared.events.push(PreparedEvent {
                stream: index,
                nth,
                event_id: event.event_id,
                event_type: event.event_type.clone(),
                event_version: event.event_version.clone(),
                payload,
                metadata,
            });
        }
    }
    for assert in &append.asserts {
        if let Assert::StreamVersion { stream, version } = assert {
            let expected = version_i64(*version)?;
            prepared.streams.push(PreparedStream { stream: stream.clone(), expected, events: 0 });
        }
    }
    if let Some(idempotency) = &append.idempotency {
        let reference = &idempotency.reference;
        let hash = keyring.key_hash(&reference.scope, &reference.key);
        prepared.idempotency = Some(PreparedKey {
            hash,
            digest: reference.request_digest,
            result: idempotency.result.to_string(),
            shown: idempotency.shown_once.as_ref().map(|answer| keyring.seal_shown_once(&hash, answer)),
        });
    }
    prepared.footprint = footprint(&prepared);
    Ok(prepared)
}

/// The parts of an append that hold something to seal, and whose keys that needs.
struct Sealer {
    names: HashSet<KeyName>,
    /// Parsed payloads with something to seal, by event id.
    payloads: HashMap<Uuid, Value>,
    metadata: MetadataText,
}

impl Sealer {
    fn of(append: &Append) -> Result<Self, AppendError> {
        let mut names = HashSet::new();
        let mut payloads = HashMap::new();
        for event in append.streams.iter().flat_map(|stream| &stream.events) {
            if !sealing::may_hold_open(&event.payload) {
                continue;
            }
            let value: Value = serde_json::from_str(&event.payload).map_err(|error| malformed(&error))?;
            let mut found = HashSet::new();
            sealing::owners(&value, &mut found).map_err(seal_error)?;
            if !found.is_empty() {
                names.extend(found);
                payloads.insert(event.event_id, value);
            }
        }
        let metadata = MetadataText::of(append, &mut names)?;
        Ok(Self { names, payloads, metadata })
    }
}

/// The metadata of an append's events: one text, but for the client, which is sealed for each event.
struct MetadataText {
    /// Ends with the closing brace if there is no client to seal.
    head: String,
    client: Option<(KeyName, Vec<u8>)>,
}

impl MetadataText {
    fn of(append: &Append, names: &mut HashSet<KeyName>) -> Result<Self, AppendError> {
        let mut metadata = append.metadata.clone();
        let client = metadata.client.take();
        let personal = client.as_deref().and_then(sealing::as_personal);
        if client.is_some() && personal.is_none() {
            // Erased, or of no form that can be sealed: the first is kept, the second refused.
            let client =
                client.clone().filter(|value| value.pointer("/$personal/value") == Some(&Value::Null));
            metadata.client = Some(client.ok_or_else(|| malformed(&"the client is not a personal value"))?);
        }
        let mut head = serde_json::to_string(&metadata).map_err(|error| malformed(&error))?;
        let Some((name, value)) = personal else { return Ok(Self { head, client: None }) };
        head.pop();
        names.insert(name.clone());
        let text = serde_json::to_vec(value).map_err(|error| malformed(&error))?;
        Ok(Self { head, client: Some((name, text)) })
    }

    fn for_event(&self, event_id: Uuid, keys: &Keys) -> Result<String, AppendError> {
        let Some((name, text)) = &self.client else { return Ok(self.head.clone()) };
        let place = Place { id: event_id, part: "metadata" };
        let sealed = sealing::seal_personal(name, text, place, "/client", keys).map_err(seal_error)?;
        Ok(format!("{},\"client\":{}}}", self.head, sealed.get()))
    }
}

async fn find_or_make_keys(
    keyring: &Keyring,
    names: &HashSet<KeyName>,
) -> Result<(Keys, Vec<NewKey>), AppendError> {
    if names.is_empty() {
        return Ok((Keys::new(), Vec::new()));
    }
    let mut keys = keyring.find(names).await.map_err(AppendError::Unavailable)?;
    let mut new_keys = Vec::new();
    for (name, state) in &mut keys {
        match state {
            KeyState::Present(_) => {}
            KeyState::Destroyed => return Err(AppendError::Forgotten { subject: name.owner.clone() }),
            KeyState::Absent => {
                let new = keyring.make(name.clone());
                *state = KeyState::Present(new.key.clone());
                new_keys.push(new);
            }
        }
    }
    Ok((keys, new_keys))
}

fn check(append: &Append) -> Result<(), AppendError> {
    let events = append.streams.iter().map(|stream| stream.events.len()).sum::<usize>();
    let items = append.streams.len() + append.asserts.len() + append.claims.len() + append.forget.len();
    if events > EVENTS_MAX || items > ITEMS_MAX {
        return Err(malformed(&format!(
            "more than {EVENTS_MAX} events or {ITEMS_MAX} streams, asserts and claims"
        )));
    }
    let mut streams = HashSet::new();
    for stream in &append.streams {
        name(&stream.stream.aggregate_type, "an aggregate type")?;
        name(&stream.stream.aggregate_id, "an aggregate id")?;
        if !streams.insert(&stream.stream) {
            return Err(malformed(&format!("{} stands in it twice", stream.stream)));
        }
        for event in &stream.events {
            name(&event.event_type, "an event type")?;
            name(&event.event_version, "an event version")?;
            if holds_nul(&event.payload) {
                return Err(malformed(&"U+0000 in a payload"));
            }
        }
    }
    let mut claims = HashMap::new();
    for claim in &append.claims {
        let (Claim::Take { key, holder } | Claim::Release { key, holder }) = claim;
        name(&key.namespace, "a claim's namespace")?;
        name(&key.key, "a claim's key")?;
        name(holder, "a claim's holder")?;
        let what = (matches!(claim, Claim::Take { .. }), holder);
        if claims.insert(key, what).is_some_and(|before| before != what) {
            return Err(malformed(&format!("a key in {} is claimed twice", key.namespace)));
        }
    }
    append.forget.iter().try_for_each(|owner| name(owner, "an owner"))
}

/// Names are bounded, and Postgres' text holds no U+0000.
fn name(text: &str, what: &str) -> Result<(), AppendError> {
    if text.is_empty() || text.len() > KEY_BYTES_MAX || text.contains('\0') {
        return Err(malformed(&format!("{what} is empty, over {KEY_BYTES_MAX} bytes, or has U+0000 in it")));
    }
    Ok(())
}

/// Whether a JSON text has an escaped U+0000: Postgres takes it but can't give it back as text.
fn holds_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = json[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        backslashes % 2 == 0
    })
}

fn claims(append: &Append) -> Vec<PreparedClaim> {
    let asserted = append.asserts.iter().filter_map(|assert| match assert {
        Assert::ClaimHolder { key, holder } => {
            Some(PreparedClaim { kind: ClaimKind::Assert, key: key.clone(), holder: holder.clone() })
        }
        Assert::StreamVersion { .. } => None,
    });
    let mut seen = HashSet::new();
    let changed = append.claims.iter().filter_map(|claim| {
        let (kind, key, holder) = match claim {
            Claim::Take { key, holder } => (ClaimKind::Take, key, holder),
            Claim::Release { key, holder } => (ClaimKind::Release, key, holder),
        };
        let new = seen.insert(key.clone());
        new.then(|| PreparedClaim { kind, key: key.clone(), holder: Some(holder.clone()) })
    });
    asserted.chain(changed).collect()
}

fn footprint(prepared: &Prepared) -> Vec<Touch> {
    let mut touches = Vec::with_capacity(4);
    for stream in &prepared.streams {
        let parts = (&stream.stream.aggregate_type, &stream.stream.aggregate_id);
        touches.push(Touch::new("stream", parts, stream.events > 0));
    }
    for claim in &prepared.claims {
        let parts = (&claim.key.namespace, &claim.key.key);
        touches.push(Touch::new("claim", parts, claim.kind != ClaimKind::Assert));
    }
    touches.extend(prepared.idempotency.iter().map(|key| Touch::new("key", key.hash, true)));
    touches.extend(prepared.new_keys.iter().map(|key| Touch::new("owner", &key.name.owner, true)));
    touches.extend(prepared.forget.iter().map(|owner| Touch::new("owner", owner, true)));
    touches
}

fn unique(texts: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.iter().filter(|text| seen.insert(*text)).cloned().collect()
}

fn version_i64(version: u64) -> Result<i64, AppendError> {
    i64::try_from(version).map_err(|_| malformed(&"a version over 2^63"))
}

fn seal_error(error: SealError) -> AppendError {
    match error {
        SealError::Malformed(why) => AppendError::Malformed { why },
        SealError::Forgotten(subject) => AppendError::Forgotten { subject },
    }
}

fn malformed(why: &impl ToString) -> AppendError {
    AppendError::Malformed { why: why.to_string() }
}

impl From<crate::KeyringError> for AppendError {
    fn from(error: crate::KeyringError) -> Self {
        Self::Unavailable(StoreError::Keyring(error))
    }
}

#[cfg(test)]
mod tests {
    use super::holds_nul;

    #[test]
    fn an_escaped_nul_is_found_and_an_escaped_backslash_is_not_taken_for_one() {
        assert!(holds_nul(r#"{"a":"x\u0000"}"#));
        assert!(holds_nul(r#"{"a":"\\\u0000"}"#));
        assert!(!holds_nul(r#"{"a":"\\u0000"}"#));
        assert!(!holds_nul(r#"{"a":"u0000"}"#));
    }
}
