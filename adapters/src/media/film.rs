//! What `ffmpeg` makes of videos, where it is installed: what they are, a poster, and an MP4 that every browser
//! and platform takes.
//!
//! A file comes from anyone. Each program is told which format to read (what the file's first bytes are), may open
//! files and pipes and nothing of the network, sees no playlist, and is bounded in time, memory and output. It
//! ends with what waits for it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use annals_domain::publishing::media::MediaType;
use serde::Deserialize;
use tokio::{process::Command, sync::Semaphore};

use super::BadFile;

/// Shorter than the lease of who waits for it.
const PROBED_WITHIN: Duration = Duration::from_secs(20);
const MADE_WITHIN: Duration = Duration::from_secs(480);
/// Of one program: its memory in KiB, and the processor's time in seconds, should nobody be left to end it.
const MEMORY_KIB_MAX: u64 = 2 * 1024 * 1024;
const CPU_SECONDS_MAX: u64 = 900;
/// Of what is made; more is no variant.
const OUTPUT_BYTES_MAX: u64 = 200 * 1024 * 1024;
/// A longer one keeps its own form.
const SECONDS_MAX: f64 = 30.0 * 60.0;
/// Of what a program says of a file.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The longest side of what is made, in pixels.
const SIDE_MAX: u32 = 1920;
const POSTER_SIDE: u32 = 1024;

/// The programs, found on this machine.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    /// Of a node, one video at a time.
    place: Arc<Semaphore>,
}

/// What is known of a video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Film {
    /// As it is shown.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) seconds: f64,
    /// Whether every browser plays it as it is.
    pub(super) is_plain: bool,
    /// Whether its pictures and sound can stay as they are in another container.
    is_h264: bool,
}

/// Why nothing was made.
#[derive(Debug)]
pub(super) enum NotMade {
    /// Another video is being made.
    Busy,
    Bad(BadFile),
    /// This machine is at fault.
    Machine(std::io::Error),
}

impl From<std::io::Error> for NotMade {
    fn from(error: std::io::Error) -> Self {
        Self::Machine(error)
    }
}

impl Ffmpeg {
    /// The programs by the name or path of `ffmpeg`, with `ffprobe` beside it; none where they do not run.
    pub fn find(ffmpeg: &str) -> Option<Self> {
        let ffmpeg = PathBuf::from(ffmpeg);
        let ffprobe = ffmpeg.with_file_name("ffprobe");
        let runs = |program: &Path| {
            let run = std::process::Command::new(program).arg("-version").stdin(Stdio::null()).output();
            run.is_ok_and(|output| output.status.success())
        };
        let found = !ffmpeg.as_os_str().is_empty() && runs(&ffmpeg) && runs(&ffprobe);
        found.then(|| Self { ffmpeg, ffprobe, place: Arc::new(Semaphore::new(1)) })
    }

    /// The place for one video, until it is dropped.
    pub(super) fn place(&self) -> Result<tokio::sync::OwnedSemaphorePermit, NotMade> {
        Arc::clone(&self.place).try_acquire_owned().map_err(|_| NotMade::Busy)
    }

    pub(super) async fn probe(&self, kind: MediaType, path: &Path) -> Result<Film, NotMade> {
        let show = ["-v", "error", "-print_format", "json", "-show_format", "-show_streams"];
        let mut command = self.bounded(&self.ffprobe);
        command.args(show).args(reading(kind)?).arg(input(path));
        let said = run(command, PROBED_WITHIN).await?;
        let said: Probed = serde_json::from_slice(&said)
            .map_err(|_| NotMade::Bad(BadFile::new("is no video that can be read")))?;
        said.film(kind).map_err(NotMade::Bad)
    }

    /// A picture of it, as JPEG.
    pub(super) async fn poster(
        &self,
        (kind, path): (MediaType, &Path),
        film: &Film,
        to: &Path,
    ) -> Result<(), NotMade> {
        // Past what fades in, if it is long enough.
        let at = format!("{:.3}", (film.seconds / 10.0).min(1.0));
        let mut command = self.making(kind, path, &["-ss", &at])?;
        command.args(["-an", "-sn", "-dn", "-frames:v", "1", "-vf", &fitted(POSTER_SIDE)]);
        command.args(["-c:v", "mjpeg", "-q:v", "4", "-f", "image2", "-update", "1"]).arg(output(to));
        run(command, MADE_WITHIN).await.map(|_| ())
    }

