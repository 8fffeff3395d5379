//! A channel's credentials: the key, and the relays that keep what it signs.

use std::time::Duration;

use annals_commands::ports::social::{FailureClass, ProviderError};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    event::{Event, METADATA},
    key::Key,
    relay::Relay,
};
use crate::net::{Deadline, HttpClient};

const RELAYS_MAX: usize = 10;
const NAME_CHARS_MAX: usize = 100;
const PICTURE_CHARS_MAX: usize = 2_048;
/// A relay that does not say within this who somebody is is not waited for.
const PROFILE_TIME: Duration = Duration::from_secs(8);

/// Who writes, and where to.
pub(super) struct Account {
    pub(super) key: Key,
    pub(super) relays: Vec<Url>,
    /// The page that notes are read on, if the user named one: the id is put behind it.
    viewer: Option<Url>,
}

/// What the user gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Given {
    private_key: String,
    relays: String,
    viewer: Option<String>,
}

/// As they are sealed. No `Debug`: they never go into a log.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    private_key: String,
    relays: Vec<Url>,
    viewer: Option<Url>,
}

/// What an account shows of itself (NIP-01, NIP-24).
#[derive(Default)]
pub(super) struct Profile {
    pub(super) name: Option<String>,
    pub(super) picture: Option<String>,
}

impl Account {
    /// Checked all through; no I/O.
    pub(super) fn given(http: &HttpClient, given: Value) -> Result<Self, ProviderError> {
        let given: Given = serde_json::from_value(given).map_err(|_| {
            ProviderError::new(FailureClass::BadContent, "privateKey and relays must be texts")
        })?;
        let malformed = "must be a private key of Nostr: nsec1… or 64 hexadecimal digits";
        let key = Key::parse(&given.private_key).ok_or_else(|| bad("privateKey", malformed))?;
        let relays = relays(http, &given.relays)?;
        let viewer = given.viewer.filter(|text| !text.trim().is_empty());
        let viewer = viewer.map(|text| viewer_page(&text)).transpose()?;
        Ok(Self { key, relays, viewer })
    }

    pub(super) fn read(credentials: &Value) -> Result<Self, ProviderError> {
        // Not the source: it could quote a value.
        let incomplete = || {
            let message = "the channel's credentials are incomplete, connect it again";
            ProviderError::new(FailureClass::Disconnected, message)
        };
        let Credentials { private_key, relays, viewer } =
            Credentials::deserialize(credentials).map_err(|_| incomplete())?;
        let key = Key::parse(&private_key).ok_or_else(incomplete)?;
        Ok(Self { key, relays, viewer })
    }

    pub(super) fn to_credentials(&self) -> Value {
        let (relays, viewer) = (self.relays.clone(), self.viewer.clone());
        json!(Credentials { private_key: self.key.to_hex(), relays, viewer })
    }

    /// Where people read what has this name (`note1…`, `npub1…`).
    pub(super) fn address(&self, name: &str) -> String {
        match &self.viewer {
            Some(page) => format!("{}/{name}", page.as_str().trim_end_matches('/')),
            None => format!("nostr:{name}"),
        }
    }

    /// The newest profile that the relays have. One of them has to answer: else nothing could be published.
    pub(super) async fn profile(
        &self,
        http: &HttpClient,
        deadline: Deadline,
    ) -> Result<Profile, ProviderError> {
        let author = self.key.public_key();
        let filter = json!({"kinds": [METADATA], "authors": [author], "limit": 1});
        let deadline = deadline.at_most(PROFILE_TIME);
        let asked = self.relays.iter().map(|relay| {
            let relay = Relay { http, url: relay, key: &self.key };
            let filter = filter.clone();
            async move { relay.query(filter, deadline).await }
        });
        let (answers, failures): (Vec<_>, Vec<_>) =
            join_all(asked).await.into_iter().partition(Result::is_ok);
        if answers.is_empty() {
            let first = failures.into_iter().find_map(Result::err);
            let none = || bad("relays", "must name at least one");
            let failed = first.unwrap_or_else(none);
            return Err(failed.at("relays"));
        }
        let profiles = answers.into_iter().flatten().flatten();
        let own = profiles.filter(|event| event.kind == METADATA && event.pubkey == author);
        let newest = own.max_by_key(|event| event.created_at);
        Ok(newest.as_ref().map(shown).unwrap_or_default())
    }
}

fn shown(profile: &Event) -> Profile {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Content {
        name: Option<String>,
        display_name: Option<String>,
        picture: Option<String>,
    }
    let content: Content = serde_json::from_str(&profile.content).unwrap_or_default();
    let plain = |name: String| {
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        Some(name.trim().to_string()).filter(|name| !name.is_empty())
    };
    let is_page = |text: &String| {
        text.len() <= PICTURE_CHARS_MAX && Url::parse(text).is_ok_and(|url| url.scheme() == "https")
    };
    Profile {
        name: content.display_name.and_then(plain).or(content.name.and_then(plain)),
        picture: content.picture.filter(is_page),
    }
}

/// The relays as users write them: between spaces, commas or on lines of their own.
fn relays(http: &HttpClient, given: &str) -> Result<Vec<Url>, ProviderError> {
    let mut relays: Vec<Url> = Vec::new();
    let words = given.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    for word in words {
        let with_scheme = if word.contains("://") { word.to_string() } else { format!("wss://{word}") };
        let url: Url = with_scheme
            .parse()
            .map_err(|_| bad("relays", "must be addresses such as wss://relay.example.org"))?;
        let host = url.host_str().unwrap_or_default().to_string();
        http.policy()
            .check_websocket(&url)
            .map_err(|forbidden| bad("relays", &format!("{host} {forbidden}")))?;
        if !relays.contains(&url) {
            relays.push(url);
        }
    }
    match relays.len() {
        0 => Err(bad("relays", "must name at least one")),
        1..=RELAYS_MAX => Ok(relays),
        _ => Err(bad("relays", &format!("must name at most {RELAYS_MAX}"))),
    }
}

fn viewer_page(text: &str) -> Result<Url, ProviderError> {
    let url = text.trim().parse::<Url>().ok();
    url.filter(|url| matches!(url.scheme(), "https" | "http") && url.query().is_none() && text.len() <= 300)
        .ok_or_else(|| bad("viewer", "must be the address of a page such as https://njump.me"))
}

fn bad(field: &'static str, message: &str) -> ProviderError {
    ProviderError::new(FailureClass::BadContent, message).at(field)
}
