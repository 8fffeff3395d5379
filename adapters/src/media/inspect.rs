//! Looks through a file before it is taken: an image is decoded once, within bounds; what is not decoded
//! here is checked to be whole.

use std::{io::BufReader, path::Path, sync::Arc};

use annals_domain::publishing::media::{MediaKind, MediaType};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, metadata::Orientation};
use tokio::sync::Semaphore;

use super::{BadFile, container};

/// What an image may unfold to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelLimits {
    /// Width times height.
    pub pixels_max: u64,
}

/// Of one side: more is no image that anyone shows.
const SIDE_MAX: u32 = 32_768;
/// What a decoder may allocate per pixel: sixteen bits of four channels.
const BYTES_PER_PIXEL: u64 = 8;

/// Decodes images, one at a time, off the event loop. Clones share the one place.
#[derive(Clone, Debug)]
pub struct Inspector {
    limits: PixelLimits,
    place: Arc<Semaphore>,
}

impl Inspector {
    pub fn new(limits: PixelLimits) -> Self {
        Self { limits, place: Arc::new(Semaphore::new(1)) }
    }

    /// Width and height as it is shown, for images; refuses what is broken, cut off or too many pixels.
    ///
    /// # Errors
    /// In words for whoever sent it.
    pub async fn inspect(&self, kind: MediaType, path: &Path) -> Result<Option<(u32, u32)>, BadFile> {
        let (limits, path) = (self.limits, path.to_path_buf());
        self.run(move || {
            container::check(kind, &path)?;
            match kind.kind() {
                MediaKind::Image => decode(kind, &path, limits)
                    .map(|Decoded { image, .. }| Some((image.width(), image.height()))),
                MediaKind::Video | MediaKind::Document => Ok(None),
            }
        })
        .await
    }

    /// Runs what takes a processor's time and much memory, one at a time.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, BadFile> + Send + 'static,
    ) -> Result<T, BadFile> {
        let permit = Arc::clone(&self.place).acquire_owned().await;
        let permit = permit.map_err(|_| BadFile::new("could not be looked through: the program ends"))?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        // A decoder that panics has met a file that nobody should take.
        done.await.unwrap_or_else(|_| Err(BadFile::new("can't be decoded")))
    }
}

/// An image, unfolded.
pub(super) struct Decoded {
    /// As it is shown (turned as its camera noted), its first frame.
    pub(super) image: DynamicImage,
    /// Whether a camera wrote something beside the pixels (Exif): when, with what, and often where.
    pub(super) has_camera_notes: bool,
}

/// Decodes within bounds.
pub(super) fn decode(kind: MediaType, path: &Path, limits: PixelLimits) -> Result<Decoded, BadFile> {
    let broken = |error: image::ImageError| BadFile::new(format!("is no image that can be decoded: {error}"));
    let file = std::fs::File::open(path).map_err(|error| BadFile::new(format!("can't be read: {error}")))?;
    let format = match kind {
        MediaType::Png => ImageFormat::Png,
        MediaType::Jpeg => ImageFormat::Jpeg,
        MediaType::Gif => ImageFormat::Gif,
        MediaType::Webp => ImageFormat::WebP,
        MediaType::Mp4 | MediaType::Mov | MediaType::Avi | MediaType::Pdf => {
            return Err(BadFile::new("is no image"));
        }
    };
    let mut reader = ImageReader::with_format(BufReader::new(file), format);
    let mut bounds = Limits::default();
    bounds.max_image_width = Some(SIDE_MAX);
    bounds.max_image_height = Some(SIDE_MAX);
    bounds.max_alloc = Some(limits.pixels_max.saturating_mul(BYTES_PER_PIXEL));
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    // From the header, before anything is unfolded.
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.pixels_max {
        return Err(BadFile::new(format!(
            "has {width} × {height} pixels; it may have {} at most",
            limits.pixels_max
        )));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let has_camera_notes = decoder.exif_metadata().ok().flatten().is_some();
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    Ok(Decoded { image, has_camera_notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let image = DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x % 256) as u8, (y % 256) as u8, 7])
        }));
        image.write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png).expect("encodes");
        bytes
    }

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let image = image::load_from_memory(&png(90, 60)).expect("decodes");
        let mut bytes = Vec::new();
        image.write_to(&mut std::io::Cursor::new(&mut bytes), format).expect("encodes");
        bytes
    }

    async fn inspected(kind: MediaType, bytes: &[u8]) -> Result<Option<(u32, u32)>, BadFile> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("writes");
        Inspector::new(PixelLimits { pixels_max: 10_000 }).inspect(kind, file.path()).await
    }

    #[tokio::test]
    async fn an_image_is_decoded_whole_and_one_that_was_cut_off_is_refused() {
        for (kind, format) in [
            (MediaType::Png, ImageFormat::Png),
            (MediaType::Jpeg, ImageFormat::Jpeg),
            (MediaType::Gif, ImageFormat::Gif),
            (MediaType::Webp, ImageFormat::WebP),
        ] {
            let bytes = encoded(format);
            assert_eq!(inspected(kind, &bytes).await, Ok(Some((90, 60))), "{kind:?}");
            assert!(inspected(kind, &bytes[..bytes.len() * 2 / 3]).await.is_err(), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_decompression_bomb_is_refused_by_its_header() {
        // 60,000 × 60,000 pixels in a few bytes: the header says so, and nothing is unfolded.
        let mut bomb = png(10, 10);
        bomb[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
        let refused = inspected(MediaType::Png, &bomb).await.expect_err("is refused");
        assert!(!refused.0.is_empty());
        let refused = inspected(MediaType::Png, &png(200, 51)).await.expect_err("is refused");
        assert!(refused.0.contains("200 × 51 pixels"), "{refused}");
        assert_eq!(inspected(MediaType::Png, &png(100, 100)).await, Ok(Some((100, 100))));
    }
}
