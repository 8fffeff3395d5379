use chrono::{DateTime, Utc};
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

use super::*;
use crate::kernel::{Allowance, MediaId, Personal, Quota, TierName};

const ORGANIZATION: OrganizationId = OrganizationId::new(Uuid::from_u128(1));
const USER: UserId = UserId::new(Uuid::from_u128(2));
const POST: PostId = PostId::new(Uuid::from_u128(3));
const OTHER_POST: PostId = PostId::new(Uuid::from_u128(4));

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("is a time")
}

fn name() -> FileName {
    FileName::parse("cat.png").expect("is a name")
}

fn file() -> StoredFile {
    StoredFile {
        media_type: MediaType::Png,
        size_bytes: 1_000,
        sha256: "00".repeat(32),
        width: Some(40),
        height: Some(30),
        duration_ms: None,
    }
}

fn uploaded() -> MediaAssetEvent {
    MediaAssetEvent::Uploaded {
        organization_id: ORGANIZATION,
        uploaded_by: USER,
        name: Personal::new(USER, name()),
        file: file(),
        origin: MediaOrigin::Upload,
        at: now(),
    }
}

fn attached(post: PostId) -> MediaAssetEvent {
    MediaAssetEvent::Attached { post_id: post, at: now() }
}

fn store() -> MediaAssetCommand {
    MediaAssetCommand::Store(Box::new(NewMedia {
        organization: ORGANIZATION,
        uploaded_by: USER,
        name: name(),
        file: file(),
        origin: MediaOrigin::Upload,
        now: now(),
    }))
}

fn delete() -> MediaAssetCommand {
    MediaAssetCommand::Delete { by: Some(USER), now: now() }
}

fn given(events: Vec<MediaAssetEvent>) -> AggregateTestExecutor<MediaAsset> {
    TestFramework::<MediaAsset>::with(()).given(events)
}

#[test]
fn a_file_is_stored_once() {
    given(vec![]).when(store()).then_expect_events(vec![uploaded()]);
    given(vec![uploaded()]).when(store()).then_expect_error(MediaAssetError::AlreadyStored);
}

#[test]
fn a_file_that_an_unfinished_post_shows_is_not_deleted() {
    let detached = MediaAssetEvent::Detached { post_id: POST, at: now() };
    given(vec![uploaded(), attached(POST), attached(OTHER_POST)])
        .when(delete())
        .then_expect_error(MediaAssetError::InUse(vec![POST, OTHER_POST]));
    given(vec![uploaded(), attached(POST), detached])
        .when(delete())
        .then_expect_events(vec![MediaAssetEvent::Deleted { by: Some(USER), at: now() }]);
}

#[test]
fn a_post_is_attached_and_detached_once() {
    let attach = MediaAssetCommand::Attach { post: POST, now: now() };
    let detach = MediaAssetCommand::Detach { post: POST, now: now() };
    given(vec![uploaded()]).when(attach.clone()).then_expect_events(vec![attached(POST)]);
    given(vec![uploaded(), attached(POST)]).when(attach).then_expect_events(vec![]);
    given(vec![uploaded()]).when(detach).then_expect_events(vec![]);
}

#[test]
fn nothing_is_done_with_what_was_deleted() {
    let deleted = MediaAssetEvent::Deleted { by: None, at: now() };
    let attach = MediaAssetCommand::Attach { post: POST, now: now() };
    for command in [delete(), attach] {
        given(vec![uploaded(), deleted.clone()]).when(command).then_expect_error(MediaAssetError::NotFound);
    }
}

#[test]
fn processing_is_noted_once_and_a_failure_can_be_made_good() {
    let note = MediaAssetCommand::NoteProcessed {
        variants: vec![Variant { name: "thumbnail".to_string(), file: file() }],
        width: Some(1),
        height: None,
        duration_ms: Some(5),
        now: now(),
    };
    let done = MediaAssetEvent::Processed {
        variants: vec![Variant { name: "thumbnail".to_string(), file: file() }],
        width: Some(1),
        height: None,
        duration_ms: Some(5),
        at: now(),
    };
    let failed = MediaAssetEvent::ProcessingFailed { reason: "no ffmpeg".to_string(), at: now() };
    given(vec![uploaded(), failed]).when(note.clone()).then_expect_events(vec![done.clone()]);
    given(vec![uploaded(), done.clone()]).when(note).then_expect_events(vec![]);
    let mut asset = MediaAsset::default();
    asset.apply(uploaded());
    asset.apply(done);
    let known = asset.file().expect("is stored");
    // What the upload knew stays, what it did not know is added.
    assert_eq!((known.width, known.duration_ms), (Some(40), Some(5)));
}

#[test]
fn a_library_takes_no_more_than_its_limit() {
    let (first, second) = (MediaId::new(Uuid::from_u128(5)), MediaId::new(Uuid::from_u128(6)));
    let added = |media_id, size_bytes| MediaLibraryEvent::FileAdded { media_id, size_bytes };
    let of_tier = |limit| Allowance {
        quota: Quota::MediaBytes,
        tier: TierName::parse("free").expect("is a name"),
        limit,
        more_in: None,
    };
    let add = |size_bytes| MediaLibraryCommand::Add {
        media: second,
        size_bytes,
        bytes_max: Some(100),
        allowance: of_tier(None),
    };
    let library = |events: Vec<MediaLibraryEvent>| TestFramework::<MediaLibrary>::with(()).given(events);
    library(vec![added(first, 60)]).when(add(40)).then_expect_events(vec![added(second, 40)]);
    library(vec![added(first, 60)]).when(add(41)).then_expect_error(MediaLibraryError::Full {
        size_bytes: 41,
        bytes: 60,
        bytes_max: 100,
    });
    let removed = MediaLibraryEvent::FileRemoved { media_id: first, size_bytes: 60 };
    library(vec![added(first, 60), removed]).when(add(100)).then_expect_events(vec![added(second, 100)]);
    // The tier's limit holds beside the installation's, and says which tier it is.
    let bytes_max = Some(100);
    let allowance = of_tier(Some(80));
    let add = MediaLibraryCommand::Add { media: second, size_bytes: 21, bytes_max, allowance };
    library(vec![added(first, 60)]).when(add).then_expect_error_message(
        "the tier free has 80 bytes of media, and 60 are used; this takes 21; no tier has more",
    );
}

#[test]
fn a_files_name_is_its_last_part() {
    for (given, name, extension) in [
        ("cat.PNG", "cat.PNG", Some("png")),
        ("C:\\people\\ada\\cat.jpeg", "cat.jpeg", Some("jpeg")),
        ("../../etc/passwd", "passwd", None),
        (".png", ".png", None),
    ] {
        let parsed = FileName::parse(given).expect("is a name");
        assert_eq!((parsed.as_str(), parsed.extension().as_deref()), (name, extension), "{given}");
    }
    for wrong in ["", "folder/", "a\u{0}b", &"x".repeat(256)] {
        assert!(FileName::parse(wrong).is_err(), "{wrong:?}");
    }
}
