//! One relay (NIP-01): what it is told, what it answers, and what that means. Asked to, we say who we are
//! (NIP-42).

use annals_commands::ports::social::{FailureClass, ProviderError};
use chrono::Utc;
use serde_json::{Value, json};
use url::Url;

use super::{
    event::{CLIENT_AUTHENTICATION, Draft, Event},
    key::Key,
};
use crate::{
    net::{Deadline, Effect, HttpClient, NetError, WebSocket},
    social::words::{host, plain},
};

/// Messages that are read before the one that is waited for; who says more is not listened to.
const MESSAGES_MAX: usize = 500;
const EVENTS_MAX: usize = 100;
const SUBSCRIPTION: &str = "annals";

/// A relay, and who writes to it.
#[derive(Clone, Copy)]
pub(super) struct Relay<'r> {
    pub(super) http: &'r HttpClient,
    pub(super) url: &'r Url,
    pub(super) key: &'r Key,
}

/// One connection.
struct Talk<'r> {
    relay: Relay<'r>,
    socket: WebSocket,
    deadline: Deadline,
    messages_left: usize,
    /// What the relay wants signed, if it wants to know who we are.
    challenge: Option<String>,
}

/// What a relay says, as far as it matters here.
enum Said {
    Event(Box<Event>),
    /// The subscription has no more events for now.
    End,
    /// The subscription was refused.
    Closed(String),
    Ok {
        id: String,
        accepted: bool,
        message: String,
    },
    Challenge(String),
    Other,
}

impl Relay<'_> {
    /// Has an event kept. Doing so again changes nothing.
    pub(super) async fn keep(&self, event: &Event, deadline: Deadline) -> Result<(), ProviderError> {
        let mut talk = self.connect(deadline).await?;
        let kept = talk.keep(event).await;
        talk.socket.close(deadline.at_most(std::time::Duration::from_millis(200))).await;
        kept
    }

    /// The genuine events that a filter finds.
    pub(super) async fn query(&self, filter: Value, deadline: Deadline) -> Result<Vec<Event>, ProviderError> {
        let mut talk = self.connect(deadline).await?;
        let found = talk.query(&filter).await;
        talk.socket.close(deadline.at_most(std::time::Duration::from_millis(200))).await;
        found
    }

    async fn connect(&self, deadline: Deadline) -> Result<Talk<'_>, ProviderError> {
        let opened = self.http.websocket(self.url, deadline).await;
        // Nothing was said yet.
        let socket = opened.map_err(|error| self.failed(error, Effect::Read))?;
        Ok(Talk { relay: *self, socket, deadline, messages_left: MESSAGES_MAX, challenge: None })
    }

    fn failed(&self, error: NetError, effect: Effect) -> ProviderError {
        let message = format!("{}: {error}", host(self.url));
        ProviderError::new(error.class(effect), message).caused_by(error)
    }

    fn refused(&self, message: &str) -> ProviderError {
        let said = if message.is_empty() { "no reason given" } else { message };
        ProviderError::new(class_of(message), format!("{} answered: {}", host(self.url), plain(said)))
    }
}

