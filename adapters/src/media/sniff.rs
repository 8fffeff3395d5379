//! What a file is, by its first bytes; and whether it is called something else.

use annals_domain::publishing::media::MediaType;

/// The type that a file's first bytes are of, if the library takes it.
pub fn sniff(head: &[u8]) -> Option<MediaType> {
    let mime = infer::get(head)?.mime_type();
    match mime {
        // What Apple's and other programs write is MP4 by another brand.
        "video/x-m4v" => Some(MediaType::Mp4),
        mime => MediaType::ALL.into_iter().find(|kind| kind.as_str() == mime),
    }
}

/// Whether a declared media type or a file name's extension can mean this type. What says nothing (no type,
/// `application/octet-stream`, an extension that nobody knows) is no lie.
pub fn is_named_as(kind: MediaType, declared: Option<&str>, extension: Option<&str>) -> bool {
    let declared = declared.and_then(of_media_type).is_none_or(|said| same(said, kind));
    let named = extension.and_then(of_extension).is_none_or(|said| same(said, kind));
    declared && named
}

/// MP4 and QuickTime are one container, and often called by each other's names.
fn same(one: Named, other: MediaType) -> bool {
    use MediaType::{Mov, Mp4};
    match one {
        Named::Known(one) => one == other || matches!((one, other), (Mov, Mp4) | (Mp4, Mov)),
        Named::Other => false,
    }
}

/// What a name promises.
enum Named {
    Known(MediaType),
    /// Something that the library does not take.
    Other,
}

fn of_media_type(text: &str) -> Option<Named> {
    let plain = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match plain.as_str() {
        "" | "application/octet-stream" | "binary/octet-stream" | "application/x-www-form-urlencoded" => None,
        "image/jpg" | "image/pjpeg" => Some(Named::Known(MediaType::Jpeg)),
        "video/x-m4v" => Some(Named::Known(MediaType::Mp4)),
        "video/avi" | "video/msvideo" | "video/vnd.avi" => Some(Named::Known(MediaType::Avi)),
        plain => Some(
            MediaType::ALL.into_iter().find(|kind| kind.as_str() == plain).map_or(Named::Other, Named::Known),
        ),
    }
}

fn of_extension(extension: &str) -> Option<Named> {
    match extension {
        "jpeg" | "jpe" | "jfif" => Some(Named::Known(MediaType::Jpeg)),
        "m4v" => Some(Named::Known(MediaType::Mp4)),
        "qt" => Some(Named::Known(MediaType::Mov)),
        // What a browser or a person would do something else with.
        "html" | "htm" | "svg" | "js" | "exe" | "zip" | "txt" | "json" | "xml" | "sh" => Some(Named::Other),
        extension => MediaType::ALL.into_iter().find(|kind| kind.extension() == extension).map(Named::Known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_told_by_the_first_bytes() {
        let heads: [(&[u8], Option<MediaType>); 10] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Some(MediaType::Png)),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some(MediaType::Jpeg)),
            (b"GIF89a\x01\0\x01\0", Some(MediaType::Gif)),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some(MediaType::Webp)),
            (b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2", Some(MediaType::Mp4)),
            (b"\0\0\0\x14ftypqt  \0\0\x02\0qt  ", Some(MediaType::Mov)),
            (b"RIFF\x24\0\0\0AVI LIST", Some(MediaType::Avi)),
            (b"%PDF-1.7\n", Some(MediaType::Pdf)),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\">", None),
            (b"PK\x03\x04", None),
        ];
        for (head, kind) in heads {
            assert_eq!(sniff(head), kind, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn a_name_that_promises_something_else_is_a_lie() {
        let png = |declared, extension| is_named_as(MediaType::Png, declared, extension);
        assert!(png(Some("image/png"), Some("png")));
        assert!(png(None, None) && png(Some("application/octet-stream"), Some("backup")));
        assert!(!png(Some("image/jpeg"), None) && !png(None, Some("jpeg")));
        assert!(!png(Some("text/html"), Some("png")) && !png(None, Some("html")));
        assert!(is_named_as(MediaType::Jpeg, Some("image/jpg; charset=binary"), Some("jpeg")));
        assert!(is_named_as(MediaType::Mov, Some("video/mp4"), Some("mp4")));
    }
}
