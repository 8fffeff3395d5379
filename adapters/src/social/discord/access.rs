//! What a channel is written through: a bot that may, or a webhook that belongs to it.

use annals_commands::ports::social::{ConnectedAccount, FailureClass, ProviderError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::api::{Api, Call};
use crate::net::Deadline;

/// Text, announcements, and the three kinds of threads.
const CHANNEL_TYPES: [u8; 5] = [0, 5, 10, 11, 12];
/// Discord's own addresses beside the main one, for those who try what is not finished.
const OTHER_HOSTS: [&str; 3] = ["discordapp.com", "ptb.discord.com", "canary.discord.com"];
const NAME_CHARS_MAX: usize = 100;

/// What the user gives, checked.
pub(super) enum Given {
    Bot { token: String, channel: String },
    Webhook { id: String, token: String },
}

/// As it is sealed. No `Debug`: it never goes into a log.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Access {
    Bot { token: String, channel_id: String, guild_id: Option<String>, user_id: String },
    Webhook { id: String, token: String, channel_id: String, guild_id: Option<String> },
}

impl Given {
    pub(super) fn read(api: &Api, credentials: Value) -> Result<Self, ProviderError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        struct Fields {
            webhook_url: Option<String>,
            bot_token: Option<String>,
            channel_id: Option<String>,
        }
        let fields: Fields = serde_json::from_value(credentials)
            .map_err(|_| ProviderError::new(FailureClass::BadContent, "credentials must be texts"))?;
        match (fields.webhook_url, fields.bot_token, fields.channel_id) {
            (Some(_), Some(_), _) => {
                Err(bad("botToken", "can't stand beside a webhookUrl: give one of them"))
            }
            (Some(_), None, Some(_)) => Err(bad("channelId", "is the webhook's own: leave it out")),
            (Some(url), None, None) => {
                let (id, token) = webhook(api, url.trim())
                    .ok_or_else(|| bad("webhookUrl", "must be a channel's webhook URL of Discord"))?;
                Ok(Self::Webhook { id, token })
            }
            (None, Some(token), channel) => {
                let channel = channel.map(|id| id.trim().to_string());
                let channel = channel.ok_or_else(|| bad("channelId", "is required with a botToken"))?;
                if !is_snowflake(&channel) {
                    return Err(bad("channelId", "must be a channel's id, which has only digits"));
                }
                let token = token.trim().trim_start_matches("Bot ").to_string();
                if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(bad("botToken", "must be a bot's token"));
                }
                Ok(Self::Bot { token, channel })
            }
            (None, None, _) => Err(bad("webhookUrl", "or a botToken with a channelId is required")),
        }
    }
}

impl Access {
    pub(super) fn read(credentials: &Value) -> Result<Self, ProviderError> {
        Self::deserialize(credentials).map_err(|_| {
            // Not the source: it could quote a value.
            let message = "the channel's credentials are incomplete, connect it again";
            ProviderError::new(FailureClass::Disconnected, message)
        })
    }

    /// Where people see a message.
    pub(super) fn message_url(&self, api: &Api, message: &str) -> String {
        let (Self::Bot { channel_id, guild_id, .. } | Self::Webhook { channel_id, guild_id, .. }) = self;
        api.page(guild_id.as_deref(), channel_id, Some(message))
    }
}

impl Api {
    pub(super) async fn connect_bot(
        &self,
        token: String,
        channel_id: String,
        deadline: Deadline,
    ) -> Result<ConnectedAccount, ProviderError> {
        #[derive(Deserialize)]
        struct User {
            id: String,
            username: String,
            avatar: Option<String>,
        }
        #[derive(Deserialize)]
        struct Channel {
            #[serde(rename = "type")]
            kind: u8,
            name: Option<String>,
            guild_id: Option<String>,
        }
        let asked = Call::reads("/users/@me".to_string(), Some(&token));
        let user: User = self.call(asked, deadline).await.map_err(|error| error.at("botToken"))?;
        let asked = Call::reads(format!("/channels/{channel_id}"), Some(&token));
        let channel: Channel = self.call(asked, deadline).await.map_err(|error| error.at("channelId"))?;
        if !CHANNEL_TYPES.contains(&channel.kind) {
            return Err(bad("channelId", "must be a channel for texts"));
        }
        let name = channel.name.map_or_else(|| user.username.clone(), |name| format!("#{}", plain(&name)));
        let picture = user.avatar.map(|hash| avatar(&user.id, &hash));
        let url = self.page(channel.guild_id.as_deref(), &channel_id, None);
        let access = Access::Bot {
            token,
            channel_id: channel_id.clone(),
            guild_id: channel.guild_id,
            user_id: user.id,
        };
        Ok(ConnectedAccount {
            remote_id: channel_id,
            name,
            handle: Some(format!("@{}", plain(&user.username))),
            url: Some(url),
            picture,
            credentials: json!(access),
        })
    }

