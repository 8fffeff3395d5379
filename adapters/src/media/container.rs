//! Whether a file that is not decoded here is whole, by how its format says where it ends.

use std::{
    fs::File,
    io::{BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use annals_domain::publishing::media::MediaType;

use super::BadFile;

/// A file of a few boxes has no more than this; one that claims more is no video.
const BOXES_MAX: usize = 100_000;
/// The trailer of a PDF stands within this of its end.
const PDF_TAIL_BYTES: u64 = 2 * 1024;

/// Refuses what ends before its format says so.
pub(super) fn check(kind: MediaType, path: &Path) -> Result<(), BadFile> {
    let looked = match kind {
        MediaType::Mp4 | MediaType::Mov => boxes(path),
        MediaType::Avi | MediaType::Webp => riff(path),
        MediaType::Pdf => pdf(path),
        MediaType::Gif => gif(path),
        // Its decoder fills up what is missing with grey.
        MediaType::Jpeg => jpeg(path),
        // Decoded to the last row.
        MediaType::Png => Ok(true),
    };
    match looked {
        Ok(true) => Ok(()),
        Ok(false) => Err(BadFile::new("ends before it should: it did not come in whole")),
        Err(error) => Err(BadFile::new(format!("can't be read: {error}"))),
    }
}

/// ISO/IEC 14496-12, 4.2: a sequence of boxes, each with its size before it; the index (`moov`) is one.
fn boxes(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let (mut at, mut has_index) = (0, false);
    for _ in 0..BOXES_MAX {
        if at == end {
            return Ok(has_index);
        }
        if end - at < 8 {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let [a, b, c, d, name @ ..] = header;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            // To the end of the file.
            0 => end - at,
            1 => {
                if end - at < 16 {
                    return Ok(false);
                }
                let mut large = [0; 8];
                file.read_exact(&mut large)?;
                u64::from_be_bytes(large)
            }
            size => u64::from(size),
        };
        has_index |= &name == b"moov";
        if size < 8 || size > end - at {
            return Ok(false);
        }
        at += size;
    }
    Ok(false)
}

/// ITU-T T.81, B.1: segments with their size, and coded pixels, up to the end-of-image marker. What stands
/// behind that (a phone's film of the moment) is no part of the image.
fn jpeg(path: &Path) -> std::io::Result<bool> {
    let mut file = BufReader::new(File::open(path)?);
    let mut byte = || {
        let mut one = [0];
        Ok::<_, std::io::Error>((file.read(&mut one)? == 1).then_some(one[0]))
    };
    let mut before = 0;
    while let Some(here) = byte()? {
        let marker = (before == 0xff).then_some(here);
        before = here;
        match marker {
            Some(0xd9) => return Ok(true),
            // Coded pixels that look like a marker, restarts, the image's start, filling.
            None | Some(0x00 | 0x01 | 0xd0..=0xd8 | 0xff) => {}
            Some(_) => {
                let (Some(high), Some(low)) = (byte()?, byte()?) else { return Ok(false) };
                for _ in 2..u16::from_be_bytes([high, low]) {
                    if byte()?.is_none() {
                        return Ok(false);
                    }
                }
                before = 0;
            }
        }
    }
    Ok(false)
}

/// The size of what follows stands behind the first four bytes.
fn riff(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut header = [0; 8];
    file.read_exact(&mut header)?;
    let [.., a, b, c, d] = header;
    Ok(u64::from(u32::from_le_bytes([a, b, c, d])) + 8 <= end)
}

/// ISO 32000-1, 7.5.5: the last line is `%%EOF`; readers look for it in the last bytes.
fn pdf(path: &Path) -> std::io::Result<bool> {
    Ok(tail(path, PDF_TAIL_BYTES)?.windows(5).any(|bytes| bytes == b"%%EOF"))
}

/// The trailer is a semicolon; some programs pad with zeros behind it.
fn gif(path: &Path) -> std::io::Result<bool> {
    Ok(tail(path, PDF_TAIL_BYTES)?.iter().rev().find(|byte| **byte != 0) == Some(&b';'))
}

fn tail(path: &Path, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(end.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &[u8], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).expect("is small");
        [&size.to_be_bytes(), name, content].concat()
    }

    fn checked(kind: MediaType, bytes: &[u8]) -> bool {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("writes");
        check(kind, file.path()).is_ok()
    }

    #[test]
    fn what_was_cut_off_is_told_whatever_its_format() {
        let mp4 = [boxed(b"ftyp", b"isom"), boxed(b"moov", &[1; 40]), boxed(b"mdat", &[7; 100])].concat();
        let pdf = b"%PDF-1.7\n1 0 obj\nendobj\ntrailer\n%%EOF\n".to_vec();
        let avi = [&b"RIFF"[..], &20_u32.to_le_bytes(), &[0; 20]].concat();
        let gif = b"GIF89a\x01\0\x01\0\0\0\0;\0\0".to_vec();
        for (kind, whole, cut) in [
            (MediaType::Mp4, mp4, 1),
            (MediaType::Pdf, pdf, 5),
            (MediaType::Avi, avi, 1),
            (MediaType::Gif, gif, 3),
        ] {
            assert!(checked(kind, &whole), "{kind:?}");
            assert!(!checked(kind, &whole[..whole.len() - cut]), "{kind:?}");
        }
    }

    #[test]
    fn a_video_without_an_index_or_with_a_box_of_no_size_is_none() {
        assert!(!checked(MediaType::Mp4, &boxed(b"ftyp", b"isom")));
        assert!(!checked(MediaType::Mp4, &[boxed(b"moov", b""), vec![0, 0, 0, 2, 1, 1, 1, 1]].concat()));
        // A box to the end of the file is fine.
        assert!(checked(MediaType::Mp4, &[boxed(b"moov", b""), vec![0, 0, 0, 0, 1, 1, 1, 1, 9]].concat()));
    }
}
