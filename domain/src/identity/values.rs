//! Bounded values of people and organizations, parsed once.

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kernel::{EmailAddress, InvalidText, TimeZone, bounded};

macro_rules! bounded_text {
    ($($(#[$doc:meta])* $name:ident: $max:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub const MAX_CHARS: usize = $max;

            /// Trims and checks.
            ///
            /// # Errors
            /// If it is empty, too long or has control characters.
            pub fn parse(text: &str) -> Result<Self, InvalidText> {
                bounded(text, Self::MAX_CHARS).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )+};
}

bounded_text! {
    /// What a person is called.
    PersonName: 100,
    /// What an organization is called.
    OrganizationName: 100,
    /// What its owner calls an API key.
    ApiKeyName: 100,
    /// A company's name in a profile.
    CompanyName: 100,
    /// An organization in its own words.
    OrganizationDescription: 500,
}

/// A phone number as it was written: digits, with `+`, spaces, dots, brackets and dashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// # Errors
    /// If it has other characters, fewer than 5 digits or more than 30 characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = bounded(text, 30)?;
        let digits = text.chars().filter(char::is_ascii_digit).count();
        if digits < 5 || !text.chars().all(|c| c.is_ascii_digit() || "+ .()-/".contains(c)) {
            return Err(InvalidText::new("must be a phone number such as +49 30 123456"));
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An `http` or `https` address of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PictureUrl(String);

impl PictureUrl {
    pub const MAX_CHARS: usize = 2_000;

    /// # Errors
    /// If it is no absolute http(s) URL or too long.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = bounded(text, Self::MAX_CHARS)?;
        let url = url::Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        match url {
            Some(url) => Ok(Self(url.to_string())),
            None => Err(InvalidText::new("must be a URL that starts with https:// or http://")),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A language with optional script and region, such as `de` or `pt-BR` (a subset of BCP 47).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Locale(String);

impl Locale {
    /// # Errors
    /// If it is not of that form.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let mut parts = text.split('-');
        let language = parts.next().unwrap_or_default();
        let language_fits =
            (2..=3).contains(&language.len()) && language.chars().all(|c| c.is_ascii_lowercase());
        let rest_fits = text.len() <= 35
            && parts
                .all(|part| (2..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric()));
        if language_fits && rest_fits {
            Ok(Self(text.to_string()))
        } else {
            Err(InvalidText::new("must be a language tag such as en or pt-BR"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self("en".to_string())
    }
}

/// A password that may be set. It does not print itself and can't be stored: only its hash goes on.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    pub const MIN_CHARS: usize = 8;
    pub const MAX_CHARS: usize = 128;

    /// Checks a new password of the person with this address.
    ///
    /// # Errors
    /// If it is too short or long, one character over and over, or contains the address.
    pub fn parse(text: &str, email: &EmailAddress) -> Result<Self, InvalidText> {
        let chars = text.chars().count();
        if chars < Self::MIN_CHARS {
            return Err(InvalidText::new(format!("must have at least {} characters", Self::MIN_CHARS)));
        }
        if chars > Self::MAX_CHARS {
            return Err(InvalidText::new(format!("must have at most {} characters", Self::MAX_CHARS)));
        }
        let first = text.chars().next();
        if text.chars().all(|c| Some(c) == first) {
            return Err(InvalidText::new("must not be one character over and over"));
        }
        if text.to_lowercase().contains(&email.canonical()) {
            return Err(InvalidText::new("must not contain the mail address"));
        }
        Ok(Self(text.to_string()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What a frontend remembers for a person: a small JSON object whose keys are its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Preferences(Map<String, Value>);

impl Preferences {
    pub const KEYS_MAX: usize = 100;
    pub const KEY_CHARS_MAX: usize = 64;
    pub const BYTES_MAX: usize = 8 * 1024;
    pub const DEPTH_MAX: usize = 4;

    /// # Errors
    /// If it has too many or too long keys, is nested too deeply, or is too big as JSON.
    pub fn parse(object: Map<String, Value>) -> Result<Self, InvalidText> {
        if object.len() > Self::KEYS_MAX {
            return Err(InvalidText::new(format!("must have at most {} keys", Self::KEYS_MAX)));
        }
        if object.keys().any(|key| key.is_empty() || key.chars().count() > Self::KEY_CHARS_MAX) {
            return Err(InvalidText::new(format!(
                "must have keys of 1 to {} characters",
                Self::KEY_CHARS_MAX
            )));
        }
        if object.keys().any(|key| key.starts_with('$')) {
            return Err(InvalidText::new("must not have keys that start with $"));
        }
        if object.values().any(|value| depth(value) >= Self::DEPTH_MAX) {
            return Err(InvalidText::new(format!("must be nested at most {} deep", Self::DEPTH_MAX)));
        }
        if object.values().any(has_reserved_key) {
            return Err(InvalidText::new("must not have keys that start with $"));
        }
        let preferences = Self(object);
        let bytes = serde_json::to_vec(&preferences).map_or(usize::MAX, |json| json.len());
        if bytes > Self::BYTES_MAX {
            return Err(InvalidText::new(format!("must have at most {} bytes as JSON", Self::BYTES_MAX)));
        }
        Ok(preferences)
    }

    /// These with `changes` on top; a `null` takes a key away.
    ///
    /// # Errors
    /// As [`Preferences::parse`], for the result.
    pub fn merged(&self, changes: Map<String, Value>) -> Result<Self, InvalidText> {
        let mut object = self.0.clone();
        for (key, value) in changes {
            if value.is_null() {
                object.remove(&key);
            } else {
                object.insert(key, value);
            }
        }
        Self::parse(object)
    }

    pub fn as_object(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The log reserves `$personal` and `$secret`; a preference must not look like one.
fn has_reserved_key(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_reserved_key),
        Value::Object(object) => {
            object.iter().any(|(key, value)| key.starts_with('$') || has_reserved_key(value))
        }
        _ => false,
    }
}

/// What an API key is cut to: `*`, `post`, `post:*` or `post:read`. Which exist is the policy's business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Scope(String);

impl Scope {
    pub const PER_KEY_MAX: usize = 100;

    /// # Errors
    /// If it is not `resource:action` in lower-case words, a resource alone, or `*`.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let word = |part: &str| {
            !part.is_empty()
                && part.len() <= 50
                && part.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '-' || c == '.')
        };
        let fits = match text.split_once(':') {
            Some((resource, action)) => word(resource) && (action == "*" || word(action)),
            None => text == "*" || word(text),
        };
        if fits {
            Ok(Self(text.to_string()))
        } else {
            Err(InvalidText::new("must be a resource and an action such as post:read"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a person presents themselves. Personal as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    pub name: PersonName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<CompanyName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<PictureUrl>,
}

impl Profile {
    pub fn of(name: PersonName) -> Self {
        Self { name, ..Self::default() }
    }
}

/// How a person wants things shown. Personal as a whole: zone and language say where someone lives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserSettings {
    pub timezone: TimeZone,
    pub locale: Locale,
    #[serde(default)]
    pub preferences: Preferences,
}

/// What an organization's admins may set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationSettings {
    pub name: OrganizationName,
    pub timezone: TimeZone,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<OrganizationDescription>,
}

impl OrganizationSettings {
    pub fn named(name: OrganizationName) -> Self {
        Self { name, ..Self::default() }
    }
}
