//! A post's files on their way to a platform: judged when it is scheduled, packed when a part is due.

use std::sync::Arc;

use annals_domain::{
    Refusal, RefusalKind,
    kernel::IntegrationId,
    publishing::{
        InvalidField, MediaAsset, Post,
        media::StoredFile,
        post::{AltText, Failure, FailureClass as Why, MediaReference, Part, Target},
    },
};
use async_trait::async_trait;
use futures::StreamExt;

use super::media::key;
use crate::{
    bus::{CommandBus, CommandError, Work},
    ports::{
        files::{Files, FilesError},
        social::{
            Attachment, AttachmentSource, Choice, FailureClass, PlatformInfo, PlatformMedia, ProviderError,
        },
    },
};

/// What is wrong with the files of a post on one channel, by the names of the HTTP body. A file that is not in
/// the library is left to who attaches it.
pub(super) async fn check_media(
    work: &mut Work,
    (platform, media): (&PlatformInfo, Option<&PlatformMedia>),
    (index, target): (usize, &Target),
    parts: &[Part],
) -> Result<Vec<InvalidField>, CommandError> {
    let mut problems = Vec::new();
    for (number, part) in parts.iter().enumerate().filter(|(_, part)| !part.media.is_empty()) {
        let prefix = prefix_of(index, target, number);
        let Some(media) = media else {
            let message = format!(
                "can't be shown on {}: give the channel none of its own (\"media\": [])",
                platform.name
            );
            problems.push(InvalidField::new(format!("{prefix}media"), message));
            continue;
        };
        let mut assets = Vec::with_capacity(part.media.len());
        for reference in &part.media {
            assets.push((work.load::<MediaAsset>(reference.asset_id).await?, reference.alt.as_ref()));
        }
        if assets.iter().all(|(asset, _)| asset.exists()) {
            let files: Vec<(&MediaAsset, Option<&AltText>)> =
                assets.iter().map(|(asset, alt)| (&**asset, *alt)).collect();
            problems.extend(
                media
                    .problems(platform.name, &files)
                    .into_iter()
                    .map(|problem| InvalidField::new(format!("{prefix}{}", problem.field), problem.message)),
            );
        }
    }
    Ok(problems)
}

/// What stands before `media` of a part: of the post's own, or of the channel's.
fn prefix_of(index: usize, target: &Target, part: usize) -> String {
    let own = format!("integrations[{index}].");
    match part {
        0 if target.media.is_some() => own,
        0 => String::new(),
        part if target.thread.is_some() => format!("{own}thread[{}].", part - 1),
        part => format!("thread[{}].", part - 1),
    }
}

/// The files of the part that is due on a channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Luggage {
    /// What the post says of them; it may say something else by the time that the part is sent.
    references: Vec<MediaReference>,
    pub(super) attachments: Vec<Attachment>,
}

/// What became of packing.
pub(super) enum Packed {
    Ready(Luggage),
    /// Something smaller is still being made of a file.
    Later,
    /// The part can't go out as it is.
    Never(Failure),
}

/// The post was changed while its files were packed: look again.
#[derive(Debug, thiserror::Error)]
#[error("the post was changed meanwhile")]
pub(super) struct ChangedMeanwhile;

impl Refusal for ChangedMeanwhile {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }

    fn code(&self) -> &'static str {
        "CONFLICT"
    }
}

impl Luggage {
    /// Whether these are the files of the part that is due.
    pub(super) fn is_of(&self, post: &Post, channel: IntegrationId) -> bool {
        due_media(post, channel) == self.references
    }

    pub(super) fn bytes(&self) -> u64 {
        self.attachments.iter().map(|attachment| attachment.size_bytes).sum()
    }
}

fn due_media(post: &Post, channel: IntegrationId) -> Vec<MediaReference> {
    let Some(delivery) = post.deliveries().get(&channel) else { return Vec::new() };
    let parts = post.composition().parts_for(channel).unwrap_or_default();
    parts.into_iter().nth(delivery.standing.len()).map(|part| part.media).unwrap_or_default()
}

/// Chooses what the platform is given of each file of the part that is due. Nothing is read yet.
pub(super) async fn pack(
    bus: &CommandBus,
    files: Option<&Arc<dyn Files>>,
    (platform, media): (&PlatformInfo, Option<&PlatformMedia>),
    (post, channel): (&Post, IntegrationId),
) -> Result<Packed, CommandError> {
    let references = due_media(post, channel);
    if references.is_empty() {
        return Ok(Packed::Ready(Luggage::default()));
    }
    let (Some(media), Some(files)) = (media, files) else {
        return Ok(never(format!("files can't be taken to {}", platform.name)));
    };
    let mut attachments = Vec::with_capacity(references.len());
    for (index, reference) in references.iter().enumerate() {
        let asset = bus.load::<MediaAsset>(reference.asset_id).await?.state;
        if !asset.exists() {
            return Ok(never(format!("file {} is no longer in the media library", index + 1)));
        }
        match media.choose(platform.name, &asset) {
            Choice::Later => return Ok(Packed::Later),
            Choice::Refused(why) => return Ok(never(format!("file {} {why}", index + 1))),
            Choice::Variant { name, file } => {
                let key = key(asset.organization(), reference.asset_id, name, file.media_type);
                attachments.push(attachment(Arc::clone(files), key, file, reference.alt.as_ref()));
            }
        }
    }
    Ok(Packed::Ready(Luggage { references, attachments }))
}

/// The failure of a part whose files do not become ready.
pub(super) fn not_ready() -> Failure {
    Failure {
        class: Why::NotActed,
        reason: "smaller ones of its files are still not made".to_string(),
        what_to_do: "retry the post when the media library says that they are processed".to_string(),
    }
}

fn never(reason: String) -> Packed {
    let what_to_do = "give the post other files, or this channel none of its own".to_string();
    Packed::Never(Failure { class: Why::BadContent, reason, what_to_do })
}

fn attachment(files: Arc<dyn Files>, key: String, file: &StoredFile, alt: Option<&AltText>) -> Attachment {
    Attachment {
        media_type: file.media_type.as_str().to_string(),
        size_bytes: file.size_bytes,
        width: file.width,
        height: file.height,
        alt_text: alt.map(|alt| alt.as_str().to_string()),
        source: Arc::new(Stored { files, key, size_bytes: file.size_bytes }),
    }
}

/// A file in the store.
struct Stored {
    files: Arc<dyn Files>,
    key: String,
    size_bytes: u64,
}

#[async_trait]
impl AttachmentSource for Stored {
    async fn read(&self) -> Result<Vec<u8>, ProviderError> {
        let mut parts = self.files.open(&self.key, None).await.map_err(unread)?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.size_bytes).unwrap_or_default());
        while let Some(part) = parts.next().await {
            bytes.extend_from_slice(&part.map_err(unread)?);
            if bytes.len() as u64 > self.size_bytes {
                break;
            }
        }
        if bytes.len() as u64 != self.size_bytes {
            let message = "a file of the post is not in the file store as the library has it";
            return Err(ProviderError::new(FailureClass::BadContent, message));
        }
        Ok(bytes)
    }
}

fn unread(error: FilesError) -> ProviderError {
    let (class, message) = match error {
        FilesError::NotFound(_) => {
            (FailureClass::BadContent, "a file of the post is not in the file store: upload it again")
        }
        FilesError::Unavailable(_) => (FailureClass::Retry, "the file store did not give a file of the post"),
    };
    ProviderError::new(class, message).caused_by(error)
}
