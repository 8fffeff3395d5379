//! Passwords: argon2id, off the event loop, so many at a time as there are cores.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier, SaltString},
};
use rand::RngCore;
use tokio::sync::Semaphore;

/// Memory of one hash, in KiB: with [`PASSES`] and [`LANES`] OWASP's first choice for argon2id
/// (Password Storage Cheat Sheet, 2024); about 20 ms on one core.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes and verifies. Cheap to clone; all clones share the bound.
#[derive(Clone)]
pub struct PasswordHasher {
    inner: Arc<Inner>,
}

struct Inner {
    argon2: Argon2<'static>,
    at_once: Semaphore,
    /// Verified against where there is no account, so that the time does not tell.
    nobody: String,
}

impl Default for PasswordHasher {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores)
    }
}

impl PasswordHasher {
    /// At most `at_once` hashes are under way; each takes a core and 19 MiB.
    pub fn new(at_once: usize) -> Self {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in range");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, "nobody's password");
        Self { inner: Arc::new(Inner { argon2, at_once: Semaphore::new(at_once.max(1)), nobody }) }
    }

    /// The hash in PHC form, salt and parameters included.
    pub async fn hash(&self, password: String) -> String {
        let _permit = self.inner.at_once.acquire().await;
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || hash(&inner.argon2, &password))
            .await
            .expect("hashing does not panic")
    }

    /// Whether the password belongs to the hash. `None` (no such account) takes as long, and is false.
    pub async fn verify(&self, password: String, phc: Option<String>) -> bool {
        let _permit = self.inner.at_once.acquire().await;
        let inner = Arc::clone(&self.inner);
        let verifying = move || {
            let known = phc.is_some();
            let phc = phc.unwrap_or_else(|| inner.nobody.clone());
            let Ok(parsed) = PasswordHash::new(&phc) else { return false };
            // The parameters are the hash's own: raising ours leaves old hashes valid.
            inner.argon2.verify_password(password.as_bytes(), &parsed).is_ok() && known
        };
        tokio::task::spawn_blocking(verifying).await.expect("verifying does not panic")
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> String {
    let mut salt = [0_u8; 16];
    rand::rng().fill_bytes(&mut salt);
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt");
    argon2.hash_password(password.as_bytes(), &salt).expect("bounded input hashes").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hasher = PasswordHasher::new(2);
        let phc = hasher.hash("correct horse".to_string()).await;
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_ne!(phc, hasher.hash("correct horse".to_string()).await, "salted");
        assert!(hasher.verify("correct horse".to_string(), Some(phc.clone())).await);
        assert!(!hasher.verify("battery staple".to_string(), Some(phc)).await);
        assert!(!hasher.verify("nobody's password".to_string(), None).await, "no account, no entry");
    }
}
