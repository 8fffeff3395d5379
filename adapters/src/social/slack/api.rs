//! Slack's Web API and incoming webhooks: calls, and what their errors mean.

use annals_commands::ports::social::{FailureClass, ProviderError};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{
    net::{Deadline, Effect, HttpClient},
    social::{
        rest::{Refused, Rest, RestCall, Verdict},
        words::plain,
    },
};

/// Where incoming webhooks of Slack's own are.
const HOOKS_HOST: &str = "hooks.slack.com";

pub(super) struct Api {
    rest: Rest,
    server: Url,
}

/// A failure, with the name that Slack gave it.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) name: Option<String>,
    pub(super) failure: ProviderError,
}

impl From<Failed> for ProviderError {
    fn from(failed: Failed) -> Self {
        failed.failure
    }
}

impl Failed {
    pub(super) fn is_one_of(&self, names: &[&str]) -> bool {
        self.name.as_deref().is_some_and(|name| names.contains(&name))
    }
}

impl Api {
    pub(super) fn new(http: HttpClient, server: Url) -> Self {
        Self { rest: Rest::new(http, "Slack", words).judged_by(judge), server }
    }

    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.server.clone();
        url.set_path(path);
        url
    }

    /// Whether an incoming webhook can be there.
    pub(super) fn has_hooks_at(&self, url: &Url) -> bool {
        let is_slack = self.server.host_str() == Some("slack.com");
        if is_slack {
            url.scheme() == "https" && url.host_str() == Some(HOOKS_HOST) && url.port().is_none()
        } else {
            url.origin() == self.server.origin()
        }
    }

    /// A method that changes nothing, or whose repetition does no harm.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        token: Option<&str>,
        arguments: &[(&str, &str)],
        deadline: Deadline,
    ) -> Result<T, Failed> {
        let call = RestCall::asks(self.at(&format!("/api/{method}")), deadline).form(arguments);
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        self.call(call, Effect::Read).await
    }

    /// A method that writes.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: &str,
        token: &str,
        arguments: &Value,
        deadline: Deadline,
    ) -> Result<T, Failed> {
        let url = self.at(&format!("/api/{method}"));
        let call = RestCall::writes(Method::POST, url, deadline).bearer(token).json(arguments);
        self.call(call, Effect::Write).await
    }

    /// Whatever the status says, `ok` says whether Slack did it.
    async fn call<T: DeserializeOwned>(&self, call: RestCall, effect: Effect) -> Result<T, Failed> {
        let without_name = |failure| Failed { name: None, failure };
        let body: Value = self.rest.call(call).await.map_err(without_name)?;
        let lost = match effect {
            Effect::Read => FailureClass::Retry,
            Effect::Write => FailureClass::OutcomeUnknown,
        };
        match (body.get("ok").and_then(Value::as_bool), body.get("error").and_then(Value::as_str)) {
            (Some(true), _) => serde_json::from_value(body).map_err(|error| {
                without_name(ProviderError::new(lost, "Slack answered something else").caused_by(error))
            }),
            (Some(false), Some(name)) => {
                let failure = ProviderError::new(
                    class_of(name, effect),
                    format!("Slack answered: {}", plain(&in_words(name, &body))),
                );
                Err(Failed { name: Some(name.to_string()), failure })
            }
            _ => Err(without_name(ProviderError::new(lost, "Slack did not say whether it did it"))),
        }
    }

    /// Posts through an incoming webhook, whose address is a secret.
    pub(super) async fn post_to(
        &self,
        hook: &Url,
        message: &Value,
        deadline: Deadline,
    ) -> Result<(), ProviderError> {
        let call = RestCall::writes(Method::POST, hook.clone(), deadline).json(message);
        let answer = self.rest.send(call).await?;
        if answer.body.trim_ascii() == b"ok" {
            return Ok(());
        }
        Err(ProviderError::new(FailureClass::OutcomeUnknown, "Slack did not say whether it did it"))
    }
}

fn in_words(name: &str, body: &Value) -> String {
    match (name, body.get("needed").and_then(Value::as_str)) {
        ("missing_scope", Some(needed)) => format!("missing_scope, {needed} is needed"),
        _ => name.to_string(),
    }
}

/// `{"ok": false, "error": "…"}`; of a webhook the word alone.
fn words(body: &Value) -> Option<String> {
    let word = body.as_str().or_else(|| body.get("error")?.as_str());
    word.map(str::to_string)
}

/// A webhook's refusals, and those of the Web API that come with a status.
fn judge(refused: &Refused<'_>) -> Verdict {
    let by_status = Verdict::by_status(refused);
    let class = match refused.status.as_u16() {
        // The webhook, its channel or its workspace is gone.
        404 | 410 => FailureClass::Disconnected,
        _ => by_status.class,
    };
    Verdict { class, ..by_status }
}

/// <https://api.slack.com/methods/chat.postMessage#errors>, and those of the other methods that are used.
fn class_of(name: &str, effect: Effect) -> FailureClass {
    match name {
        "token_expired" => FailureClass::RefreshToken,
        "ratelimited"
        | "rate_limited"
        | "message_limit_exceeded"
        | "request_timeout"
        | "service_unavailable"
        | "team_added_to_org" => FailureClass::Retry,
        // "It's possible some aspect of the operation succeeded before the error was raised."
        "fatal_error" | "internal_error" => match effect {
            Effect::Read => FailureClass::Retry,
            Effect::Write => FailureClass::OutcomeUnknown,
        },
        "invalid_auth"
        | "not_authed"
        | "account_inactive"
        | "token_revoked"
        | "no_permission"
        | "org_login_required"
        | "ekm_access_denied"
        | "missing_scope"
        | "not_allowed_token_type"
        | "access_denied"
        | "accesslimited"
        | "enterprise_is_restricted"
        | "team_access_not_granted"
        | "two_factor_setup_required"
        | "channel_not_found"
        | "not_in_channel"
        | "is_archived"
        | "is_inactive"
        | "messages_tab_disabled"
        | "method_not_supported_for_channel_type"
        | "restricted_action"
        | "restricted_action_non_threadable_channel"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_locked"
        | "restricted_action_thread_only_channel" => FailureClass::Disconnected,
        // What it says: `no_text`, `msg_too_long`, `cannot_reply_to_message`, and whatever comes new.
        _ => FailureClass::BadContent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_may_have_come_after_the_act_is_unknown_only_where_something_was_written() {
        for name in ["fatal_error", "internal_error"] {
            assert_eq!(class_of(name, Effect::Write), FailureClass::OutcomeUnknown);
            assert_eq!(class_of(name, Effect::Read), FailureClass::Retry);
        }
    }
}