    /// An MP4 of H.264 and AAC, without what a camera noted; `None` where the file is one, or is too long.
    pub(super) async fn mp4(
        &self,
        (kind, path): (MediaType, &Path),
        film: &Film,
        to: &Path,
    ) -> Result<Option<()>, NotMade> {
        if film.is_plain || film.seconds > SECONDS_MAX {
            return Ok(None);
        }
        let bytes_max = OUTPUT_BYTES_MAX.to_string();
        let mut command = self.making(kind, path, &[])?;
        command.args(["-map", "0:v:0", "-map", "0:a:0?", "-sn", "-dn", "-map_metadata", "-1"]);
        if film.is_h264 {
            command.args(["-c", "copy"]);
        } else {
            command.args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p"]);
            command.args(["-vf", &fitted(SIDE_MAX), "-c:a", "aac", "-b:a", "128k", "-ac", "2"]);
        }
        command.args(["-movflags", "+faststart", "-fs", &bytes_max, "-f", "mp4"]).arg(output(to));
        run(command, MADE_WITHIN).await?;
        // What reached its bound was cut off.
        let size = tokio::fs::metadata(to).await?.len();
        Ok((size > 0 && size < OUTPUT_BYTES_MAX * 9 / 10).then_some(()))
    }

    fn making(&self, kind: MediaType, path: &Path, before: &[&str]) -> Result<Command, NotMade> {
        let mut command = self.bounded(&self.ffmpeg);
        command.args(["-nostdin", "-hide_banner", "-v", "error", "-y", "-threads", "1"]).args(before);
        command.args(reading(kind)?).arg("-i").arg(input(path));
        Ok(command)
    }

    /// The program under a shell's limits, which it takes over; it ends when nobody waits for it any more.
    fn bounded(&self, program: &Path) -> Command {
        let limits = format!("ulimit -v {MEMORY_KIB_MAX}; ulimit -t {CPU_SECONDS_MAX}; exec \"$@\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &limits, "sh"]).arg(program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// How a file is read: by what it is, and from nowhere else.
fn reading(kind: MediaType) -> Result<[&'static str; 4], NotMade> {
    let format = match kind {
        MediaType::Mp4 | MediaType::Mov => "mov",
        MediaType::Avi => "avi",
        _ => return Err(NotMade::Bad(BadFile::new("is no video"))),
    };
    Ok(["-protocol_whitelist", "file,pipe", "-f", format])
}

fn input(path: &Path) -> String {
    format!("file:{}", path.display())
}

fn output(path: &Path) -> String {
    input(path)
}

/// At most so many pixels on each side, and an even number of them, as H.264 wants.
fn fitted(side: u32) -> String {
    format!(
        "scale=w='min({side},iw)':h='min({side},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2"
    )
}

/// What a program says, if it ends well and in time.
async fn run(mut command: Command, within: Duration) -> Result<Vec<u8>, NotMade> {
    let ended = tokio::time::timeout(within, command.output()).await;
    let output = ended.map_err(|_| NotMade::Bad(BadFile::new("takes too long to be made anything of")))??;
    if !output.status.success() || output.stdout.len() > ANSWER_BYTES_MAX {
        return Err(NotMade::Bad(BadFile::new("is no video that can be read to its end")));
    }
    Ok(output.stdout)
}

#[derive(Deserialize)]
struct Probed {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    codec_type: Option<String>,
    codec_name: Option<String>,
    pix_fmt: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
    #[serde(default)]
    disposition: Disposition,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

impl Probed {
    fn film(&self, kind: MediaType) -> Result<Film, BadFile> {
        let of = |kind: &str| {
            let mut streams = self.streams.iter().filter(|stream| stream.disposition.attached_pic == 0);
            streams.find(|stream| stream.codec_type.as_deref() == Some(kind))
        };
        let pictures = of("video").ok_or_else(|| BadFile::new("has no pictures"))?;
        let seconds = self.format.as_ref().and_then(|format| format.duration.as_ref()?.parse::<f64>().ok());
        let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        let seconds = seconds.ok_or_else(|| BadFile::new("has no duration"))?;
        let (Some(width @ 1..), Some(height @ 1..)) = (pictures.width, pictures.height) else {
            return Err(BadFile::new("has no size"));
        };
        let turned = pictures.side_data_list.iter().filter_map(|data| data.rotation);
        let is_on_its_side = turned.map(|degrees| degrees.abs() % 180.0).any(|degrees| degrees == 90.0);
        let is_aac = of("audio").is_none_or(|sound| sound.codec_name.as_deref() == Some("aac"));
        let is_h264 = pictures.codec_name.as_deref() == Some("h264")
            && pictures.pix_fmt.as_deref() == Some("yuv420p")
            && is_aac;
        Ok(Film {
            width: if is_on_its_side { height } else { width },
            height: if is_on_its_side { width } else { height },
            seconds,
            is_plain: is_h264 && kind == MediaType::Mp4,
            is_h264,
        })
    }
}
