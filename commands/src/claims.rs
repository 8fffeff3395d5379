//! Which claims follow from which events: for whoever checks that they do.

use annals_domain::{identity::User, publishing::Integration};
use annals_eventstore::{ClaimKey, EventStore, LoadError};
use cqrs_es::Aggregate;

use crate::{identity, publishing::channels};

/// Namespaces whose keys derive from an aggregate that holds them, and its type.
pub const HOLDERS: [(&str, &str); 2] =
    [(identity::EMAIL_CLAIMS, User::TYPE), (channels::ACCOUNT_CLAIMS, Integration::TYPE)];

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
        channels::ACCOUNT_CLAIMS => {
            let channel = store.load::<Integration>(holder).await?.state;
            let account = channel.account().filter(|_| channel.exists());
            let key = account.map(|account| {
                channels::claim_key(store, channel.organization(), channel.platform(), &account.remote_id)
            });
            Derived::Keys(key.into_iter().collect())
        }
        // The one who came first keeps it, whatever became of them.
        identity::OPERATOR_CLAIMS => Derived::Keys(vec![identity::first_operator()]),
        _ => Derived::UnknownNamespace,
    })
}
