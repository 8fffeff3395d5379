//! Makes smaller ones of images: a thumbnail, and sizes for pages and platforms; and, with `ffmpeg`, what videos need.
//!
//! They are encoded anew: what a camera wrote beside the pixels (where it was, among others) stays behind.

use std::{io::Cursor, path::Path};

use annals_commands::ports::media::{
    Bench, LARGE, LARGE_BYTES_MAX, Made, MadeVariant, Workshop, WorkshopError,
};
use annals_domain::publishing::media::{MediaKind, MediaType, StoredFile, Variant};
use async_trait::async_trait;
use image::{DynamicImage, ImageFormat, codecs::jpeg::JpegEncoder, imageops::FilterType};
use tempfile::TempPath;

use super::{
    BadFile, Inspector, PixelLimits, Spool, SpoolError, Spooled, container,
    film::Ffmpeg,
    inspect::{Decoded, decode},
    screening,
};

/// Names and longest sides, in pixels.
const SIZES: [(&str, u32); 3] = [("thumbnail", 320), ("medium", 1024), (LARGE, 2048)];
const QUALITY: u8 = 85;
/// Qualities below which a picture is rather made smaller.
const QUALITIES: [u8; 4] = [QUALITY, 75, 65, 55];

/// Works on this machine, one image at a time.
#[derive(Clone, Debug)]
pub struct ImageWorkshop {
    spool: Spool,
    inspector: Inspector,
    limits: PixelLimits,
    ffmpeg: Option<Ffmpeg>,
}

impl ImageWorkshop {
    pub fn new(spool: Spool, limits: PixelLimits) -> Self {
        Self { spool, inspector: Inspector::new(limits), limits, ffmpeg: None }
    }

    /// With what makes posters and MP4s of videos.
    #[must_use]
    pub fn with_ffmpeg(self, ffmpeg: Option<Ffmpeg>) -> Self {
        Self { ffmpeg, ..self }
    }

    pub(super) fn spool(&self) -> &Spool {
        &self.spool
    }

    pub(super) fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    pub(super) fn limits(&self) -> PixelLimits {
        self.limits
    }
}

struct OnBench(TempPath);

impl Bench for OnBench {
    fn path(&self) -> &Path {
        &self.0
    }
}

#[async_trait]
impl Workshop for ImageWorkshop {
    fn makes(&self, media_type: MediaType) -> bool {
        match media_type.kind() {
            MediaKind::Image => true,
            MediaKind::Video => self.ffmpeg.is_some(),
            MediaKind::Document => false,
        }
    }

    fn bench(&self) -> Result<Box<dyn Bench>, WorkshopError> {
        let path = self.spool.path().map_err(|error| WorkshopError::Unavailable(error.to_string()))?;
        Ok(Box::new(OnBench(path)))
    }

    async fn make(&self, path: &Path, file: &StoredFile) -> Result<Made, WorkshopError> {
        let kind = file.media_type;
        match (kind.kind(), &self.ffmpeg) {
            (MediaKind::Image, _) => {}
            (MediaKind::Video, Some(ffmpeg)) => return screening::made(self, ffmpeg, path, file).await,
            _ => return Err(WorkshopError::Refused("nothing is made of such files here".to_string())),
        }
        let (limits, path) = (self.limits, path.to_path_buf());
        let size_bytes = file.size_bytes;
        let drawn = self.inspector.run(move || draw(kind, &path, size_bytes, limits)).await;
        let drawn = drawn.map_err(|BadFile(why)| WorkshopError::Refused(format!("the file {why}")))?;
        let (variants, kept) = laid(self, drawn).await?;
        Ok(Made { variants, width: None, height: None, duration_ms: None, keeper: Box::new(kept) })
    }
}

/// Images in files of their own.
pub(super) async fn laid(
    workshop: &ImageWorkshop,
    drawn: Vec<Drawn>,
) -> Result<(Vec<MadeVariant>, Vec<Spooled>), WorkshopError> {
    let (mut variants, mut kept) = (Vec::new(), Vec::<Spooled>::new());
    for Drawn { name, media_type, width, height, bytes } in drawn {
        let spooled =
            workshop.lay(&bytes).await.map_err(|error| WorkshopError::Unavailable(error.to_string()))?;
        let file = StoredFile {
            media_type,
            size_bytes: spooled.size_bytes,
            sha256: spooled.sha256.clone(),
            width: Some(width),
            height: Some(height),
            duration_ms: None,
        };
        let variant = Variant { name: name.to_string(), file };
        variants.push(MadeVariant { variant, path: spooled.path().to_path_buf() });
        kept.push(spooled);
    }
    Ok((variants, kept))
}

