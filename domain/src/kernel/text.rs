//! Bounded text, parsed once: whoever holds one of these holds a valid value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text was not accepted, in words that follow the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub String);

impl InvalidText {
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Trims `text` and checks that it has 1 to `max` characters and no control characters.
pub fn bounded(text: &str, max: usize) -> Result<String, InvalidText> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidText::new("must not be empty"));
    }
    if text.chars().count() > max {
        return Err(InvalidText::new(format!("must have at most {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::new("must not contain control characters"));
    }
    Ok(text.to_string())
}

/// A mail address as it was written, comparable by [`EmailAddress::canonical`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The longest address that SMTP's forward path allows (RFC 5321, 4.5.3.1.3).
    pub const MAX_CHARS: usize = 254;

    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = bounded(text, Self::MAX_CHARS)?;
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        email_address::EmailAddress::parse_with_options(&text, options)
            .map_err(|_| InvalidText::new("must be a mail address such as name@example.org"))?;
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What decides whether two addresses are the same: case does not.
    pub fn canonical(&self) -> String {
        self.0.to_lowercase()
    }
}

/// A time zone of the IANA database, such as `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TimeZone(String);

impl TimeZone {
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        text.parse::<chrono_tz::Tz>()
            .map(|zone| Self(zone.name().to_string()))
            .map_err(|_| InvalidText::new("must be a time zone of the IANA database such as Europe/Berlin"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn tz(&self) -> chrono_tz::Tz {
        self.0.parse().unwrap_or(chrono_tz::UTC)
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self("UTC".to_string())
    }
}
