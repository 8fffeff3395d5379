//! The platform `feed`: built in, no account. Its posts are served by Annals itself as Atom and JSON Feed.

use annals_commands::ports::social::{
    ChannelAccess, ConnectMethod, ConnectRequest, ConnectedAccount, ContentProblem, IdempotencyKind,
    KindLimits, Lookup, OutgoingPart, OutgoingPost, PlatformInfo, PlatformLimits, PlatformMedia,
    ProviderError, PublishHandle, Published, SocialProvider,
};
use annals_domain::{
    kernel::IntegrationId,
    publishing::{
        media::MediaKind,
        post::{AltText, MEDIA_MAX},
    },
};
use async_trait::async_trait;
use serde_json::json;
use url::Url;
use uuid::{Uuid, uuid};

const TEXT_CHARS_MAX: usize = 10_000;
const THREAD_PARTS_MAX: usize = 25;

/// The namespace of item ids (UUID v5), drawn once.
const ITEMS: Uuid = uuid!("7d0c0f2e-5f1c-4b53-9a2b-6a4f1c1f8d11");

/// The feed a channel is. Nothing leaves the house: the recorded `published` event is what makes the item
/// visible, so acting and recording are one.
pub struct Feed {
    info: PlatformInfo,
    base: String,
}

impl Feed {
    /// `public_url`: where people reach Annals, such as `https://annals.example.org`.
    pub fn new(public_url: &Url) -> Self {
        // As enclosures, which the feed's reader has from the library: what is there fits.
        let media = PlatformMedia {
            files_max: MEDIA_MAX,
            alt_chars_max: AltText::MAX_CHARS,
            kinds: MediaKind::ALL.into_iter().map(|kind| KindLimits::of(kind, None)).collect(),
        };
        let limits = PlatformLimits {
            text_chars_max: TEXT_CHARS_MAX,
            thread_parts_max: THREAD_PARTS_MAX,
            media: Some(media),
        };
        let info = PlatformInfo {
            identifier: "feed",
            name: "Feed (Atom and JSON Feed)",
            connect: ConnectMethod::None,
            limits,
            settings: Vec::new(),
            idempotency: IdempotencyKind::ByHandle,
        };
        Self { info, base: public_url.as_str().trim_end_matches('/').to_string() }
    }

    /// The channel's page. With `.atom` or `.json` behind it, the feed itself.
    pub fn channel_url(&self, channel: IntegrationId) -> String {
        format!("{}/feeds/{channel}", self.base)
    }

    pub fn item_url(&self, channel: IntegrationId, item: Uuid) -> String {
        format!("{}/items/{item}", self.channel_url(channel))
    }
}

/// The id of what a handle publishes; [`Published::remote_id`] is its `urn:uuid:` form.
pub fn item_id(handle: PublishHandle) -> Uuid {
    let mut name = Vec::with_capacity(36);
    name.extend_from_slice(handle.post.uuid().as_bytes());
    name.extend_from_slice(handle.channel.uuid().as_bytes());
    name.extend_from_slice(&handle.occurrence.to_be_bytes());
    Uuid::new_v5(&ITEMS, &name)
}

/// The parts of a thread as the one text that the feed shows.
pub fn joined(parts: &[String]) -> String {
    parts.join("\n\n")
}

#[async_trait]
impl SocialProvider for Feed {
    fn info(&self) -> &PlatformInfo {
        &self.info
    }

    async fn authenticate(&self, request: ConnectRequest) -> Result<ConnectedAccount, ProviderError> {
        Ok(ConnectedAccount {
            remote_id: request.channel.uuid().urn().to_string(),
            name: request.name.unwrap_or_else(|| "Feed".to_string()),
            handle: None,
            url: Some(self.channel_url(request.channel)),
            picture: None,
            credentials: json!({}),
        })
    }

    fn check(&self, parts: &[OutgoingPart]) -> Vec<ContentProblem> {
        let mut problems = Vec::new();
        if parts.len() > THREAD_PARTS_MAX {
            let message = format!("has {} parts, a feed takes {THREAD_PARTS_MAX}", parts.len());
            problems.push(ContentProblem { part: THREAD_PARTS_MAX, message });
        }
        for (part, OutgoingPart { text, .. }) in parts.iter().enumerate() {
            let chars = text.chars().count();
            if chars > TEXT_CHARS_MAX {
                let message = format!("has {chars} characters, a feed takes {TEXT_CHARS_MAX}");
                problems.push(ContentProblem { part, message });
            }
            if text.trim().is_empty() {
                problems.push(ContentProblem { part, message: "must not be empty".to_string() });
            }
        }
        problems
    }

    async fn publish(
        &self,
        _channel: &ChannelAccess,
        handle: PublishHandle,
        _post: &OutgoingPost,
    ) -> Result<Published, ProviderError> {
        let item = item_id(handle);
        Ok(Published { remote_id: item.urn().to_string(), url: Some(self.item_url(handle.channel, item)) })
    }

    /// Without its record nothing is in the feed.
    async fn find(
        &self,
        _channel: &ChannelAccess,
        _handle: PublishHandle,
        _post: &OutgoingPost,
    ) -> Result<Lookup, ProviderError> {
        Ok(Lookup::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use annals_domain::kernel::PostId;
    use chrono::Utc;
    use serde_json::Value;

    use super::*;

    const CHANNEL: Uuid = uuid!("0198e000-0000-7000-8000-000000000002");

    fn feed() -> Feed {
        Feed::new(&"https://annals.example/base/".parse().expect("a URL"))
    }

    fn handle(post: u128, occurrence: u32) -> PublishHandle {
        PublishHandle { post: PostId::new(Uuid::from_u128(post)), channel: CHANNEL.into(), occurrence }
    }

    async fn publish(handle: PublishHandle) -> Published {
        let channel =
            ChannelAccess { id: handle.channel, name: "Feed".to_string(), credentials: json!({}), url: None };
        let post = OutgoingPost {
            parts: vec!["hello".into()],
            standing: Vec::new(),
            at: Utc::now(),
            settings: serde_json::Map::new(),
        };
        feed().publish(&channel, handle, &post).await.expect("a feed takes everything")
    }

    #[tokio::test]
    async fn a_channel_is_a_url() {
        let request = ConnectRequest { channel: CHANNEL.into(), name: None, credentials: Value::Null };
        let account = feed().authenticate(request).await.expect("no account is needed");
        assert_eq!(account.url, Some(format!("https://annals.example/base/feeds/{CHANNEL}")));
        assert_eq!(account.remote_id, format!("urn:uuid:{CHANNEL}"));
    }

    #[tokio::test]
    async fn the_same_handle_is_the_same_item_and_another_is_another() {
        let first = publish(handle(1, 0)).await;
        assert_eq!(first, publish(handle(1, 0)).await);
        assert_ne!(first, publish(handle(1, 1)).await);
        assert_ne!(first, publish(handle(2, 0)).await);
        // Pinned: what readers have seen must not come back under another id.
        assert_eq!(first.remote_id, "urn:uuid:a73aaa0d-18a5-5822-ac23-c8a34aa45311");
    }

    #[test]
    fn limits() {
        let parts = |n: usize, text: &str| vec![OutgoingPart::from(text); n];
        assert_eq!(feed().check(&parts(25, &"ö".repeat(10_000))), []);
        assert_eq!(feed().check(&parts(26, "x"))[0].part, 25);
        assert_eq!(
            feed().check(&parts(1, &"x".repeat(10_001)))[0].message,
            "has 10001 characters, a feed takes 10000"
        );
        assert_eq!(feed().check(&parts(1, " "))[0].message, "must not be empty");
    }
}
