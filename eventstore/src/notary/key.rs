//! The notary's Ed25519 key, and the name under which it signs.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};
use signed_note::{Note, Signer, StandardSigner, StandardVerifier, VerifierList, key_id};

use super::NotaryError;

/// C2SP signed-note: Ed25519's type byte before a key.
const ALGORITHM_ED25519: u8 = 0x01;

/// Signs checkpoints as one origin. Ed25519 is deterministic: one text, one signature.
#[derive(Clone)]
pub struct NotaryKey {
    signer: Arc<StandardSigner>,
    origin: Arc<str>,
    verifier_key: Arc<str>,
}

impl NotaryKey {
    /// A key from its 32 secret bytes. Without an `origin` it gets one that derives from the key.
    ///
    /// # Errors
    /// [`NotaryError::Origin`] if the origin is empty, too long, or has spaces, control characters or a plus.
    pub fn new(seed: &[u8; 32], origin: Option<&str>) -> Result<Self, NotaryError> {
        let signing = SigningKey::from_bytes(seed);
        let public = [&[ALGORITHM_ED25519], signing.verifying_key().as_bytes().as_slice()].concat();
        let origin = match origin {
            Some(origin) => origin.to_string(),
            None => format!("annals/{}", hex::encode(&Sha256::digest(&public)[..4])),
        };
        if !is_origin(&origin) {
            return Err(NotaryError::Origin(origin));
        }
        let id = key_id(&origin, &public);
        let private = STANDARD.encode([&[ALGORITHM_ED25519], seed.as_slice()].concat());
        let signer = StandardSigner::new(&format!("PRIVATE+KEY+{origin}+{id:08x}+{private}"))
            .map_err(|error| NotaryError::Damaged { why: error.to_string() })?;
        let verifier_key = signed_note::new_ed25519_verifier_key(&origin, &signing.verifying_key());
        Ok(Self { signer: Arc::new(signer), origin: origin.into(), verifier_key: verifier_key.into() })
    }

    /// The log's name in its checkpoints.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What an auditor pins: `origin+hash+base64`, a verifier key of C2SP signed-note.
    pub fn verifier_key(&self) -> &str {
        &self.verifier_key
    }

    /// A signed note with this text, whose every line ends in a newline.
    pub(super) fn sign(&self, text: &str) -> Result<String, NotaryError> {
        let damaged = |why: String| NotaryError::Damaged { why };
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|error| damaged(error.to_string()))?;
        note.add_sigs(&[&*self.signer as &dyn Signer]).map_err(|error| damaged(error.to_string()))?;
        String::from_utf8(note.to_bytes()).map_err(|error| damaged(error.to_string()))
    }
}

impl std::fmt::Debug for NotaryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NotaryKey({})", self.verifier_key)
    }
}

/// Whether a text may name a log: what C2SP's signed-note and tlog-checkpoint take, at most 200 bytes.
pub fn is_origin(text: &str) -> bool {
    text.len() <= 200 && signed_note::is_key_name_valid(text) && !text.chars().any(char::is_control)
}

/// The text of a note that bears a valid signature of this key.
///
/// # Errors
/// [`NoteError`] in words: not a verifier key, not a note, no signature of it, or a wrong one.
pub fn open_note(note: &str, verifier_key: &str) -> Result<String, NoteError> {
    let verifier =
        StandardVerifier::new(verifier_key.trim()).map_err(|error| NoteError::Key(error.to_string()))?;
    let note = Note::from_bytes(note.as_bytes()).map_err(|error| NoteError::Note(error.to_string()))?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)]))
        .map_err(|error| NoteError::Signature(error.to_string()))?;
    String::from_utf8(note.text().to_vec()).map_err(|error| NoteError::Note(error.to_string()))
}

/// Why a note says nothing under a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("this is no verifier key (name+hash+base64): {0}")]
    Key(String),
    #[error("this is no signed note: {0}")]
    Note(String),
    #[error("the signature does not hold under this key: {0}")]
    Signature(String),
    #[error("this is no checkpoint: its text is not origin, size and root")]
    Checkpoint,
    #[error("this checkpoint is of the log {found}, the key is of {wanted}")]
    Origin { found: String, wanted: String },
}
