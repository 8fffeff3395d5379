//! Discord's HTTP API, version 10: calls, and what its errors mean.

use std::time::Duration;

use annals_commands::ports::social::{FailureClass, ProviderError};
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{
    net::{Deadline, HttpClient},
    social::rest::{Refused, Rest, RestCall, Verdict},
};

const VERSION: &str = "/api/v10";
/// The longest wait that Discord can ask for.
const WAIT_MAX_S: f64 = 24.0 * 60.0 * 60.0;

pub(super) struct Api {
    rest: Rest,
    server: Url,
    /// As Discord wants clients to present themselves.
    user_agent: HeaderValue,
}

/// What is asked, and as whom.
pub(super) struct Call<'c> {
    method: Method,
    path: String,
    query: Vec<(&'c str, String)>,
    bot: Option<&'c str>,
    body: Body,
}

enum Body {
    None,
    Json(Value),
}

impl<'c> Call<'c> {
    pub(super) fn reads(path: String, bot: Option<&'c str>) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), bot, body: Body::None }
    }

    pub(super) fn writes(path: String, bot: Option<&'c str>, body: Value) -> Self {
        Self { method: Method::POST, path, query: Vec::new(), bot, body: Body::Json(body) }
    }

    pub(super) fn query(mut self, name: &'c str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }
}

impl Api {
    pub(super) fn new(http: HttpClient, server: Url, public_url: &Url) -> Self {
        let rest = Rest::new(http, "Discord", words).judged_by(judge);
        let presented = format!("DiscordBot ({public_url}, {})", env!("CARGO_PKG_VERSION"));
        let user_agent =
            HeaderValue::from_str(&presented).unwrap_or_else(|_| HeaderValue::from_static("DiscordBot"));
        Self { rest, server, user_agent }
    }

    /// Whether this is Discord itself, and no other server that speaks its API.
    pub(super) fn is_discords_own(&self) -> bool {
        self.server.host_str() == Some("discord.com")
    }

    pub(super) fn is_at(&self, url: &Url) -> bool {
        url.origin() == self.server.origin()
    }

    /// Where people see a channel, or a message in it.
    pub(super) fn page(&self, guild: Option<&str>, channel: &str, message: Option<&str>) -> String {
        let mut url = self.server.clone();
        let message = message.map(|id| format!("/{id}")).unwrap_or_default();
        url.set_path(&format!("/channels/{}/{channel}{message}", guild.unwrap_or("@me")));
        url.into()
    }

    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        deadline: Deadline,
    ) -> Result<T, ProviderError> {
        let mut url = self.server.clone();
        url.set_path(&format!("{VERSION}{}", call.path));
        let mut asked = match call.method {
            Method::GET => RestCall::get(url, deadline),
            method => RestCall::writes(method, url, deadline),
        };
        let query: Vec<_> = call.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if !query.is_empty() {
            asked = asked.query(&query);
        }
        asked = asked.header(USER_AGENT, self.user_agent.clone());
        if let Some(token) = call.bot {
            asked = asked.secret(AUTHORIZATION, &format!("Bot {token}"));
        }
        match call.body {
            Body::None => {}
            Body::Json(body) => asked = asked.json(&body),
        }
        self.rest.call(asked).await
    }
}

/// `{"message": "Invalid Form Body", "code": 50035, "errors": {"content": {"_errors": [{"message": "…"}]}}}`.
fn words(body: &Value) -> Option<String> {
    let message = body.get("message")?.as_str()?;
    Some(match body.get("errors").and_then(first_error) {
        Some(detail) => format!("{message}: {detail}"),
        None => message.to_string(),
    })
}

fn first_error(errors: &Value) -> Option<String> {
    let own = errors.get("_errors").and_then(|list| list.get(0)?.get("message")?.as_str());
    own.map(str::to_string).or_else(|| errors.as_object()?.values().find_map(first_error))
}

/// By Discord's own code where there is one, else by the status.
fn judge(refused: &Refused<'_>) -> Verdict {
    let by_status = Verdict::by_status(refused);
    let told = refused.body.get("retry_after").and_then(Value::as_f64);
    let told = told.and_then(|seconds| Duration::try_from_secs_f64(seconds.min(WAIT_MAX_S)).ok());
    let retry_after = told.into_iter().chain(by_status.retry_after).max();
    if refused.status.is_server_error() || refused.status.as_u16() == 429 {
        return Verdict { retry_after, ..by_status };
    }
    let code = refused.body.get("code").and_then(Value::as_u64).unwrap_or_default();
    Verdict { class: class_of(code).unwrap_or(by_status.class), retry_after }
}

/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#json>
fn class_of(code: u64) -> Option<FailureClass> {
    match code {
        // The channel, the server, the webhook or the bot is gone, or lets us in no longer.
        10_003 | 10_004 | 10_013 | 10_015 | 20_001 | 20_012 | 40_001 | 40_002 | 40_007 => {
            Some(FailureClass::Disconnected)
        }
        // Missing access, missing permissions, not a channel for texts, a bad token, an archived thread.
        50_001 | 50_008 | 50_013 | 50_014 | 50_025 | 50_027 | 50_083 | 160_002 | 160_005 => {
            Some(FailureClass::Disconnected)
        }
        // Slow mode and other limits on writing; overloaded.
        20_016 | 20_028 | 20_029 | 40_062 | 130_000 => Some(FailureClass::Retry),
        // What it says: an empty or malformed message, a file that is too large, a link or word that is refused,
        // an answer to a message that is gone.
        10_008 | 20_009 | 40_005 | 50_006 | 50_035 | 50_045 | 50_109 | 200_000 | 200_001 | 240_000 => {
            Some(FailureClass::BadContent)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_invalid_form_says_what_is_wrong_with_it() {
        let body = json!({"message": "Invalid Form Body", "code": 50035, "errors": {"embeds": {"0": {"url":
            {"_errors": [{"code": "URL_TYPE_INVALID_URL", "message": "Not a well formed URL."}]}}}}});
        assert_eq!(words(&body).as_deref(), Some("Invalid Form Body: Not a well formed URL."));
        assert_eq!(words(&json!({"message": "Unknown Channel"})).as_deref(), Some("Unknown Channel"));
        assert_eq!(words(&Value::Null), None);
    }
}
