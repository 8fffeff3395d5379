//! Data keys: one per owner and class, wrapped by the master key, cached for a minute.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use moka::sync::Cache;
use rand::RngCore;
use sha2::{Digest, Sha256};
use sqlx::{PgPool, Row};
use zeroize::Zeroizing;

use crate::{KeyringError, MasterKey, StoreError};

/// How long a key is trusted without asking the database: bounds forgetting on a node that hears nothing.
const CACHE_TTL: Duration = Duration::from_secs(45);
const CACHE_KEYS_MAX: u64 = 100_000;
const NONCE_BYTES: usize = 24;
const ROTATE_PAGE_ROWS: i64 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    Personal,
    Secret,
}

impl Class {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Secret => "secret",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "personal" => Some(Self::Personal),
            "secret" => Some(Self::Secret),
            _ => None,
        }
    }
}

/// Whose key: an owner string and the class of what it seals.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyName {
    pub(crate) owner: String,
    pub(crate) class: Class,
}

pub(crate) struct DataKey {
    pub(crate) id: [u8; 8],
    cipher: XChaCha20Poly1305,
}

impl DataKey {
    pub(crate) fn seal(&self, aad: &[u8], text: &[u8]) -> ([u8; NONCE_BYTES], Vec<u8>) {
        seal(&self.cipher, aad, text)
    }

    pub(crate) fn open(&self, nonce: &[u8], aad: &[u8], text: &[u8]) -> Result<Vec<u8>, KeyringError> {
        if nonce.len() != NONCE_BYTES {
            return Err(KeyringError::Damaged);
        }
        self.cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: text, aad })
            .map_err(|_| KeyringError::Damaged)
    }
}

/// What the key ring knows of a name.
#[derive(Clone)]
pub(crate) enum KeyState {
    Present(Arc<DataKey>),
    Destroyed,
    /// There never was one.
    Absent,
}

/// A key made for an append: it is in the log once the append is.
#[derive(Clone)]
pub(crate) struct NewKey {
    pub(crate) name: KeyName,
    pub(crate) key_id: [u8; 8],
    pub(crate) wrapped: Vec<u8>,
    pub(crate) master: [u8; 8],
    pub(crate) key: Arc<DataKey>,
}

pub(crate) struct Keyring {
    pool: PgPool,
    /// The newest first.
    masters: Vec<MasterKey>,
    keys: Cache<KeyName, KeyState>,
    root: Zeroizing<[u8; 32]>,
    /// Keyed ahead: every append needs them.
    claims: Hmac<Sha256>,
    idempotency: Hmac<Sha256>,
    requests: Hmac<Sha256>,
}

