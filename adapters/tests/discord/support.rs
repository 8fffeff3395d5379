//! Channels of the stub, and posts for them.

use annals_adapters::{
    net::{HttpClient, OutboundPolicy},
    social::discord::Discord as Provider,
};
use annals_commands::ports::social::{
    ChannelAccess, ConnectRequest, ConnectedAccount, OutgoingPart, OutgoingPost, ProviderError,
    PublishHandle, SocialProvider,
};
use annals_domain::kernel::{IntegrationId, PostId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stub::{BOT_TOKEN, Discord, WEBHOOK};

pub(crate) fn provider(discord: &Discord) -> Provider {
    let policy =
        OutboundPolicy { allow_hosts: vec!["127.0.0.1".parse().unwrap()], ..OutboundPolicy::default() };
    let public_url = "https://annals.example".parse().unwrap();
    Provider::new(HttpClient::new(policy).unwrap(), discord.url.parse().unwrap(), &public_url)
}

pub(crate) async fn connect(
    discord: &Discord,
    credentials: Value,
) -> Result<ConnectedAccount, ProviderError> {
    let request = ConnectRequest { channel: IntegrationId::new(Uuid::new_v4()), name: None, credentials };
    provider(discord).authenticate(request).await
}

pub(crate) async fn bot(discord: &Discord) -> ChannelAccess {
    let credentials = json!({"botToken": BOT_TOKEN, "channelId": "555"});
    channel_of(connect(discord, credentials).await.unwrap())
}

pub(crate) async fn webhook(discord: &Discord) -> ChannelAccess {
    let credentials = json!({"webhookUrl": format!("{}{WEBHOOK}", discord.url)});
    channel_of(connect(discord, credentials).await.unwrap())
}

fn channel_of(account: ConnectedAccount) -> ChannelAccess {
    ChannelAccess {
        id: IntegrationId::new(Uuid::new_v4()),
        name: account.name,
        credentials: account.credentials,
        url: account.url,
    }
}

pub(crate) fn handle(channel: &ChannelAccess) -> PublishHandle {
    PublishHandle { post: PostId::new(Uuid::new_v4()), channel: channel.id, occurrence: 0 }
}

pub(crate) fn post(texts: &[&str]) -> OutgoingPost {
    OutgoingPost {
        parts: texts.iter().map(|text| OutgoingPart::from(*text)).collect(),
        standing: Vec::new(),
        at: chrono::Utc::now(),
        settings: serde_json::Map::new(),
    }
}
