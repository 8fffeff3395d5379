use annals_domain::{
    kernel::{OrganizationId, UserId},
    publishing::{
        MediaAssetEvent,
        media::{FileName, MediaOrigin, Variant},
    },
};
use chrono::DateTime;
use cqrs_es::Aggregate;
use uuid::Uuid;

use super::*;

const PLATFORM: &str = "Stage";

fn file(media_type: MediaType, size_bytes: u64, width: u32) -> StoredFile {
    StoredFile {
        media_type,
        size_bytes,
        sha256: String::new(),
        width: Some(width),
        height: Some(width / 2),
        duration_ms: None,
    }
}

fn uploaded(file: StoredFile) -> MediaAsset {
    let mut asset = MediaAsset::default();
    let user = UserId::new(Uuid::nil());
    asset.apply(MediaAssetEvent::Uploaded {
        organization_id: OrganizationId::new(Uuid::nil()),
        uploaded_by: user,
        name: annals_domain::kernel::Personal::new(user, FileName::parse("a.png").expect("is a name")),
        file,
        origin: MediaOrigin::Upload,
        at: DateTime::UNIX_EPOCH,
    });
    asset
}

fn processed(original: StoredFile, variants: &[(&str, StoredFile)]) -> MediaAsset {
    let mut asset = uploaded(original);
    let variant =
        |(name, file): &(&str, StoredFile)| Variant { name: (*name).to_string(), file: file.clone() };
    asset.apply(MediaAssetEvent::Processed {
        variants: variants.iter().map(variant).collect(),
        width: None,
        height: None,
        duration_ms: None,
        at: DateTime::UNIX_EPOCH,
    });
    asset
}

fn failed(original: StoredFile) -> MediaAsset {
    let mut asset = uploaded(original);
    asset.apply(MediaAssetEvent::ProcessingFailed { reason: "why".to_string(), at: DateTime::UNIX_EPOCH });
    asset
}

/// Images of a million bytes, and videos that stand alone.
fn stage() -> PlatformMedia {
    let video = KindLimits {
        kind: MediaKind::Video,
        media_types: vec![MediaType::Mp4],
        bytes_max: Some(5_000_000),
        alone: true,
    };
    PlatformMedia { files_max: 2, alt_chars_max: 5, kinds: vec![KindLimits::images(1_000_000), video] }
}

fn chosen(asset: &MediaAsset) -> Result<String, String> {
    match stage().choose(PLATFORM, asset) {
        Choice::Variant { name, .. } => Ok(name.to_string()),
        Choice::Later => Err("later".to_string()),
        Choice::Refused(why) => Err(why),
    }
}

#[test]
fn an_image_goes_as_what_was_encoded_anew_and_else_as_it_is() {
    let large = file(MediaType::Jpeg, 900_000, 2048);
    let heavy = processed(file(MediaType::Jpeg, 9_000_000, 6000), &[("large", large.clone())]);
    assert_eq!(chosen(&heavy).as_deref(), Ok("large"));
    // The camera's notes stay behind, also where the file would fit.
    let light = processed(file(MediaType::Jpeg, 300_000, 1500), &[("large", large)]);
    assert_eq!(chosen(&light).as_deref(), Ok("large"));
    let thumbnail = file(MediaType::Jpeg, 9_000, 320);
    let small = processed(file(MediaType::Png, 300_000, 1500), &[("thumbnail", thumbnail)]);
    assert_eq!(chosen(&small).as_deref(), Ok(ORIGINAL));
}

#[test]
fn what_moves_goes_as_it_is_where_it_fits() {
    let large = file(MediaType::Jpeg, 900_000, 2048);
    let light = processed(file(MediaType::Gif, 800_000, 3000), &[("large", large.clone())]);
    assert_eq!(chosen(&light).as_deref(), Ok(ORIGINAL));
    let heavy = processed(file(MediaType::Gif, 8_000_000, 3000), &[("large", large)]);
    assert_eq!(chosen(&heavy).as_deref(), Ok("large"));
}

#[test]
fn a_video_goes_as_what_everything_plays_and_never_as_its_poster() {
    let video = file(MediaType::Mp4, 900_000, 1920);
    let poster = file(MediaType::Jpeg, 90_000, 1024);
    let film =
        processed(file(MediaType::Mov, 900_000, 1920), &[("poster", poster.clone()), ("video", video)]);
    assert_eq!(chosen(&film).as_deref(), Ok("video"));
    let heavy = processed(file(MediaType::Mp4, 9_000_000, 1920), &[("poster", poster)]);
    assert_eq!(chosen(&heavy).unwrap_err(), "has 9000000 bytes, Stage takes 5000000");
}

#[test]
fn an_image_waits_for_its_smaller_ones_and_goes_as_it_is_when_there_will_be_none() {
    let image = || file(MediaType::Png, 900_000, 3000);
    assert_eq!(chosen(&uploaded(image())).unwrap_err(), "later");
    assert_eq!(chosen(&failed(image())).as_deref(), Ok(ORIGINAL));
    let heavy = failed(file(MediaType::Png, 2_000_000, 3000));
    assert_eq!(chosen(&heavy).unwrap_err(), "has 2000000 bytes, Stage takes 1000000");
    // Who takes everything need not wait.
    let all = PlatformMedia { kinds: vec![KindLimits::of(MediaKind::Image, None)], ..stage() };
    assert!(matches!(all.choose(PLATFORM, &uploaded(image())), Choice::Variant { name: ORIGINAL, .. }));
}

#[test]
fn what_a_platform_does_not_take_is_refused_by_its_field() {
    let alt = |text: &str| AltText::parse(text).expect("is a text");
    let image = processed(file(MediaType::Png, 10, 10), &[]);
    let video = uploaded(file(MediaType::Mp4, 10, 10));
    let (mov, pdf) = (uploaded(file(MediaType::Mov, 10, 10)), uploaded(file(MediaType::Pdf, 10, 10)));
    let long = alt("longer");
    let found = |files: &[(&MediaAsset, Option<&AltText>)]| -> Vec<(String, String)> {
        let problems = stage().problems(PLATFORM, files);
        problems.into_iter().map(|problem| (problem.field, problem.message)).collect()
    };
    let field = |field: &str, message: &str| (field.to_string(), message.to_string());
    assert_eq!(found(&[(&image, None), (&image, Some(&alt("short")))]), []);
    assert_eq!(found(&[(&video, None)]), []);
    assert_eq!(found(&[(&image, None); 3]), [field("media", "has 3 files, Stage takes 2")]);
    assert_eq!(
        found(&[(&image, None), (&video, None)]),
        [field("media[1].id", "can't stand beside other files on Stage")]
    );
    assert_eq!(found(&[(&image, Some(&long))]), [field("media[0].alt", "has 6 characters, Stage takes 5")]);
    let not_taken = |kind: &str| format!("is of the type {kind}, which Stage does not take");
    assert_eq!(found(&[(&mov, None)]), [field("media[0].id", &not_taken("video/quicktime"))]);
    assert_eq!(found(&[(&pdf, None)]), [field("media[0].id", &not_taken("application/pdf"))]);
}