impl Keyring {
    /// Opens the log's root key, or makes it if the log is new.
    pub(crate) async fn open(
        pool: PgPool,
        master: MasterKey,
        former: Vec<MasterKey>,
    ) -> Result<Self, StoreError> {
        let mut masters = vec![master];
        masters.extend(former);
        let mut fresh = Zeroizing::new([0_u8; 32]);
        rand::rng().fill_bytes(fresh.as_mut());
        let wrapped = masters[0].wrap(b"log secret", fresh.as_ref());
        sqlx::query(
            "INSERT INTO log_secrets (name, wrapped, master_key) VALUES ('root', $1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(wrapped)
        .bind(masters[0].id().as_slice())
        .execute(&pool)
        .await?;
        let row = sqlx::query("SELECT wrapped, master_key FROM log_secrets WHERE name = 'root'")
            .fetch_one(&pool)
            .await?;
        let opened = unwrap(&masters, row.get("master_key"), b"log secret", row.get("wrapped"))?;
        let root = <[u8; 32]>::try_from(opened.as_slice())
            .map_err(|_| StoreError::Keyring(KeyringError::Damaged))?;
        let keys = Cache::builder().max_capacity(CACHE_KEYS_MAX).time_to_live(CACHE_TTL).build();
        let keyed = |purpose: &str| keyed(&mac(keyed(&root), &[purpose.as_bytes()]));
        Ok(Self {
            claims: keyed("annals.claim"),
            idempotency: keyed("annals.idempotency"),
            requests: keyed("annals.request"),
            pool,
            masters,
            keys,
            root: Zeroizing::new(root),
        })
    }

    /// What is known of these names, asking the database once for all that is not cached.
    pub(crate) async fn find(
        &self,
        names: &HashSet<KeyName>,
    ) -> Result<std::collections::HashMap<KeyName, KeyState>, StoreError> {
        let mut found = std::collections::HashMap::with_capacity(names.len());
        let mut owners = Vec::new();
        let mut classes = Vec::new();
        for name in names {
            if let Some(state) = self.keys.get(name) {
                found.insert(name.clone(), state);
            } else {
                owners.push(name.owner.as_str());
                classes.push(name.class.as_str());
            }
        }
        if owners.is_empty() {
            return Ok(found);
        }
        let rows = sqlx::query(
            "SELECT k.owner, k.class, k.key_id, k.wrapped, k.master_key
             FROM unnest($1::text[], $2::text[]) AS n (owner, class)
             JOIN sealing_keys k ON k.owner = n.owner AND k.class = n.class",
        )
        .bind(owners)
        .bind(classes)
        .fetch_all(&self.pool)
        .await?;
        for row in rows {
            let class = Class::parse(row.get("class")).ok_or(KeyringError::Damaged)?;
            let name = KeyName { owner: row.get("owner"), class };
            let state = match row.get::<Option<Vec<u8>>, _>("wrapped") {
                None => KeyState::Destroyed,
                Some(wrapped) => {
                    let opened = unwrap(&self.masters, row.get("master_key"), &name.aad(), &wrapped)?;
                    KeyState::Present(Arc::new(DataKey {
                        id: row.get::<&[u8], _>("key_id").try_into().map_err(|_| KeyringError::Damaged)?,
                        cipher: XChaCha20Poly1305::new_from_slice(&opened)
                            .map_err(|_| KeyringError::Damaged)?,
                    }))
                }
            };
            self.keys.insert(name.clone(), state.clone());
            found.insert(name, state);
        }
        for name in names {
            found.entry(name.clone()).or_insert(KeyState::Absent);
        }
        Ok(found)
    }

    /// A key for a name that has none yet; it counts once an append brings it into the log.
    pub(crate) fn make(&self, name: KeyName) -> NewKey {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let mut key_id = [0_u8; 8];
        rand::rng().fill_bytes(bytes.as_mut());
        rand::rng().fill_bytes(&mut key_id);
        let master = &self.masters[0];
        let wrapped = master.wrap(&name.aad(), bytes.as_ref());
        let cipher = XChaCha20Poly1305::new(bytes.as_ref().into());
        NewKey { wrapped, key_id, master: master.id(), key: Arc::new(DataKey { id: key_id, cipher }), name }
    }

    /// A new key that is now in the log.
    pub(crate) fn committed(&self, key: NewKey) {
        self.keys.insert(key.name, KeyState::Present(key.key));
    }

    /// Asks the database again the next time.
    pub(crate) fn evict(&self, owner: &str) {
        for class in [Class::Personal, Class::Secret] {
            self.keys.invalidate(&KeyName { owner: owner.to_string(), class });
        }
    }

    pub(crate) fn evict_all(&self) {
        self.keys.invalidate_all();
    }

    /// HMAC-SHA256 under a key derived from the log's root for `purpose`.
    pub(crate) fn derive(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let key = mac(keyed(self.root.as_ref()), &[purpose.as_bytes()]);
        mac(keyed(&key), parts)
    }

    /// A personal value as the key of a claim.
    pub(crate) fn claim_hash(&self, namespace: &str, personal: &str) -> [u8; 32] {
        mac(self.claims.clone(), &[namespace.as_bytes(), personal.as_bytes()])
    }

    pub(crate) fn request_digest(&self, request: &[u8]) -> [u8; 32] {
        mac(self.requests.clone(), &[request])
    }

    /// An idempotency key's row: scope and key, hashed.
    pub(crate) fn key_hash(&self, scope: &str, key: &str) -> [u8; 16] {
        let full = mac(self.idempotency.clone(), &[scope.as_bytes(), key.as_bytes()]);
        let mut hash = [0_u8; 16];
        hash.copy_from_slice(&full[..16]);
        hash
    }

    /// Seals an answer that shows a secret once, bound to its idempotency key.
    pub(crate) fn seal_shown_once(&self, key_hash: &[u8], answer: &[u8]) -> Vec<u8> {
        let (nonce, text) = seal(&self.shown_once_cipher(), key_hash, answer);
        [nonce.as_slice(), &text].concat()
    }

    pub(crate) fn open_shown_once(&self, key_hash: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyringError> {
        open(&self.shown_once_cipher(), key_hash, sealed)
    }

    /// Nonce, then ciphertext, under a key that is derived for `purpose`.
    pub(crate) fn seal_for(&self, purpose: &str, text: &[u8]) -> Vec<u8> {
        let (nonce, sealed) = seal(&self.cipher_for(purpose), purpose.as_bytes(), text);
        [nonce.as_slice(), &sealed].concat()
    }

    pub(crate) fn open_for(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.cipher_for(purpose), purpose.as_bytes(), sealed).ok()
    }

    fn cipher_for(&self, purpose: &str) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derive(&format!("sealed.{purpose}"), &[]).into())
    }

    fn shown_once_cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derive("annals.shown-once", &[]).into())
    }

    /// Wraps everything that a former master key wraps under the newest; how many keys that were.
    pub(crate) async fn rotate(&self) -> Result<u64, StoreError> {
        let newest = &self.masters[0];
        let mut rewrapped = 0;
        loop {
            let rows = sqlx::query(
                "SELECT owner, class, wrapped, master_key FROM sealing_keys
                 WHERE wrapped IS NOT NULL AND master_key <> $1 LIMIT $2",
            )
            .bind(newest.id().as_slice())
            .bind(ROTATE_PAGE_ROWS)
            .fetch_all(&self.pool)
            .await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let class = Class::parse(row.get("class")).ok_or(KeyringError::Damaged)?;
                let name = KeyName { owner: row.get("owner"), class };
                let old: Vec<u8> = row.get("wrapped");
                let opened = unwrap(&self.masters, row.get("master_key"), &name.aad(), &old)?;
                // The old bytes in the condition: a key that was destroyed meanwhile stays so.
                let done = sqlx::query(
                    "UPDATE sealing_keys SET wrapped = $1, master_key = $2
                     WHERE owner = $3 AND class = $4 AND wrapped = $5",
                )
                .bind(newest.wrap(&name.aad(), &opened))
                .bind(newest.id().as_slice())
                .bind(&name.owner)
                .bind(class.as_str())
                .bind(&old)
                .execute(&self.pool)
                .await?;
                rewrapped += done.rows_affected();
            }
        }
        let done = sqlx::query(
            "UPDATE log_secrets SET wrapped = $1, master_key = $2 WHERE name = 'root' AND master_key <> $2",
        )
        .bind(newest.wrap(b"log secret", self.root.as_ref()))
        .bind(newest.id().as_slice())
        .execute(&self.pool)
        .await?;
        Ok(rewrapped + done.rows_affected())
    }
}