/// The longest side of a person's picture, in pixels.
const SQUARE_SIDE: u32 = 512;

impl ImageWorkshop {
    /// The middle of an image as a square, for a person's picture.
    ///
    /// # Errors
    /// In words for whoever sent it.
    pub async fn square(&self, kind: MediaType, path: &Path) -> Result<(Spooled, MediaType), BadFile> {
        let (limits, path) = (self.limits, path.to_path_buf());
        let drawn = self.inspector.run(move || {
            container::check(kind, &path)?;
            let Decoded { image, .. } = decode(kind, &path, limits)?;
            let side = image.width().min(image.height()).min(SQUARE_SIDE);
            encode("square", &image.resize_to_fill(side, side, FilterType::Triangle))
        });
        let Drawn { media_type, bytes, .. } = drawn.await?;
        let spooled = self.lay(&bytes).await;
        Ok((spooled.map_err(|error| BadFile::new(format!("can't be kept: {error}")))?, media_type))
    }

    async fn lay(&self, bytes: &[u8]) -> Result<Spooled, SpoolError> {
        let mut spooling = self.spool.begin(u64::MAX)?;
        spooling.write(bytes).await?;
        spooling.finish().await
    }
}

pub(super) struct Drawn {
    name: &'static str,
    media_type: MediaType,
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

/// A thumbnail always; another size only if it is smaller than what there is, or, of the one for platforms, if
/// the file tells what a camera noted.
fn draw(kind: MediaType, path: &Path, size_bytes: u64, limits: PixelLimits) -> Result<Vec<Drawn>, BadFile> {
    let Decoded { image, has_camera_notes } = decode(kind, path, limits)?;
    let longest = image.width().max(image.height());
    SIZES
        .into_iter()
        .enumerate()
        .filter(|(index, (name, side))| {
            let for_platforms = *name == LARGE && (size_bytes > LARGE_BYTES_MAX || has_camera_notes);
            *index == 0 || longest > *side || for_platforms
        })
        .map(|(_, (name, side))| encode(name, &fitted(&image, side)))
        .collect()
}

pub(super) fn fitted(image: &DynamicImage, side: u32) -> DynamicImage {
    if image.width().max(image.height()) <= side {
        return image.clone();
    }
    image.resize(side, side, FilterType::Triangle)
}

pub(super) fn encode(name: &'static str, image: &DynamicImage) -> Result<Drawn, BadFile> {
    let drawn = |media_type, image: &DynamicImage, bytes| Drawn {
        name,
        media_type,
        width: image.width(),
        height: image.height(),
        bytes,
    };
    if image.color().has_alpha() {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).map_err(not_encoded)?;
        if name != LARGE || bytes.len() as u64 <= LARGE_BYTES_MAX {
            return Ok(drawn(MediaType::Png, image, bytes));
        }
    }
    let mut image = on_white(image);
    if name != LARGE {
        let bytes = jpeg(&image, QUALITY)?;
        return Ok(drawn(MediaType::Jpeg, &image, bytes));
    }
    loop {
        for quality in QUALITIES {
            let bytes = jpeg(&image, quality)?;
            if bytes.len() as u64 <= LARGE_BYTES_MAX {
                return Ok(drawn(MediaType::Jpeg, &image, bytes));
            }
        }
        image = fitted(&image, image.width().max(image.height()) * 3 / 4);
    }
}

fn jpeg(image: &DynamicImage, quality: u8) -> Result<Vec<u8>, BadFile> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image).map_err(not_encoded)?;
    Ok(bytes)
}

/// JPEG has no transparency: what shines through is white, as on a page.
fn on_white(image: &DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return DynamicImage::ImageRgb8(image.to_rgb8());
    }
    let mut rgb = image::RgbImage::new(image.width(), image.height());
    for (to, from) in rgb.pixels_mut().zip(image.to_rgba8().pixels()) {
        let [r, g, b, alpha] = from.0.map(u32::from);
        let over = |channel: u32| ((channel * alpha + 255 * (255 - alpha)) / 255) as u8;
        to.0 = [over(r), over(g), over(b)];
    }
    DynamicImage::ImageRgb8(rgb)
}

