//! Tokens: how they are made and read. Only SHA-256 digests are stored.
//!
//! | token | form | made of |
//! |---|---|---|
//! | refresh | `rt_` + base64url | session id, 32 random bytes, 16 bytes of an HMAC over both |
//! | invitation | `inv_` + base64url | organization id, invitation id, an HMAC over both |
//! | change of address | `ec_` + base64url | user id, request id, an HMAC over both |
//! | verification of an address | `ev_` + base64url | user id, request id, an HMAC over both |
//! | no more mail of a kind | `un_` + base64url | notification id, user id, an HMAC over both |
//! | reset of a password | `pr_` + base64url | user id, request id, an HMAC over both |
//! | API key | `ak_<id>_<secret>` | key id, 32 random bytes |
//!
//! | setup code | `XXXX-XXXX-XXXX` | 60 bits of an HMAC |
//!
//! The HMAC in a refresh token tells one that was ours, and was used before, from one that
//! somebody made up: only the former ends its session. Tokens in mail are derived from ids that
//! are in the event, so whoever mails them later needs nothing secret in an outbox.

use annals_domain::kernel::{ApiKeyId, InvitationId, NotificationId, OrganizationId, SessionId, UserId};
use annals_eventstore::EventStore;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use rand::RngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// SHA-256 in hex: what is stored of a token.
pub(super) fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Compares digests in constant time.
pub(super) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

fn random() -> [u8; 32] {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

pub(super) fn new_refresh_token(store: &EventStore, session: SessionId) -> String {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(session.uuid().as_bytes());
    bytes.extend_from_slice(&random());
    let mac = store.derive("identity.refresh-token", &bytes);
    bytes.extend_from_slice(&mac[..16]);
    format!("rt_{}", BASE64.encode(bytes))
}

/// The session of a refresh token that was ours, spent or not.
pub(super) fn session_of(store: &EventStore, token: &str) -> Option<SessionId> {
    let bytes = BASE64.decode(token.strip_prefix("rt_")?).ok().filter(|bytes| bytes.len() == 64)?;
    let (signed, mac) = bytes.split_at(48);
    let expected = store.derive("identity.refresh-token", signed);
    let ours: bool = mac.ct_eq(&expected[..16]).into();
    ours.then_some(SessionId::new(Uuid::from_slice(&signed[..16]).ok()?))
}

/// Digits and letters that are not taken for each other (Crockford's base 32).
const READABLE: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What makes its reader the first operator of this installation. The same on every node.
pub(super) fn setup_code(store: &EventStore) -> String {
    let mac = store.derive("identity.setup-code", b"");
    let mut code = String::with_capacity(14);
    for (index, byte) in mac[..12].iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(READABLE[usize::from(byte % 32)]));
    }
    code
}

/// Whether somebody entered the setup code, however they wrote it.
pub(super) fn is_setup_code(store: &EventStore, entered: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    };
    same(&plain(entered), &plain(&setup_code(store)))
}

fn derived(store: &EventStore, prefix: &str, purpose: &str, first: Uuid, second: Uuid) -> String {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(first.as_bytes());
    bytes.extend_from_slice(second.as_bytes());
    let mac = store.derive(purpose, &bytes);
    bytes.extend_from_slice(&mac);
    format!("{prefix}{}", BASE64.encode(bytes))
}

/// The ids in a derived token. Whether it is ours, the digest in the aggregate decides.
fn ids(token: &str, prefix: &str) -> Option<(Uuid, Uuid)> {
    let bytes = BASE64.decode(token.strip_prefix(prefix)?).ok().filter(|bytes| bytes.len() == 64)?;
    Some((Uuid::from_slice(&bytes[..16]).ok()?, Uuid::from_slice(&bytes[16..32]).ok()?))
}

pub(crate) fn invitation_token(
    store: &EventStore,
    organization: OrganizationId,
    invitation: InvitationId,
) -> String {
    derived(store, "inv_", "identity.invitation", organization.uuid(), invitation.uuid())
}

pub(super) fn invitation_of(token: &str) -> Option<(OrganizationId, InvitationId)> {
    ids(token, "inv_").map(|(organization, invitation)| (organization.into(), invitation.into()))
}

pub(crate) fn email_change_token(store: &EventStore, user: UserId, request: Uuid) -> String {
    derived(store, "ec_", "identity.email-change", user.uuid(), request)
}

pub(super) fn email_change_of(token: &str) -> Option<UserId> {
    ids(token, "ec_").map(|(user, _)| user.into())
}

pub(crate) fn verification_token(store: &EventStore, user: UserId, request: Uuid) -> String {
    derived(store, "ev_", "identity.email-verification", user.uuid(), request)
}

pub(super) fn verification_of(token: &str) -> Option<UserId> {
    ids(token, "ev_").map(|(user, _)| user.into())
}

pub(crate) fn password_reset_token(store: &EventStore, user: UserId, request: Uuid) -> String {
    derived(store, "pr_", "identity.password-reset", user.uuid(), request)
}

pub(super) fn password_reset_of(token: &str) -> Option<UserId> {
    ids(token, "pr_").map(|(user, _)| user.into())
}

/// For the mail about a notification: whoever has it may switch that kind of mail off, and nothing else.
pub(crate) fn unsubscribe_token(
    store: &EventStore,
    notification: NotificationId,
    recipient: UserId,
) -> String {
    derived(store, "un_", "engagement.unsubscribe", notification.uuid(), recipient.uuid())
}

/// The notification of a token, if it is one of ours.
pub(crate) fn unsubscribe_of(store: &EventStore, token: &str) -> Option<NotificationId> {
    let (notification, recipient) = ids(token, "un_")?;
    let ours = unsubscribe_token(store, notification.into(), recipient.into());
    same(&ours, token).then(|| notification.into())
}

pub(super) fn new_api_key(id: ApiKeyId) -> String {
    format!("ak_{}_{}", id.uuid().simple(), BASE64.encode(random()))
}

/// The id in an API key. Whether the key is right, its digest decides.
pub(super) fn api_key_of(key: &str) -> Option<ApiKeyId> {
    let (id, secret) = key.strip_prefix("ak_")?.split_once('_')?;
    (id.len() == 32 && !secret.is_empty() && secret.len() <= 100).then(|| id.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_names_its_id() {
        let id = ApiKeyId::new(Uuid::now_v7());
        let key = new_api_key(id);
        assert_eq!(api_key_of(&key), Some(id));
        assert_ne!(key, new_api_key(id), "the secret is random");
        for wrong in ["", "ak_", "ak_1_x", "ak_zz", &key[3..], &format!("ak_{}", id.uuid().simple())] {
            assert_eq!(api_key_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_sha256_in_hex() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest("abc"), known);
        assert!(same(&digest("abc"), known) && !same(&digest("abd"), known));
    }
}