impl KeyName {
    fn aad(&self) -> Vec<u8> {
        format!("{}\n{}", self.class.as_str(), self.owner).into_bytes()
    }
}

impl MasterKey {
    /// Tells master keys apart without telling anything about them.
    fn id(&self) -> [u8; 8] {
        let digest = Sha256::new().chain_update(b"annals master key id").chain_update(self.bytes).finalize();
        let mut id = [0_u8; 8];
        id.copy_from_slice(&digest[..8]);
        id
    }

    fn wrap(&self, aad: &[u8], key: &[u8]) -> Vec<u8> {
        let (nonce, text) = seal(&XChaCha20Poly1305::new(&self.bytes.into()), aad, key);
        [nonce.as_slice(), &text].concat()
    }
}

/// Whether one of the master keys opens the log's root key.
pub(crate) fn opens_root(masters: &[MasterKey], id: &[u8], wrapped: &[u8]) -> Result<(), KeyringError> {
    unwrap(masters, id, b"log secret", wrapped).map(|_| ())
}

fn unwrap(
    masters: &[MasterKey],
    id: &[u8],
    aad: &[u8],
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let master =
        masters.iter().find(|master| master.id().as_slice() == id).ok_or(KeyringError::WrongMasterKey)?;
    open(&XChaCha20Poly1305::new(&master.bytes.into()), aad, wrapped)
        .map(Zeroizing::new)
        .map_err(|_| KeyringError::WrongMasterKey)
}

fn seal(cipher: &XChaCha20Poly1305, aad: &[u8], text: &[u8]) -> ([u8; NONCE_BYTES], Vec<u8>) {
    // The thread's cryptographic generator: a nonce needs no system call of its own.
    let mut nonce = [0; NONCE_BYTES];
    rand::rng().fill_bytes(&mut nonce);
    let sealed = cipher
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: text, aad })
        .expect("encryption fails only for texts of more than 256 GiB");
    (nonce, sealed)
}

fn open(cipher: &XChaCha20Poly1305, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyringError> {
    let (nonce, text) = sealed.split_at_checked(NONCE_BYTES).ok_or(KeyringError::Damaged)?;
    cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: text, aad }).map_err(|_| KeyringError::Damaged)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// HMAC-SHA256 over parts, each preceded by its length, so that no two lists of parts collide.
fn mac(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