impl Talk<'_> {
    async fn keep(&mut self, event: &Event) -> Result<(), ProviderError> {
        let refused = match self.tell(event, "EVENT").await? {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        if !refused.starts_with("auth-required:") || !self.introduce().await? {
            return Err(self.relay.refused(&refused));
        }
        self.tell(event, "EVENT").await?.map_err(|refused| self.relay.refused(&refused))
    }

    async fn query(&mut self, filter: &Value) -> Result<Vec<Event>, ProviderError> {
        let refused = match self.ask(filter).await? {
            Ok(events) => return Ok(events),
            Err(refused) => refused,
        };
        if !refused.starts_with("auth-required:") || !self.introduce().await? {
            return Err(self.relay.refused(&refused));
        }
        self.ask(filter).await?.map_err(|refused| self.relay.refused(&refused))
    }

    /// Whether the relay now knows who we are; not if it sent no challenge.
    async fn introduce(&mut self) -> Result<bool, ProviderError> {
        let Some(challenge) = self.challenge.take() else { return Ok(false) };
        let tags = [["relay", self.relay.url.as_str()], ["challenge", &challenge]];
        let draft = Draft {
            created_at: Utc::now().timestamp(),
            kind: CLIENT_AUTHENTICATION,
            tags: tags.iter().map(|tag| tag.iter().map(|word| (*word).to_string()).collect()).collect(),
            content: String::new(),
        };
        let introduction = draft.signed(self.relay.key);
        Ok(self.tell(&introduction, "AUTH").await?.is_ok())
    }

    /// Sends an event and waits for what becomes of it: accepted, or the relay's reason.
    async fn tell(&mut self, event: &Event, verb: &str) -> Result<Result<(), String>, ProviderError> {
        let effect = if verb == "EVENT" { Effect::Write } else { Effect::Read };
        self.send(json!([verb, event]), effect).await?;
        loop {
            match self.hear(effect).await? {
                // Some name no event when they refuse one; nothing else was sent.
                Said::Ok { id, accepted, message } if id == event.id || id.is_empty() => {
                    let stands = accepted || message.starts_with("duplicate:");
                    return Ok(if stands { Ok(()) } else { Err(message) });
                }
                _ => {}
            }
        }
    }

    /// The events that the relay has for a filter, or why it does not say.
    async fn ask(&mut self, filter: &Value) -> Result<Result<Vec<Event>, String>, ProviderError> {
        self.send(json!(["REQ", SUBSCRIPTION, filter]), Effect::Read).await?;
        let mut events = Vec::new();
        loop {
            match self.hear(Effect::Read).await? {
                Said::Event(event) if events.len() < EVENTS_MAX && event.is_genuine() => events.push(*event),
                Said::End => return Ok(Ok(events)),
                Said::Closed(message) => return Ok(Err(message)),
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: Value, effect: Effect) -> Result<(), ProviderError> {
        let sent = self.socket.send(message.to_string(), self.deadline).await;
        sent.map_err(|error| self.relay.failed(error, effect))
    }

    /// The next message; challenges are kept for when they are needed.
    async fn hear(&mut self, effect: Effect) -> Result<Said, ProviderError> {
        let lost = |message: &str| {
            let class = match effect {
                Effect::Read => FailureClass::Retry,
                Effect::Write => FailureClass::OutcomeUnknown,
            };
            ProviderError::new(class, format!("{} {message}", host(self.relay.url)))
        };
        self.messages_left =
            self.messages_left.checked_sub(1).ok_or_else(|| lost("does not answer as a Nostr relay does"))?;
        let text = match self.socket.next(self.deadline).await {
            Ok(Some(text)) => text,
            Ok(None) => return Err(lost("broke off before it had answered")),
            Err(error) => return Err(self.relay.failed(error, effect)),
        };
        let said = said(&text);
        if let Said::Challenge(challenge) = said {
            self.challenge = Some(challenge);
            return Ok(Said::Other);
        }
        Ok(said)
    }
}

/// What a message says; what is not understood says nothing.
fn said(text: &str) -> Said {
    let Ok(Value::Array(words)) = serde_json::from_str(text) else { return Said::Other };
    let word = |index: usize| words.get(index).and_then(Value::as_str).unwrap_or_default();
    let ours = word(1) == SUBSCRIPTION;
    match word(0) {
        "EVENT" if ours => match words.get(2).cloned().map(serde_json::from_value) {
            Some(Ok(event)) => Said::Event(Box::new(event)),
            _ => Said::Other,
        },
        "EOSE" if ours => Said::End,
        "CLOSED" if ours => Said::Closed(word(2).to_string()),
        "OK" => Said::Ok {
            id: word(1).to_string(),
            accepted: words.get(2).and_then(Value::as_bool).unwrap_or_default(),
            message: word(3).to_string(),
        },
        "AUTH" => Said::Challenge(word(1).to_string()),
        _ => Said::Other,
    }
}

/// What a relay's reason means: its first word, which machines read (NIP-01, NIP-42).
fn class_of(message: &str) -> FailureClass {
    match message.split_once(':').map(|(prefix, _)| prefix) {
        Some("rate-limited" | "error") => FailureClass::Retry,
        Some("blocked" | "restricted" | "auth-required") => FailureClass::Disconnected,
        // `invalid`, `pow`, and what relays make up: it will be as unwelcome next time.
        _ => FailureClass::BadContent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_documented_reason_has_its_class() {
        for (message, class) in [
            ("rate-limited: slow down there chief", FailureClass::Retry),
            ("error: could not connect to the database", FailureClass::Retry),
            ("blocked: you are banned from posting here", FailureClass::Disconnected),
            ("restricted: not allowed to write", FailureClass::Disconnected),
            ("auth-required: we only accept events from registered users", FailureClass::Disconnected),
            ("invalid: event creation date is too far off from the current time", FailureClass::BadContent),
            ("pow: difficulty 26 is less than 30", FailureClass::BadContent),
            ("mute: no one was listening", FailureClass::BadContent),
            ("rejected: too many 'p' tags", FailureClass::BadContent),
            ("", FailureClass::BadContent),
        ] {
            assert_eq!(class_of(message), class, "{message}");
        }
    }
}
