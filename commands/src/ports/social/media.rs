//! What of a post's files a platform takes, and which of a file's variants it is given.

use annals_domain::publishing::{
    MediaAsset,
    media::{MediaKind, MediaType, Processing, StoredFile},
    post::AltText,
};
use serde::Serialize;

use crate::{
    ports::media::{LARGE, LARGE_BYTES_MAX, VIDEO},
    publishing::media::ORIGINAL,
};

/// What a platform takes of a part's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformMedia {
    /// Files of one part.
    pub files_max: usize,
    pub alt_chars_max: usize,
    /// What is not listed is not taken.
    pub kinds: Vec<KindLimits>,
}

/// What a platform takes of one kind of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindLimits {
    pub kind: MediaKind,
    pub media_types: Vec<MediaType>,
    /// None: whatever the library keeps.
    pub bytes_max: Option<u64>,
    /// Whether nothing may stand beside such a file in its part.
    pub alone: bool,
}

impl KindLimits {
    /// Images of every type that the library takes.
    pub fn images(bytes_max: u64) -> Self {
        Self::of(MediaKind::Image, Some(bytes_max))
    }

    /// Files of a kind, of every type that the library takes.
    pub fn of(kind: MediaKind, bytes_max: Option<u64>) -> Self {
        let media_types = MediaType::ALL.into_iter().filter(|media_type| media_type.kind() == kind).collect();
        Self { kind, media_types, bytes_max, alone: false }
    }
}

/// Which variant of a file a platform is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    Variant {
        name: &'a str,
        file: &'a StoredFile,
    },
    /// A smaller one is still being made.
    Later,
    /// Why none can be; follows the file's name or field: `has 2000000 bytes, Bluesky takes 1000000`.
    Refused(String),
}

/// What of a part's files is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaProblem {
    /// From the part's own on: `media`, `media[1].id`, `media[1].alt`.
    pub field: String,
    /// Follows the field's name.
    pub message: String,
}

impl PlatformMedia {
    /// What is wrong with a part's files, as far as the library knows them.
    pub fn problems(&self, platform: &str, files: &[(&MediaAsset, Option<&AltText>)]) -> Vec<MediaProblem> {
        let mut problems = Vec::new();
        let mut problem = |field: String, message: String| problems.push(MediaProblem { field, message });
        if files.len() > self.files_max {
            let (count, max) = (files.len(), self.files_max);
            problem("media".to_string(), format!("has {count} files, {platform} takes {max}"));
        }
        for (index, (asset, alt)) in files.iter().enumerate() {
            if let Choice::Refused(message) = self.choose(platform, asset) {
                problem(format!("media[{index}].id"), message);
            } else if files.len() > 1 && self.is_alone(asset) {
                let message = format!("can't stand beside other files on {platform}");
                problem(format!("media[{index}].id"), message);
            }
            let chars = alt.map_or(0, |alt| alt.as_str().chars().count());
            if chars > self.alt_chars_max {
                let message = format!("has {chars} characters, {platform} takes {}", self.alt_chars_max);
                problem(format!("media[{index}].alt"), message);
            }
        }
        problems
    }

    /// Of a video, the MP4 that was made of it, if one was. Of an image that was made smaller, that one: it is encoded anew, and what a camera wrote beside the
    /// pixels stays behind. What moves (a GIF) goes as it is where it can. Else whatever fits.
    pub fn choose<'a>(&self, platform: &str, asset: &'a MediaAsset) -> Choice<'a> {
        let Some(original) = asset.file() else {
            return Choice::Refused("has no file".to_string());
        };
        let kind = original.media_type.kind();
        let is_image = kind == MediaKind::Image;
        let Some(limits) = self.kinds.iter().find(|limits| limits.kind == kind) else {
            return Choice::Refused(not_taken(platform, original.media_type));
        };
        let original = (ORIGINAL, original);
        if is_image && *asset.processing() == Processing::Pending {
            let takes_all = limits.bytes_max.is_none();
            return if takes_all { variant(original) } else { Choice::Later };
        }
        // Not a video's poster.
        let variants = asset.variants().iter().filter(|variant| variant.file.media_type.kind() == kind);
        let mut made: Vec<_> = variants.map(|variant| (variant.name.as_str(), &variant.file)).collect();
        // The largest first.
        made.sort_by_key(|(_, file)| std::cmp::Reverse(file.width));
        let goes_as_made = original.1.media_type != MediaType::Gif;
        let is_for_platforms = |name: &str| matches!(name, LARGE | VIDEO);
        let rest = made.iter().copied().filter(|(name, _)| !is_for_platforms(name));
        let large = made.iter().copied().filter(|(name, _)| is_for_platforms(name));
        let mut candidates: Vec<_> = large.chain([original]).chain(rest).collect();
        if !goes_as_made {
            // The file itself first.
            candidates.sort_by_key(|(name, _)| *name != ORIGINAL);
        }
        let fits = candidates.into_iter().find(|(_, file)| self.takes(file));
        fits.map_or_else(|| Choice::Refused(self.refusal(platform, original.1)), variant)
    }

    fn limits(&self, media_type: MediaType) -> Option<&KindLimits> {
        self.kinds.iter().find(|limits| limits.media_types.contains(&media_type))
    }

    fn takes(&self, file: &StoredFile) -> bool {
        let fits = |limits: &KindLimits| limits.bytes_max.is_none_or(|max| file.size_bytes <= max);
        self.limits(file.media_type).is_some_and(fits)
    }

    fn is_alone(&self, asset: &MediaAsset) -> bool {
        let kind = asset.file().map(|file| file.media_type.kind());
        self.kinds.iter().any(|limits| limits.alone && Some(limits.kind) == kind)
    }

    fn refusal(&self, platform: &str, file: &StoredFile) -> String {
        match self.limits(file.media_type).and_then(|limits| limits.bytes_max) {
            None => not_taken(platform, file.media_type),
            Some(max) => format!("has {} bytes, {platform} takes {max}", file.size_bytes),
        }
    }
}

fn variant<'a>((name, file): (&'a str, &'a StoredFile)) -> Choice<'a> {
    Choice::Variant { name, file }
}

fn not_taken(platform: &str, media_type: MediaType) -> String {
    format!("is of the type {}, which {platform} does not take", media_type.as_str())
}

/// What [`LARGE`] has at most fits every platform that takes images.
const _: () = assert!(LARGE_BYTES_MAX <= 1_000_000);

#[cfg(test)]
mod tests;
