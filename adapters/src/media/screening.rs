//! What is made of a video: a poster with its thumbnail, and an MP4 where it is none that everything plays.

use std::path::Path;

use annals_commands::ports::media::{Made, MadeVariant, VIDEO, WorkshopError};
use annals_domain::publishing::media::{MediaType, StoredFile, Variant};

use super::{
    BadFile, ImageWorkshop, Spooled,
    film::{Ffmpeg, NotMade},
    inspect::Decoded,
    workshop::{encode, fitted, laid},
};

/// Of the poster's thumbnail, in pixels.
const THUMBNAIL_SIDE: u32 = 320;
/// How much shorter what was made may be than what it was made of.
const LENGTH_KEPT_MIN: f64 = 0.95;

impl From<NotMade> for WorkshopError {
    fn from(why: NotMade) -> Self {
        match why {
            NotMade::Busy => Self::Busy,
            NotMade::Bad(BadFile(why)) => Self::Refused(format!("the file {why}")),
            NotMade::Machine(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Everything that is made of a video.
pub(super) async fn made(
    workshop: &ImageWorkshop,
    ffmpeg: &Ffmpeg,
    path: &Path,
    file: &StoredFile,
) -> Result<Made, WorkshopError> {
    let _place = ffmpeg.place()?;
    let video = (file.media_type, path);
    let film = ffmpeg.probe(file.media_type, path).await?;
    let away = |error: std::io::Error| WorkshopError::Unavailable(error.to_string());

    let poster = workshop.spool().path().map_err(away)?;
    ffmpeg.poster(video, &film, &poster).await?;
    let limits = workshop.limits();
    let drawn = workshop.inspector().run(move || {
        let Decoded { image, .. } = super::inspect::decode(MediaType::Jpeg, &poster, limits)?;
        Ok(vec![encode("thumbnail", &fitted(&image, THUMBNAIL_SIDE))?, encode("poster", &image)?])
    });
    let drawn = drawn.await.map_err(|BadFile(why)| WorkshopError::Refused(format!("its poster {why}")))?;
    let (mut variants, mut kept) = laid(workshop, drawn).await?;

    let mp4 = workshop.spool().path().map_err(away)?;
    if ffmpeg.mp4(video, &film, &mp4).await?.is_some() {
        let made = ffmpeg.probe(MediaType::Mp4, &mp4).await?;
        if made.seconds >= film.seconds * LENGTH_KEPT_MIN {
            let spooled = spooled(workshop, &mp4).await?;
            let file = StoredFile {
                media_type: MediaType::Mp4,
                size_bytes: spooled.size_bytes,
                sha256: spooled.sha256.clone(),
                width: Some(made.width),
                height: Some(made.height),
                duration_ms: Some(milliseconds(made.seconds)),
            };
            let variant = Variant { name: VIDEO.to_string(), file };
            variants.push(MadeVariant { variant, path: spooled.path().to_path_buf() });
            kept.push(spooled);
        }
    }
    Ok(Made {
        variants,
        width: Some(film.width),
        height: Some(film.height),
        duration_ms: Some(milliseconds(film.seconds)),
        keeper: Box::new(kept),
    })
}

/// What a program wrote, counted and hashed.
async fn spooled(workshop: &ImageWorkshop, path: &Path) -> Result<Spooled, WorkshopError> {
    use tokio::io::AsyncReadExt as _;
    let away = |error: String| WorkshopError::Unavailable(error);
    let mut from = tokio::fs::File::open(path).await.map_err(|error| away(error.to_string()))?;
    let mut spooling = workshop.spool().begin(u64::MAX).map_err(|error| away(error.to_string()))?;
    let mut part = vec![0; 256 * 1024];
    loop {
        let read = from.read(&mut part).await.map_err(|error| away(error.to_string()))?;
        if read == 0 {
            return spooling.finish().await.map_err(|error| away(error.to_string()));
        }
        spooling.write(&part[..read]).await.map_err(|error| away(error.to_string()))?;
    }
}

fn milliseconds(seconds: f64) -> u64 {
    std::time::Duration::try_from_secs_f64(seconds)
        .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
