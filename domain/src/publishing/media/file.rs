//! What a file is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::{InvalidText, bounded};

/// The types that the library takes, by their media types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MediaType {
    #[serde(rename = "image/png")]
    Png,
    #[serde(rename = "image/jpeg")]
    Jpeg,
    #[serde(rename = "image/gif")]
    Gif,
    #[serde(rename = "image/webp")]
    Webp,
    #[serde(rename = "video/mp4")]
    Mp4,
    #[serde(rename = "video/quicktime")]
    Mov,
    #[serde(rename = "video/x-msvideo")]
    Avi,
    #[serde(rename = "application/pdf")]
    Pdf,
}

impl MediaType {
    pub const ALL: [Self; 8] =
        [Self::Png, Self::Jpeg, Self::Gif, Self::Webp, Self::Mp4, Self::Mov, Self::Avi, Self::Pdf];

    /// As `Content-Type` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
            Self::Avi => "video/x-msvideo",
            Self::Pdf => "application/pdf",
        }
    }

    /// What a file of it is called at the end, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Avi => "avi",
            Self::Pdf => "pdf",
        }
    }

    pub fn kind(self) -> MediaKind {
        match self {
            Self::Png | Self::Jpeg | Self::Gif | Self::Webp => MediaKind::Image,
            Self::Mp4 | Self::Mov | Self::Avi => MediaKind::Video,
            Self::Pdf => MediaKind::Document,
        }
    }
}

/// How a file is looked at, and which limits are its.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    Image,
    Video,
    Document,
}

impl MediaKind {
    pub const ALL: [Self; 3] = [Self::Image, Self::Video, Self::Document];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Document => "document",
        }
    }
}

/// How a file came into the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaOrigin {
    /// Sent by a person or a program.
    Upload,
    /// Fetched from an address that they named.
    Url,
}

/// Bytes in the file store, and what is known of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredFile {
    pub media_type: MediaType,
    pub size_bytes: u64,
    /// Of all its bytes, in hex.
    pub sha256: String,
    /// In pixels, of images; of videos where it could be found out.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub duration_ms: Option<u64>,
}

/// Something smaller that was made of a file: a thumbnail, another size, a video's poster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variant {
    /// `thumbnail`, `small`, `large`: unique among its file's.
    pub name: String,
    pub file: StoredFile,
}

/// What a file was called where it came from: its last part, 1 to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct FileName(String);

impl FileName {
    pub const MAX_CHARS: usize = 255;

    /// # Errors
    /// If nothing is left without its folders, or it is too long or holds control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        // Some clients send a whole path, and it is nobody's business here.
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
        bounded(last, Self::MAX_CHARS).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind its last dot, in lower case.
    pub fn extension(&self) -> Option<String> {
        let (stem, extension) = self.0.rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_lowercase())
    }
}