    pub(super) async fn connect_webhook(
        &self,
        id: String,
        token: String,
        deadline: Deadline,
    ) -> Result<ConnectedAccount, ProviderError> {
        #[derive(Deserialize)]
        struct Webhook {
            channel_id: String,
            guild_id: Option<String>,
            name: Option<String>,
            avatar: Option<String>,
        }
        let asked = Call::reads(format!("/webhooks/{id}/{token}"), None);
        let webhook: Webhook = self.call(asked, deadline).await.map_err(|error| error.at("webhookUrl"))?;
        let name = webhook.name.map(|name| plain(&name)).filter(|name| !name.is_empty());
        let url = self.page(webhook.guild_id.as_deref(), &webhook.channel_id, None);
        let access = Access::Webhook {
            id: id.clone(),
            token,
            channel_id: webhook.channel_id,
            guild_id: webhook.guild_id,
        };
        Ok(ConnectedAccount {
            picture: webhook.avatar.map(|hash| avatar(&id, &hash)),
            remote_id: format!("webhook/{id}"),
            name: name.unwrap_or_else(|| "Webhook".to_string()),
            handle: None,
            url: Some(url),
            credentials: json!(access),
        })
    }
}

/// The id and the token in a webhook's address.
fn webhook(api: &Api, text: &str) -> Option<(String, String)> {
    let url: Url = text.parse().ok()?;
    let theirs = api.is_discords_own()
        && url.scheme() == "https"
        && url.host_str().is_some_and(|host| OTHER_HOSTS.contains(&host));
    let ours = api.is_at(&url) || theirs;
    let bare = url.query().is_none() && url.fragment().is_none() && url.password().is_none();
    let path: Vec<&str> = url.path_segments()?.collect();
    let of_version =
        |version: &str| version.strip_prefix('v').is_some_and(|digits| digits.parse::<u8>().is_ok());
    let (id, token) = match path.as_slice() {
        ["api", "webhooks", id, token] => (*id, *token),
        ["api", version, "webhooks", id, token] if of_version(version) => (*id, *token),
        _ => return None,
    };
    let is_token = !token.is_empty()
        && token.len() <= 200
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (ours && bare && is_snowflake(id) && is_token).then(|| (id.to_string(), token.to_string()))
}

fn is_snowflake(text: &str) -> bool {
    text.parse::<u64>().is_ok_and(|id| id > 0) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn avatar(id: &str, hash: &str) -> String {
    format!("https://cdn.discordapp.com/avatars/{id}/{hash}.png")
}

fn plain(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    name.trim().to_string()
}

fn bad(field: &'static str, message: &str) -> ProviderError {
    ProviderError::new(FailureClass::BadContent, message).at(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{HttpClient, OutboundPolicy};

    #[test]
    fn a_webhook_is_an_address_of_discord_and_of_nothing_else() {
        let http = HttpClient::new(OutboundPolicy::default()).expect("TLS");
        let server = super::super::DISCORD_URL.parse().expect("a URL");
        let api = Api::new(http, server, &"https://annals.example".parse().expect("a URL"));
        let found = Some(("12345".to_string(), "a-B_c".to_string()));
        for text in [
            "https://discord.com/api/webhooks/12345/a-B_c",
            "https://discord.com/api/v10/webhooks/12345/a-B_c",
            "https://discordapp.com/api/webhooks/12345/a-B_c",
            "https://canary.discord.com/api/webhooks/12345/a-B_c",
        ] {
            assert_eq!(webhook(&api, text), found, "{text}");
        }
        for text in [
            "http://discord.com/api/webhooks/12345/a-B_c",
            "https://discord.com.evil.example/api/webhooks/12345/a-B_c",
            "https://evil.example/api/webhooks/12345/a-B_c",
            "https://discord.com:8443/api/webhooks/12345/a-B_c",
            "https://discord.com/api/webhooks/12345",
            "https://discord.com/api/webhooks/abc/a-B_c",
            "https://discord.com/api/webhooks/12345/a%2FB",
            "https://discord.com/api/webhooks/12345/a-B_c?wait=true",
            "discord.com/api/webhooks/12345/a-B_c",
            "",
        ] {
            assert_eq!(webhook(&api, text), None, "{text}");
        }
    }
}
