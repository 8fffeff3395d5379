//! An authorization under way: a person was sent to another server and comes back with its answer.
//!
//! Nothing is kept meanwhile. What has to be known when they are back is sealed into the `state` that
//! OAuth 2 (RFC 6749, section 10.12) returns unchanged: it can't be made, read or changed by anyone else, ends
//! by itself, and its id is the idempotency key of what follows, so that it takes effect once.

use annals_domain::{Refusal, RefusalKind};
use annals_eventstore::EventStore;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::bus::{CommandError, Context, IdempotencyKey};

/// How long a person may take at the other server.
pub const VALID_FOR: TimeDelta = TimeDelta::minutes(10);

/// The id and the end of an authorization, and what has to be known when it is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authorization<T> {
    pub id: Uuid,
    pub expires_at: DateTime<Utc>,
    pub content: T,
}

/// Why the answer of the other server leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationRefusal {
    #[error("is not one of ours: begin again")]
    Forged,
    #[error("has ended: begin again")]
    Expired,
    #[error("was used already: begin again")]
    Used,
}

impl Refusal for AuthorizationRefusal {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Forged => "AUTHORIZATION_INVALID",
            Self::Expired => "AUTHORIZATION_EXPIRED",
            Self::Used => "AUTHORIZATION_USED",
        }
    }

    fn field(&self) -> Option<&str> {
        Some("state")
    }
}

impl<T: Serialize + DeserializeOwned> Authorization<T> {
    pub fn begin(now: DateTime<Utc>, content: T) -> Self {
        Self { id: Uuid::now_v7(), expires_at: now.trunc_subsecs(3) + VALID_FOR, content }
    }

    /// The `state` for this authorization; `purpose` keeps one kind from being taken for another.
    pub fn seal(&self, store: &EventStore, purpose: &'static str) -> String {
        let text = serde_json::to_vec(self).expect("ids, texts and JSON serialize");
        URL_SAFE_NO_PAD.encode(store.seal_for(purpose, &text))
    }

    /// What a `state` was made of.
    ///
    /// # Errors
    /// If it is none of ours for this purpose, or has ended.
    pub fn open(
        store: &EventStore,
        purpose: &'static str,
        state: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, AuthorizationRefusal> {
        let sealed = URL_SAFE_NO_PAD.decode(state).map_err(|_| AuthorizationRefusal::Forged)?;
        let text = store.open_for(purpose, &sealed).ok_or(AuthorizationRefusal::Forged)?;
        let opened: Self = serde_json::from_slice(&text).map_err(|_| AuthorizationRefusal::Forged)?;
        if now < opened.expires_at { Ok(opened) } else { Err(AuthorizationRefusal::Expired) }
    }

    /// The verifier of PKCE (RFC 7636): it follows from the id under a key of this log, and so is known to
    /// nobody who sees the state.
    pub fn code_verifier(&self, store: &EventStore) -> String {
        URL_SAFE_NO_PAD.encode(store.derive("authorization-verifier", self.id.as_bytes()))
    }

    /// What a signed answer of the other server has to hold; derived as the verifier is.
    pub fn nonce(&self, store: &EventStore) -> String {
        URL_SAFE_NO_PAD.encode(store.derive("authorization-nonce", self.id.as_bytes()))
    }

    /// The same context, under the key of this authorization: a second answer finds the first one's effect,
    /// and one with another code is refused.
    #[must_use]
    pub fn once(&self, context: &Context, code: &str) -> Context {
        let key = IdempotencyKey {
            scope: "authorization".to_string(),
            key: self.id.to_string(),
            request: code.as_bytes().to_vec(),
        };
        Context { idempotency: Some(key), expected_version: None, ..context.clone() }
    }
}

/// A second code for the same authorization is one too many.
pub(crate) fn as_used(error: CommandError) -> CommandError {
    match error {
        CommandError::KeyReused => CommandError::refused(AuthorizationRefusal::Used),
        error => error,
    }
}

/// The challenge of a verifier, method `S256`.
pub fn code_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(code_challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
