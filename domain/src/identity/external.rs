//! What another provider knows a person as.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::{EmailAddress, InvalidText, bounded};

/// What this installation calls a provider: it stands in paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ProviderName(String);

impl ProviderName {
    pub const MAX_CHARS: usize = 50;

    /// # Errors
    /// If it has other characters than lower-case letters, digits and dashes, or too many.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        if starts_well && text.len() <= Self::MAX_CHARS && text.chars().all(fits) {
            Ok(Self(text.to_string()))
        } else {
            let message = format!(
                "must start with a letter and have at most {} lower-case letters, digits and dashes",
                Self::MAX_CHARS
            );
            Err(InvalidText::new(message))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose accounts they are: within one issuer, a subject names one account for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    pub const MAX_CHARS: usize = 500;

    /// The text as the provider writes it, to the letter (OpenID Connect Core, 2).
    ///
    /// # Errors
    /// If it is no `http` or `https` URL, has a query or a fragment, or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = bounded(text, Self::MAX_CHARS)?;
        let is_issuer = url::Url::parse(&text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
        });
        if is_issuer { Ok(Self(text)) } else { Err(InvalidText::new("must be a URL without a query")) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an issuer calls an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ExternalSubject(String);

impl ExternalSubject {
    /// As OpenID Connect Core, 2 has it.
    pub const MAX_CHARS: usize = 255;

    /// # Errors
    /// If it is empty, too long, has control characters or spaces around it: it is kept to the letter.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let kept = bounded(text, Self::MAX_CHARS)?;
        if kept == text { Ok(Self(kept)) } else { Err(InvalidText::new("must not have spaces around it")) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account at an issuer. Personal as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalAccount {
    pub subject: ExternalSubject,
    /// What the person knows it by, as it was when it was linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_s_name_stands_in_a_path() {
        assert!(ProviderName::parse("google").is_ok() && ProviderName::parse("acme-2").is_ok());
        for wrong in ["", "2acme", "-a", "Google", "a/b", "a b", "a_b", &"a".repeat(51)] {
            assert!(ProviderName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_issuer_is_kept_to_the_letter() {
        for right in ["https://accounts.google.com", "https://login.example.org/realms/one/"] {
            assert_eq!(Issuer::parse(right).expect("is one").as_str(), right);
        }
        for wrong in
            ["", "accounts.google.com", "ftp://a.example", "https://a.example?x", "https://a.example#x"]
        {
            assert!(Issuer::parse(wrong).is_err(), "{wrong}");
        }
    }
}
