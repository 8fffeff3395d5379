//! Sealed values inside JSON: `$personal` and `$secret` become `$sealed`, and back.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};
use uuid::Uuid;

use crate::{
    KeyringError, Opening,
    keyring::{Class, DataKey, KeyName, KeyState},
};

const PERSONAL: &str = "$personal";
const SECRET: &str = "$secret";
const SEALED: &str = "$sealed";

/// Which text a sealed value is bound to: the row's id and the part of the row it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) id: Uuid,
    /// `payload`, `metadata` or `state`.
    pub(crate) part: &'static str,
}

/// Why a text with sealed values was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("{0}")]
    Malformed(String),
    #[error("the key of {0} was destroyed")]
    Forgotten(String),
}

/// Keys for sealing: of every name that [`owners`] found.
pub(crate) type Keys = HashMap<KeyName, KeyState>;

/// Whether a text may hold something to seal: the quick look that spares most texts the parsing.
pub(crate) fn may_hold_open(text: &str) -> bool {
    text.contains("\"$") && (text.contains("\"$personal\"") || text.contains("\"$se"))
}

pub(crate) fn may_hold_sealed(text: &str) -> bool {
    text.contains("\"$sealed\"")
}

/// Whose keys are needed to seal a text; fails on what only looks like a sealed value.
pub(crate) fn owners(value: &Value, into: &mut HashSet<KeyName>) -> Result<(), SealError> {
    walk(value, &mut |object| match wrapper(object)? {
        None => Ok(Step::Into),
        Some(open) => {
            if holds_marker(open.value) {
                return Err(malformed("sealed values can't stand inside each other"));
            }
            if !open.value.is_null() {
                into.insert(KeyName { owner: open.owner.to_string(), class: open.class });
            }
            Ok(Step::Over)
        }
    })
}

/// Seals every open value of a text whose [`owners`] are in `keys`.
pub(crate) fn seal(value: &mut Value, place: Place, keys: &Keys) -> Result<(), SealError> {
    let mut path = String::new();
    rewrite(value, &mut path, &mut |object, path| {
        let Some(open) = wrapper(object)? else { return Ok(None) };
        if open.value.is_null() {
            return Ok(None);
        }
        let name = KeyName { owner: open.owner.to_string(), class: open.class };
        let text = serde_json::to_vec(open.value).map_err(|error| SealError::Malformed(error.to_string()))?;
        let key = usable(&name, keys)?;
        let sealed = Sealed::new(&name, key, place, path, &text);
        serde_json::to_value(SealedObject { sealed })
            .map(Some)
            .map_err(|e| SealError::Malformed(e.to_string()))
    })
}

/// One personal value, given as JSON text, as sealed JSON text, for metadata's `client`.
pub(crate) fn seal_personal(
    name: &KeyName,
    text: &[u8],
    place: Place,
    path: &str,
    keys: &Keys,
) -> Result<Box<RawValue>, SealError> {
    let key = usable(name, keys)?;
    let sealed = Sealed::new(name, key, place, path, text);
    serde_json::value::to_raw_value(&SealedObject { sealed })
        .map_err(|error| SealError::Malformed(error.to_string()))
}

/// The owner and value of `{"$personal":{"subject","value"}}`, if it is one and holds something.
pub(crate) fn as_personal(value: &Value) -> Option<(KeyName, &Value)> {
    let open = wrapper(value.as_object()?).ok()??;
    (open.class == Class::Personal && !open.value.is_null())
        .then(|| (KeyName { owner: open.owner.to_string(), class: Class::Personal }, open.value))
}

/// Whose keys are needed to open a text as far as `opening` goes.
pub(crate) fn sealed_owners(value: &Value, opening: Opening, into: &mut HashSet<KeyName>) {
    let walked: Result<(), std::convert::Infallible> = walk(value, &mut |object| {
        if let Some(inner) = sealed_inner(object) {
            if let (Some(class), Some(owner)) =
                (text(inner, "class").and_then(Class::parse), text(inner, "owner"))
                && opens(opening, class)
            {
                into.insert(KeyName { owner: owner.to_string(), class });
            }
            return Ok(Step::Over);
        }
        Ok(Step::Into)
    });
    debug_assert!(walked.is_ok(), "looking for owners never fails");
}

/// Opens what `opening` allows and `keys` can; the rest reads as `null`.
pub(crate) fn open(
    value: &mut Value,
    place: Place,
    opening: Opening,
    keys: &Keys,
) -> Result<(), KeyringError> {
    let mut path = String::new();
    rewrite(value, &mut path, &mut |object, path| {
        let Some(inner) = sealed_inner(object) else { return Ok(None) };
        open_one(inner, place, path, opening, keys).map(Some)
    })
}

/// The text with `null` in the place of every sealed value, and of every one that was erased
/// before it was sealed.
pub(crate) fn blanked(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    if !may_hold_open(json) {
        return Ok(Cow::Borrowed(json));
    }
    let mut value: Value = serde_json::from_str(json)?;
    let blanked: Result<(), std::convert::Infallible> =
        rewrite(&mut value, &mut String::new(), &mut |object, _| {
            let is_marked = [PERSONAL, SECRET, SEALED].iter().any(|key| object.contains_key(*key));
            Ok(is_marked.then_some(Value::Null))
        });
    debug_assert!(blanked.is_ok(), "blanking never fails");
    Ok(Cow::Owned(value.to_string()))
}

