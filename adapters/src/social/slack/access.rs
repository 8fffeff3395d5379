//! What a channel is written through: a bot that may, or an incoming webhook that belongs to it.

use annals_commands::ports::social::{ConnectedAccount, FailureClass, ProviderError};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::api::Api;
use crate::net::Deadline;

/// A token that ends within this might not live through the call.
const FRESH_MIN: TimeDelta = TimeDelta::seconds(30);
const NAME_CHARS_MAX: usize = 100;

/// What the user gives, checked.
pub(super) enum Given {
    Bot { token: Token, channel: String },
    Webhook(Url),
}

/// A bot's token, and what follows it if it ends.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// As it is sealed. No `Debug`: it never goes into a log.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "camelCase")]
pub(super) enum Access {
    Bot(Bot),
    Webhook { url: Url },
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Bot {
    #[serde(flatten)]
    pub(super) token: Token,
    pub(super) channel_id: String,
    /// The workspace's page: `https://acme.slack.com/`.
    pub(super) workspace: Option<Url>,
}

impl Given {
    pub(super) fn read(api: &Api, credentials: Value) -> Result<Self, ProviderError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        struct Fields {
            webhook_url: Option<String>,
            bot_token: Option<String>,
            channel: Option<String>,
        }
        let fields: Fields = serde_json::from_value(credentials)
            .map_err(|_| ProviderError::new(FailureClass::BadContent, "credentials must be texts"))?;
        match (fields.webhook_url, fields.bot_token, fields.channel) {
            (Some(_), Some(_), _) => {
                Err(bad("botToken", "can't stand beside a webhookUrl: give one of them"))
            }
            (Some(_), None, Some(_)) => Err(bad("channel", "is the webhook's own: leave it out")),
            (Some(url), None, None) => webhook(api, url.trim())
                .map(Self::Webhook)
                .ok_or_else(|| bad("webhookUrl", "must be an incoming webhook's URL of Slack")),
            (None, Some(token), channel) => {
                let channel = channel.ok_or_else(|| bad("channel", "is required with a botToken"))?;
                let channel = channel_id(&channel)?;
                let access_token = token.trim().to_string();
                if access_token.is_empty() || !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(bad("botToken", "must be a bot's token"));
                }
                let token = Token { access_token, refresh_token: None, expires_at: None };
                Ok(Self::Bot { token, channel })
            }
            (None, None, _) => Err(bad("webhookUrl", "or a botToken with a channel is required")),
        }
    }
}

/// A channel's id, as Slack shows it below a channel's details.
pub(super) fn channel_id(text: &str) -> Result<String, ProviderError> {
    let id = text.trim();
    let is_one = id.starts_with(['C', 'G', 'D'])
        && (3..=30).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let message = "must be a channel's id such as C0123456789";
    if is_one { Ok(id.to_string()) } else { Err(bad("channel", message)) }
}

impl Access {
    pub(super) fn read(credentials: &Value) -> Result<Self, ProviderError> {
        Self::deserialize(credentials).map_err(|_| {
            // Not the source: it could quote a value.
            let message = "the channel's credentials are incomplete, connect it again";
            ProviderError::new(FailureClass::Disconnected, message)
        })
    }

    pub(super) fn to_value(&self) -> Value {
        json!(self)
    }

    /// When the token ends, if there is something to refresh it with.
    pub(super) fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Bot(Bot { token, .. }) => token.expires_at.filter(|_| token.refresh_token.is_some()),
            Self::Webhook { .. } => None,
        }
    }

    /// Asks for a new token before Slack has to: then it is sure that nothing was done.
    pub(super) fn check_fresh(&self) -> Result<(), ProviderError> {
        match self.expires_at() {
            Some(expires_at) if expires_at < Utc::now() + FRESH_MIN => {
                Err(ProviderError::new(FailureClass::RefreshToken, "the access token is expiring"))
            }
            _ => Ok(()),
        }
    }
}

impl Bot {
    /// Where people see the channel, or a message in it.
    pub(super) fn page(&self, message: Option<(&str, Option<&str>)>) -> Option<String> {
        let mut url = self.workspace.clone()?;
        let Some((ts, root)) = message else {
            url.set_path(&format!("/archives/{}", self.channel_id));
            return Some(url.into());
        };
        url.set_path(&format!("/archives/{}/p{}", self.channel_id, ts.replace('.', "")));
        if let Some(root) = root {
            url.query_pairs_mut().append_pair("thread_ts", root).append_pair("cid", &self.channel_id);
        }
        Some(url.into())
    }
}

