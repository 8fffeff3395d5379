//! The platform `nostr`: notes that are signed here and kept by the relays that the user names.
//!
//! All of a note follows from the handle, the schedule and the text, so every attempt makes the same event, with
//! the same id: a relay that has it already says so and changes nothing.

mod account;
mod event;
mod key;
mod note;
mod publish;
mod relay;

use std::time::Duration;

use annals_commands::ports::social::{
    ChannelAccess, ConnectMethod, ConnectRequest, ConnectedAccount, ContentProblem, CredentialField,
    IdempotencyKind, Lookup, OutgoingPart, OutgoingPost, PlatformInfo, PlatformLimits, ProviderError,
    PublishHandle, Published, SocialProvider,
};
use async_trait::async_trait;

use crate::net::{Deadline, HttpClient};
use account::Account;

/// Shorter than the 20 seconds that the port gives a call: the rest is for telling what happened.
const CALL_TIME: Duration = Duration::from_secs(18);

pub struct Nostr {
    info: PlatformInfo,
    http: HttpClient,
}

impl Nostr {
    pub fn new(http: HttpClient) -> Self {
        let field =
            |name, label, secret, required| CredentialField { name, label, secret, required, default: None };
        let info = PlatformInfo {
            identifier: "nostr",
            name: "Nostr",
            connect: ConnectMethod::Credentials {
                fields: vec![
                    field("privateKey", "Private key (nsec1… or 64 hex digits)", true, true),
                    field("relays", "Relays (wss://…), separated by spaces", false, true),
                    field("viewer", "Where notes are read, such as https://njump.me", false, false),
                ],
                browser: None,
            },
            limits: PlatformLimits {
                text_chars_max: note::CHARS_MAX,
                thread_parts_max: note::THREAD_PARTS_MAX,
                media: None,
            },
            settings: Vec::new(),
            idempotency: IdempotencyKind::ByHandle,
        };
        Self { info, http }
    }
}

#[async_trait]
impl SocialProvider for Nostr {
    fn info(&self) -> &PlatformInfo {
        &self.info
    }

    async fn authenticate(&self, request: ConnectRequest) -> Result<ConnectedAccount, ProviderError> {
        let account = Account::given(&self.http, request.credentials)?;
        let profile = account.profile(&self.http, Deadline::within(CALL_TIME)).await?;
        let npub = account.key.npub();
        Ok(ConnectedAccount {
            remote_id: account.key.public_key(),
            name: profile.name.unwrap_or_else(|| format!("{}…", &npub[..12])),
            url: Some(account.address(&npub)),
            handle: Some(npub),
            picture: profile.picture,
            credentials: account.to_credentials(),
        })
    }

    fn check(&self, parts: &[OutgoingPart]) -> Vec<ContentProblem> {
        note::check(parts)
    }

    async fn publish(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Published, ProviderError> {
        let account = Account::read(&channel.credentials)?;
        publish::publish(&self.http, &account, handle, post, Deadline::within(CALL_TIME)).await
    }

    async fn find(
        &self,
        channel: &ChannelAccess,
        handle: PublishHandle,
        post: &OutgoingPost,
    ) -> Result<Lookup, ProviderError> {
        let account = Account::read(&channel.credentials)?;
        publish::find(&self.http, &account, handle, post, Deadline::within(CALL_TIME)).await
    }
}
