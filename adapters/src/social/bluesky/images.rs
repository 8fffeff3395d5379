//! The pictures of a part: uploaded as blobs, and named by its record with what they show.

use annals_commands::ports::social::{Attachment, KindLimits, PlatformMedia, ProviderError};
use annals_domain::publishing::post::AltText;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    session::Session,
    xrpc::{Call, Payload, Xrpc},
};
use crate::net::{Deadline, Effect};

/// As the lexicon `app.bsky.embed.images` says.
const IMAGES_MAX: usize = 4;
const IMAGE_BYTES_MAX: u64 = 1_000_000;

pub(super) fn taken() -> PlatformMedia {
    PlatformMedia {
        files_max: IMAGES_MAX,
        // The lexicon has no limit: what we keep fits.
        alt_chars_max: AltText::MAX_CHARS,
        kinds: vec![KindLimits::images(IMAGE_BYTES_MAX)],
    }
}

#[derive(Deserialize)]
struct Uploaded {
    blob: Value,
}

/// What the record embeds, if there are pictures. A blob is named by its content and dropped if no record
/// refers to it: uploaded again, it is the same and does no harm.
pub(super) async fn upload(
    xrpc: &Xrpc,
    session: &Session,
    attachments: &[Attachment],
    deadline: Deadline,
) -> Result<Option<Value>, ProviderError> {
    if attachments.is_empty() {
        return Ok(None);
    }
    let mut images = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        let call = Call {
            server: &session.pds,
            method: "com.atproto.repo.uploadBlob",
            token: Some(&session.access_jwt),
            effect: Effect::Read,
            deadline,
        };
        let bytes = attachment.source.read().await?;
        let payload = Payload::Bytes { media_type: attachment.media_type.clone(), bytes };
        let Uploaded { blob } = xrpc.procedure(call, payload).await?;
        images.push(image(attachment, blob));
    }
    Ok(Some(json!({"$type": "app.bsky.embed.images", "images": images})))
}

fn image(attachment: &Attachment, blob: Value) -> Value {
    // The lexicon wants a text, if only an empty one.
    let mut image = json!({"alt": attachment.alt_text.as_deref().unwrap_or_default(), "image": blob});
    if let (Some(width @ 1..), Some(height @ 1..)) = (attachment.width, attachment.height) {
        image["aspectRatio"] = json!({"width": width, "height": height});
    }
    image
}
