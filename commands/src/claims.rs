//! Which claims follow from which events: for whoever checks that they do.

use annals_domain::{
    identity::User,
    publishing::{Integration, MediaAsset},
};
use annals_eventstore::{ClaimKey, EventStore, LoadError};
use cqrs_es::Aggregate;

use crate::{
    identity,
    publishing::{channels, media},
};

/// Namespaces whose keys derive from an aggregate that holds them, and its type.
pub const HOLDERS: [(&str, &str); 4] = [
    (identity::EMAIL_CLAIMS, User::TYPE),
    (identity::EXTERNAL_CLAIMS, User::TYPE),
    (channels::ACCOUNT_CLAIMS, Integration::TYPE),
    (media::CONTENT_CLAIMS, MediaAsset::TYPE),
];

/// What a holder should hold in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Derived {
    Keys(Vec<ClaimKey>),
    /// It derives from a personal value whose key is destroyed.
    Unreadable,
    UnknownNamespace,
}

/// The keys that a holder's events give it.
///
/// # Errors
/// If the log can't be read.
pub async fn derive(store: &EventStore, namespace: &str, holder: &str) -> Result<Derived, LoadError> {
    Ok(match namespace {
        identity::EMAIL_CLAIMS => {
            let user = store.load::<User>(holder).await?.state;
            match user.email() {
                _ if !user.is_active() => Derived::Keys(Vec::new()),
                Some(address) => Derived::Keys(vec![identity::email_claim(store, &address.canonical())]),
                None => Derived::Unreadable,
            }
        }
        identity::EXTERNAL_CLAIMS => {
            let user = store.load::<User>(holder).await?.state;
            let keys = user.external_identities.values().map(|linked| {
                let account = linked.account.get()?;
                Some(identity::external_claim(store, linked.issuer.as_str(), account.subject.as_str()))
            });
            keys.collect::<Option<_>>().map_or(Derived::Unreadable, Derived::Keys)
        }
        channels::ACCOUNT_CLAIMS => {
            let channel = store.load::<Integration>(holder).await?.state;
            let account = channel.account().filter(|_| channel.exists());
            let key = account.map(|account| {
                channels::claim_key(store, channel.organization(), channel.platform(), &account.remote_id)
            });
            Derived::Keys(key.into_iter().collect())
        }
        media::CONTENT_CLAIMS => {
            let asset = store.load::<MediaAsset>(holder).await?.state;
            let file = asset.file().filter(|_| asset.exists());
            let key = file.map(|file| media::content_claim(store, asset.organization(), &file.sha256));
            Derived::Keys(key.into_iter().collect())
        }
        // The one who came first keeps it, whatever became of them.
        identity::OPERATOR_CLAIMS => Derived::Keys(vec![identity::first_operator()]),
        _ => Derived::UnknownNamespace,
    })
}