fn not_encoded(error: image::ImageError) -> BadFile {
    BadFile::new(format!("could not be made smaller: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn made(
        image: &DynamicImage,
        format: ImageFormat,
        kind: MediaType,
    ) -> (Vec<Variant>, Vec<Vec<u8>>) {
        let folder = tempfile::tempdir().expect("a folder");
        let workshop = ImageWorkshop::new(
            Spool::open(folder.path().join("uploads")).expect("opens"),
            PixelLimits { pixels_max: 40_000_000 },
        );
        let bench = workshop.bench().expect("there is room");
        image.save_with_format(bench.path(), format).expect("encodes");
        let file = StoredFile {
            media_type: kind,
            size_bytes: std::fs::metadata(bench.path()).expect("is there").len(),
            sha256: String::new(),
            width: None,
            height: None,
            duration_ms: None,
        };
        let made = workshop.make(bench.path(), &file).await.expect("is made");
        let bytes = made.variants.iter().map(|made| std::fs::read(&made.path).expect("is there")).collect();
        (made.variants.into_iter().map(|made| made.variant).collect(), bytes)
    }

    /// Nothing of it can be left out by an encoder.
    fn noise(width: u32, height: u32) -> DynamicImage {
        let mut state = 1_u32;
        DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, |_, _| {
            image::Rgb([0; 3].map(|_: u8| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }))
        }))
    }

    #[tokio::test]
    async fn only_what_is_smaller_is_made_and_keeps_its_shape() {
        let (variants, _) = made(&noise(1500, 750), ImageFormat::Jpeg, MediaType::Jpeg).await;
        let sizes: Vec<_> =
            variants.iter().map(|made| (made.name.as_str(), made.file.width, made.file.height)).collect();
        assert_eq!(sizes[..2], [("thumbnail", Some(320), Some(160)), ("medium", Some(1024), Some(512))]);
        let (variants, _) = made(&noise(20, 10), ImageFormat::Png, MediaType::Png).await;
        assert_eq!(variants.len(), 1);
        assert_eq!((variants[0].file.width, variants[0].file.height), (Some(20), Some(10)));
    }

    #[tokio::test]
    async fn the_large_one_is_never_too_heavy_for_a_platform() {
        let (variants, bytes) = made(&noise(2600, 1300), ImageFormat::Png, MediaType::Png).await;
        let at = variants.iter().position(|made| made.name == LARGE).expect("is made");
        assert!(bytes[at].len() as u64 <= LARGE_BYTES_MAX, "{}", bytes[at].len());
        let image = image::load_from_memory(&bytes[at]).expect("is an image");
        assert_eq!(Some(image.width()), variants[at].file.width);
    }

    #[tokio::test]
    async fn what_shines_through_still_does() {
        let clear =
            DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(400, 400, image::Rgba([9, 9, 9, 0])));
        let (variants, bytes) = made(&clear, ImageFormat::Png, MediaType::Png).await;
        assert_eq!(variants[0].file.media_type, MediaType::Png);
        let thumbnail = image::load_from_memory(&bytes[0]).expect("is an image");
        assert_eq!(thumbnail.to_rgba8().get_pixel(0, 0).0[3], 0);
    }

    #[tokio::test]
    async fn what_a_camera_wrote_beside_the_pixels_does_not_go_to_platforms() {
        let mut plain = std::io::Cursor::new(Vec::new());
        noise(40, 30).write_to(&mut plain, ImageFormat::Jpeg).expect("encodes");
        let plain = plain.into_inner();
        // The smallest Exif there is: turned by a quarter.
        let notes = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let length = u16::try_from(notes.len() + 2).expect("is short").to_be_bytes();
        let noted = [&plain[..2], b"\xff\xe1", &length, notes, &plain[2..]].concat();
        for (bytes, names) in [(plain, vec!["thumbnail"]), (noted, vec!["thumbnail", LARGE])] {
            let folder = tempfile::tempdir().expect("a folder");
            let workshop = ImageWorkshop::new(
                Spool::open(folder.path().join("uploads")).expect("opens"),
                PixelLimits { pixels_max: 40_000_000 },
            );
            let bench = workshop.bench().expect("there is room");
            std::fs::write(bench.path(), &bytes).expect("writes");
            let file = StoredFile {
                media_type: MediaType::Jpeg,
                size_bytes: bytes.len() as u64,
                sha256: String::new(),
                width: None,
                height: None,
                duration_ms: None,
            };
            let made = workshop.make(bench.path(), &file).await.expect("is made");
            let made_names: Vec<_> = made.variants.iter().map(|made| made.variant.name.as_str()).collect();
            assert_eq!(made_names, names);
            for made in &made.variants {
                let bytes = std::fs::read(&made.path).expect("is there");
                assert!(!bytes.windows(4).any(|bytes| bytes == b"Exif"), "{}", made.variant.name);
            }
            if names.len() == 2 {
                let turned = &made.variants[1].variant.file;
                assert_eq!((turned.width, turned.height), (Some(30), Some(40)));
            }
        }
    }
}
