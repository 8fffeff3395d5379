//! What a server takes, as it says itself: servers are configured, and others than Mastodon speak its API.

use annals_commands::ports::social::{FailureClass, ProviderError};
use annals_domain::publishing::{integration::ServerLimits, media::MediaType};
use serde::Deserialize;

use super::token::App;
use crate::{
    net::Deadline,
    social::rest::{Rest, RestCall},
};

/// More than these says nobody who means it.
const CHARS_MAX: u32 = 1_000_000;
const FILES_MAX: u32 = 100;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Instance {
    configuration: Configuration,
    /// Pleroma's and its descendants' word for it.
    max_toot_chars: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    statuses: Statuses,
    media_attachments: Media,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Statuses {
    max_characters: Option<u32>,
    max_media_attachments: Option<u32>,
    characters_reserved_per_url: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Media {
    supported_mime_types: Vec<String>,
    description_limit: Option<u32>,
    image_size_limit: Option<u64>,
    video_size_limit: Option<u64>,
}

/// `None` from a server that has no such page.
pub(super) async fn limits(
    rest: &Rest,
    app: &App,
    deadline: Deadline,
) -> Result<Option<ServerLimits>, ProviderError> {
    for path in ["/api/v2/instance", "/api/v1/instance"] {
        match rest.call::<Instance>(RestCall::get(app.at(path), deadline)).await {
            Ok(instance) => return Ok(Some(instance.limits())),
            Err(error) if error.class == FailureClass::BadContent => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

impl Instance {
    /// What makes no sense is as if it were not said.
    fn limits(self) -> ServerLimits {
        let Configuration { statuses, media_attachments: media } = self.configuration;
        let within = |value: Option<u32>, max| value.filter(|value| (1..=max).contains(value));
        let types = &media.supported_mime_types;
        let is_known = |media_type: &MediaType| types.iter().any(|name| name == media_type.as_str());
        ServerLimits {
            text_chars_max: within(statuses.max_characters.or(self.max_toot_chars), CHARS_MAX),
            link_chars: within(statuses.characters_reserved_per_url, CHARS_MAX),
            files_max: statuses.max_media_attachments.filter(|count| *count <= FILES_MAX),
            alt_chars_max: within(media.description_limit, CHARS_MAX),
            image_bytes_max: media.image_size_limit.filter(|bytes| *bytes > 0),
            video_bytes_max: media.video_size_limit.filter(|bytes| *bytes > 0),
            media_types: MediaType::ALL.into_iter().filter(is_known).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ServerLimits {
        serde_json::from_str::<Instance>(text).expect("is an instance").limits()
    }

    #[test]
    fn what_a_server_says_is_read_and_what_makes_no_sense_is_not() {
        let said = read(
            r#"{"domain": "m.example", "configuration": {
                "statuses": {"max_characters": 5000, "max_media_attachments": 8, "characters_reserved_per_url": 23},
                "media_attachments": {"supported_mime_types": ["image/png", "video/mp4", "audio/ogg"],
                    "description_limit": 420, "image_size_limit": 16777216, "video_size_limit": 103809024}}}"#,
        );
        let expected = ServerLimits {
            text_chars_max: Some(5_000),
            link_chars: Some(23),
            files_max: Some(8),
            alt_chars_max: Some(420),
            image_bytes_max: Some(16_777_216),
            video_bytes_max: Some(103_809_024),
            media_types: vec![MediaType::Png, MediaType::Mp4],
        };
        assert_eq!(said, expected);
        assert_eq!(read(r#"{"max_toot_chars": 2000}"#).text_chars_max, Some(2_000));
        let odd = r#"{"configuration": {"statuses": {"max_characters": 0}, "media_attachments": {"image_size_limit": 0}}}"#;
        assert_eq!(read(odd), ServerLimits::default());
    }
}
