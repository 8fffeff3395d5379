//! Uploading the files of a post. A server drops what no post refers to, so doing so again does no harm.

use std::time::Duration;

use annals_commands::ports::social::{Attachment, FailureClass, KindLimits, PlatformMedia, ProviderError};
use annals_domain::publishing::media::{MediaKind, MediaType};
use reqwest::StatusCode;
use serde::Deserialize;

use super::token::Credentials;
use crate::{
    net::Deadline,
    social::rest::{Rest, RestCall, multipart},
};

/// How long a server may take to make a video of ours its own; what is not ready then is tried again.
const PROCESSING_PATIENCE: Duration = Duration::from_secs(8);
const PROCESSING_PAUSE: Duration = Duration::from_millis(500);

/// Mastodon's own defaults; a server may take more or less and says so.
const FILES_MAX: usize = 4;
const ALT_CHARS_MAX: usize = 1_500;
const IMAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const VIDEO_BYTES_MAX: u64 = 40 * 1024 * 1024;

pub(super) fn taken() -> PlatformMedia {
    PlatformMedia {
        files_max: FILES_MAX,
        alt_chars_max: ALT_CHARS_MAX,
        kinds: vec![
            KindLimits::images(IMAGE_BYTES_MAX),
            KindLimits {
                kind: MediaKind::Video,
                media_types: vec![MediaType::Mp4, MediaType::Mov],
                bytes_max: Some(VIDEO_BYTES_MAX),
                alone: true,
            },
        ],
    }
}

#[derive(Deserialize)]
struct Media {
    id: String,
}

/// The ids that a post refers to, in order.
pub(super) async fn upload(
    rest: &Rest,
    credentials: &Credentials,
    attachments: &[Attachment],
    deadline: Deadline,
) -> Result<Vec<String>, ProviderError> {
    let mut ids = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        let bytes = attachment.source.read().await?;
        let media_type = attachment.media_type.as_str();
        let name = format!("file.{}", media_type.rsplit('/').next().unwrap_or("bin"));
        let description: Vec<_> =
            attachment.alt_text.iter().map(|text| ("description", text.as_str())).collect();
        let (body_type, body) = multipart(&description, ("file", &name, media_type, &bytes));
        let call = RestCall::asks(credentials.app.at("/api/v2/media"), deadline).body(&body_type, body);
        let response = rest.send(call.bearer(&credentials.access_token)).await?;
        let media: Media = serde_json::from_slice(&response.body).map_err(|error| {
            ProviderError::new(FailureClass::Retry, "the server did not say what became of an upload")
                .caused_by(error)
        })?;
        if response.status == StatusCode::ACCEPTED {
            processed(rest, credentials, &media.id, deadline).await?;
        }
        ids.push(media.id);
    }
    Ok(ids)
}

/// Waits until the server has made it ready: 206 until then, 200 from then on.
async fn processed(
    rest: &Rest,
    credentials: &Credentials,
    id: &str,
    deadline: Deadline,
) -> Result<(), ProviderError> {
    let patience = tokio::time::Instant::now() + PROCESSING_PATIENCE;
    loop {
        let call = RestCall::get(credentials.app.at(&format!("/api/v1/media/{id}")), deadline);
        if rest.send(call.bearer(&credentials.access_token)).await?.status == StatusCode::OK {
            return Ok(());
        }
        if tokio::time::Instant::now() >= patience {
            let message = "the server is still processing an attachment";
            return Err(ProviderError::new(FailureClass::Retry, message));
        }
        tokio::time::sleep(PROCESSING_PAUSE).await;
    }
}