impl Api {
    pub(super) async fn connect_bot(
        &self,
        token: Token,
        channel_id: String,
        deadline: Deadline,
    ) -> Result<ConnectedAccount, ProviderError> {
        #[derive(Deserialize)]
        struct Tested {
            url: Option<Url>,
            team_id: String,
            user: Option<String>,
        }
        #[derive(Deserialize)]
        struct Info {
            channel: Channel,
        }
        #[derive(Deserialize)]
        struct Channel {
            name: Option<String>,
            #[serde(default)]
            is_archived: bool,
        }
        let bearer = Some(token.access_token.as_str());
        let tested: Tested = self
            .ask("auth.test", bearer, &[], deadline)
            .await
            .map_err(|failed| failed.failure.at("botToken"))?;
        let asked =
            self.ask::<Info>("conversations.info", bearer, &[("channel", &channel_id)], deadline).await;
        let name = match asked {
            Ok(info) if info.channel.is_archived => return Err(bad("channel", "is archived")),
            Ok(info) => info.channel.name,
            // A bot may write where it may not look.
            Err(failed) if failed.is_one_of(&["missing_scope"]) => None,
            Err(failed) => return Err(failed.failure.at("channel")),
        };
        let bot = Bot { token, channel_id, workspace: tested.url };
        let name = name.map(|name| plain(&name)).filter(|name| !name.is_empty());
        Ok(ConnectedAccount {
            remote_id: format!("{}/{}", tested.team_id, bot.channel_id),
            name: name.map_or_else(|| bot.channel_id.clone(), |name| format!("#{name}")),
            handle: tested.user.map(|user| format!("@{}", plain(&user))),
            url: bot.page(None),
            picture: None,
            credentials: Access::Bot(bot).to_value(),
        })
    }

    /// A webhook can be asked nothing. An empty message is not posted: Slack says that it has no text if the
    /// webhook is one, and that there is none if it is not.
    pub(super) async fn connect_webhook(
        &self,
        url: Url,
        deadline: Deadline,
    ) -> Result<ConnectedAccount, ProviderError> {
        match self.post_to(&url, &json!({}), deadline).await {
            Err(error) if error.class != FailureClass::BadContent => return Err(error.at("webhookUrl")),
            Ok(()) | Err(_) => {}
        }
        let path: Vec<&str> = url.path().split('/').collect();
        Ok(ConnectedAccount {
            remote_id: format!("webhook/{}/{}", path[2], path[3]),
            name: "Slack".to_string(),
            handle: None,
            url: None,
            picture: None,
            credentials: Access::Webhook { url }.to_value(),
        })
    }
}

/// `https://hooks.slack.com/services/T…/B…/…`.
fn webhook(api: &Api, text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let bare = url.query().is_none() && url.fragment().is_none() && url.password().is_none();
    let is_word =
        |word: &str| (1..=100).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let path: Vec<&str> = url.path_segments()?.collect();
    let is_hook = matches!(path.as_slice(), ["services", rest @ ..]
        if rest.len() == 3 && rest.iter().all(|word| is_word(word)));
    (api.has_hooks_at(&url) && bare && is_hook).then_some(url)
}

fn plain(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    name.trim().to_string()
}

pub(super) fn bad(field: &'static str, message: &str) -> ProviderError {
    ProviderError::new(FailureClass::BadContent, message).at(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{HttpClient, OutboundPolicy};

    #[test]
    fn a_webhook_is_an_address_of_slack_and_of_nothing_else() {
        let http = HttpClient::new(OutboundPolicy::default()).expect("TLS");
        let api = Api::new(http, super::super::SLACK_URL.parse().expect("a URL"));
        assert!(webhook(&api, "https://hooks.slack.com/services/T0/B0/x1Y").is_some());
        for text in [
            "http://hooks.slack.com/services/T0/B0/x1Y",
            "https://hooks.slack.com.evil.example/services/T0/B0/x1Y",
            "https://slack.com/services/T0/B0/x1Y",
            "https://hooks.slack.com:8443/services/T0/B0/x1Y",
            "https://hooks.slack.com/workflows/T0/B0/x1Y",
            "https://hooks.slack.com/services/T0/B0",
            "https://hooks.slack.com/services/T0/B0/..",
            "https://hooks.slack.com/services/T0/B0/x1Y?x",
            "",
        ] {
            assert!(webhook(&api, text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_messages_page_has_no_dot_and_an_answers_page_names_its_thread() {
        let token = Token { access_token: String::new(), refresh_token: None, expires_at: None };
        let workspace = "https://acme.slack.com/".parse().ok();
        let bot = Bot { token, channel_id: "C1".to_string(), workspace };
        assert_eq!(bot.page(None).as_deref(), Some("https://acme.slack.com/archives/C1"));
        let page = bot.page(Some(("1503435956.000247", None)));
        assert_eq!(page.as_deref(), Some("https://acme.slack.com/archives/C1/p1503435956000247"));
        let page = bot.page(Some(("1503435957.000300", Some("1503435956.000247"))));
        let page = page.expect("has a workspace");
        assert!(page.ends_with("/p1503435957000300?thread_ts=1503435956.000247&cid=C1"), "{page}");
    }
}