fn open_one(
    inner: &Map<String, Value>,
    place: Place,
    path: &str,
    opening: Opening,
    keys: &Keys,
) -> Result<Value, KeyringError> {
    let class = text(inner, "class").and_then(Class::parse).ok_or(KeyringError::Damaged)?;
    let owner = text(inner, "owner").ok_or(KeyringError::Damaged)?;
    let name = KeyName { owner: owner.to_string(), class };
    let mut value = Value::Null;
    if opens(opening, class)
        && let Some(KeyState::Present(key)) = keys.get(&name)
    {
        let bytes =
            |field| text(inner, field).and_then(|text| BASE64.decode(text).ok()).ok_or(KeyringError::Damaged);
        if bytes("key")? != key.id {
            return Err(KeyringError::Damaged);
        }
        let opened = key.open(&bytes("nonce")?, &aad(place, path), &bytes("text")?)?;
        value = serde_json::from_slice(&opened).map_err(|_| KeyringError::Damaged)?;
    }
    Ok(match class {
        Class::Personal => serde_json::json!({PERSONAL: {"subject": owner, "value": value}}),
        Class::Secret => serde_json::json!({SECRET: {"owner": owner, "value": value}}),
    })
}

fn opens(opening: Opening, class: Class) -> bool {
    match opening {
        Opening::Nothing => false,
        Opening::Personal => class == Class::Personal,
        Opening::Everything => true,
    }
}

/// The form of a sealed value; field order is the order of writing.
#[derive(Serialize)]
struct Sealed<'a> {
    class: &'static str,
    owner: &'a str,
    key: String,
    nonce: String,
    text: String,
}

#[derive(Serialize)]
struct SealedObject<'a> {
    #[serde(rename = "$sealed")]
    sealed: Sealed<'a>,
}

impl<'a> Sealed<'a> {
    fn new(name: &'a KeyName, key: &DataKey, place: Place, path: &str, text: &[u8]) -> Self {
        let (nonce, text) = key.seal(&aad(place, path), text);
        Self {
            class: name.class.as_str(),
            owner: &name.owner,
            key: BASE64.encode(key.id),
            nonce: BASE64.encode(nonce),
            text: BASE64.encode(text),
        }
    }
}

/// Ciphertext is bound to its row and field: moved elsewhere, it does not open.
fn aad(place: Place, path: &str) -> Vec<u8> {
    format!("{}#/{}{path}", place.id, place.part).into_bytes()
}

fn usable<'k>(name: &KeyName, keys: &'k Keys) -> Result<&'k DataKey, SealError> {
    match keys.get(name) {
        Some(KeyState::Present(key)) => Ok(key),
        Some(KeyState::Destroyed | KeyState::Absent) | None => Err(SealError::Forgotten(name.owner.clone())),
    }
}

struct Open<'v> {
    class: Class,
    owner: &'v str,
    value: &'v Value,
}

/// An object as an open wrapper. One that has a reserved key but not its form is refused:
/// it may be somebody's input, meant to be taken for one.
fn wrapper(object: &Map<String, Value>) -> Result<Option<Open<'_>>, SealError> {
    for (key, class, by) in [
        (PERSONAL, Class::Personal, "subject"),
        (SECRET, Class::Secret, "owner"),
        (SEALED, Class::Secret, ""),
    ] {
        let Some(inner) = object.get(key) else { continue };
        if key == SEALED {
            return Err(malformed("$sealed is written by the log alone"));
        }
        let form = || {
            let inner = inner.as_object()?;
            let open = Open { class, owner: text(inner, by)?, value: inner.get("value")? };
            (object.len() == 1 && inner.len() == 2 && !open.owner.is_empty()).then_some(open)
        };
        return form().map(Some).ok_or_else(|| malformed(&format!("a {key} value has not its form")));
    }
    Ok(None)
}

fn malformed(why: &str) -> SealError {
    SealError::Malformed(why.to_string())
}

fn sealed_inner(object: &Map<String, Value>) -> Option<&Map<String, Value>> {
    if object.len() == 1 { object.get(SEALED)?.as_object() } else { None }
}

fn holds_marker(value: &Value) -> bool {
    walk(value, &mut |object| {
        if [PERSONAL, SECRET, SEALED].iter().any(|key| object.contains_key(*key)) {
            return Err(malformed("a marker"));
        }
        Ok(Step::Into)
    })
    .is_err()
}

fn text<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    object.get(key)?.as_str()
}

enum Step {
    Into,
    Over,
}

fn walk<E>(value: &Value, visit: &mut impl FnMut(&Map<String, Value>) -> Result<Step, E>) -> Result<(), E> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, visit)),
        Value::Object(object) => match visit(object)? {
            Step::Into => object.values().try_for_each(|inner| walk(inner, visit)),
            Step::Over => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Replaces every object for which `replace` gives something; `path` is a JSON pointer (RFC 6901).
fn rewrite<E>(
    value: &mut Value,
    path: &mut String,
    replace: &mut impl FnMut(&Map<String, Value>, &str) -> Result<Option<Value>, E>,
) -> Result<(), E> {
    let length = path.len();
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push('/');
                path.push_str(&index.to_string());
                rewrite(item, path, replace)?;
                path.truncate(length);
            }
        }
        Value::Object(object) => {
            if let Some(new) = replace(object, path)? {
                *value = new;
                return Ok(());
            }
            for (key, inner) in object.iter_mut() {
                path.push('/');
                path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                rewrite(inner, path, replace)?;
                path.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}
