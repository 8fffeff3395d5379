//! A post's files on their way to a platform: waited for, read, and what becomes of a post that can't have them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::{collections::HashMap, ops::Range, path::Path, sync::Arc};

use annals_commands::{
    bus::CommandError,
    ports::{
        files::{FileBytes, FileEntry, Files, FilesError},
        social::IdempotencyKind,
    },
    publishing::media::key,
    timers::{Fired, TimerHandler},
};
use annals_domain::{
    kernel::{IntegrationId, MediaId, PostId},
    publishing::{
        MediaAsset, MediaAssetCommand,
        media::{FileName, MediaOrigin, MediaType, NewMedia, StoredFile, Variant},
        post::{DeliveryState, FailureClass, MediaDraft},
    },
};
use async_trait::async_trait;
use chrono::TimeDelta;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use platform::{Desk, timer};
use support::context;
use uuid::Uuid;

const BYTES: &[u8] = b"what a smaller one has";

/// A file store of a test: it has what it is given, and may be away.
#[derive(Default)]
struct Shelf {
    files: Mutex<HashMap<String, Vec<u8>>>,
    is_away: Mutex<bool>,
}

#[async_trait]
impl Files for Shelf {
    fn place(&self) -> &str {
        "a shelf"
    }

    async fn put(&self, _: &str, _: &Path) -> Result<(), FilesError> {
        Err(FilesError::Unavailable("nobody puts anything here".to_string()))
    }

    async fn open(&self, key: &str, _: Option<Range<u64>>) -> Result<FileBytes, FilesError> {
        if *self.is_away.lock() {
            return Err(FilesError::Unavailable("it is away".to_string()));
        }
        let bytes = self.files.lock().get(key).cloned();
        let bytes = bytes.ok_or_else(|| FilesError::NotFound(key.to_string()))?;
        // In pieces, as they come from a store.
        let pieces: Vec<_> = bytes.chunks(7).map(|piece| Ok(piece.to_vec().into())).collect();
        Ok(stream::iter(pieces).boxed())
    }

    async fn delete(&self, _: &str) -> Result<(), FilesError> {
        Ok(())
    }

    fn list(&self, _: &str) -> stream::BoxStream<'static, Result<FileEntry, FilesError>> {
        stream::empty().boxed()
    }
}

fn file(media_type: MediaType, size_bytes: usize) -> StoredFile {
    StoredFile {
        media_type,
        size_bytes: size_bytes as u64,
        sha256: Uuid::new_v4().simple().to_string(),
        width: Some(40),
        height: Some(30),
        duration_ms: None,
    }
}

/// An image of the organization that no smaller one is made of yet.
async fn uploaded(desk: &Desk) -> MediaId {
    let id = MediaId::new(Uuid::now_v7());
    let new = NewMedia {
        organization: desk.member.organization,
        uploaded_by: desk.member.user,
        name: FileName::parse("a.png").unwrap(),
        file: file(MediaType::Png, 5_000_000),
        origin: MediaOrigin::Upload,
        now: desk.bus.now(),
    };
    change(desk, id, MediaAssetCommand::Store(Box::new(new))).await;
    id
}

async fn change(desk: &Desk, id: MediaId, command: MediaAssetCommand) {
    desk.bus.execute::<MediaAsset>(&context(), "ChangeMedia", id, command).await.unwrap();
}

async fn processed(desk: &Desk, id: MediaId) {
    let large = Variant { name: "large".to_string(), file: file(MediaType::Jpeg, BYTES.len()) };
    let (variants, now) = (vec![large], desk.bus.now());
    let command =
        MediaAssetCommand::NoteProcessed { variants, width: None, height: None, duration_ms: None, now };
    change(desk, id, command).await;
}

/// A post with an image that is due.
async fn due(desk: &Desk, image: MediaId) -> (PostId, IntegrationId) {
    let channel = desk.connect().await;
    let mut request = desk.request("look", &[channel], 10);
    request.draft.media = vec![MediaDraft { asset_id: image, alt: Some("a cat".to_string()) }];
    let post = desk.posts.create(&context(), desk.member, request).await.unwrap().value.unwrap();
    desk.clock.advance(TimeDelta::minutes(10));
    (post, channel)
}

async fn fire(desk: &Desk, shelf: &Arc<Shelf>, (post, channel): (PostId, IntegrationId)) -> Fired {
    let files = Arc::clone(shelf) as Arc<dyn Files>;
    desk.worker().with_files(files).fire(&timer(post, channel, 1)).await
}

fn large_key(desk: &Desk, image: MediaId) -> String {
    key(desk.member.organization, image, "large", MediaType::Jpeg)
}

#[tokio::test]
async fn a_part_waits_for_its_smaller_image_and_goes_out_with_it() {
    let (desk, shelf) = (Desk::new(IdempotencyKind::None).await, Arc::new(Shelf::default()));
    let image = uploaded(&desk).await;
    let due = due(&desk, image).await;
    assert!(matches!(fire(&desk, &shelf, due).await, Fired::Later { .. }));
    assert_eq!(*desk.platform.calls.lock(), 0, "nothing is attempted before");
    assert!(!desk.events(due.0).await.contains(&"publish_attempted".to_string()));

    processed(&desk, image).await;
    shelf.files.lock().insert(large_key(&desk, image), BYTES.to_vec());
    assert!(matches!(fire(&desk, &shelf, due).await, Fired::Done));
    assert!(matches!(desk.state(due.0, due.1).await, DeliveryState::Published { .. }));
    assert_eq!(*desk.platform.shown.lock(), [("a cat".to_string(), BYTES.to_vec())]);
}

#[tokio::test]
async fn a_part_whose_image_is_never_made_smaller_fails_with_what_to_do() {
    let (desk, shelf) = (Desk::new(IdempotencyKind::None).await, Arc::new(Shelf::default()));
    let image = uploaded(&desk).await;
    let due = due(&desk, image).await;
    desk.clock.advance(TimeDelta::minutes(11));
    assert!(matches!(fire(&desk, &shelf, due).await, Fired::Done));
    let DeliveryState::Failed { failure, .. } = desk.state(due.0, due.1).await else {
        panic!("it did not fail");
    };
    assert_eq!(failure.class, FailureClass::NotActed);
    assert!(failure.what_to_do.contains("retry the post"), "{failure:?}");
    assert_eq!(*desk.platform.calls.lock(), 0);
}

#[tokio::test]
async fn a_file_that_could_not_be_made_smaller_and_is_too_large_is_no_post() {
    let (desk, shelf) = (Desk::new(IdempotencyKind::None).await, Arc::new(Shelf::default()));
    let image = uploaded(&desk).await;
    let due = due(&desk, image).await;
    let (reason, now) = ("it can't be decoded".to_string(), desk.bus.now());
    change(&desk, image, MediaAssetCommand::NoteProcessingFailed { reason, now }).await;
    fire(&desk, &shelf, due).await;
    let DeliveryState::Failed { failure, .. } = desk.state(due.0, due.1).await else {
        panic!("it did not fail");
    };
    assert_eq!(failure.reason, "file 1 has 5000000 bytes, Stage takes 1000000");
    // And the next one is refused at once, by its field.
    let mut request = desk.request("again", &[due.1], 10);
    request.draft.media = vec![MediaDraft { asset_id: image, alt: None }];
    let refused = desk.posts.create(&context(), desk.member, request).await.unwrap_err();
    let CommandError::Refused(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.fields()[0].0, "media[0].id");
}

#[tokio::test]
async fn a_store_that_is_away_puts_a_post_off_and_a_file_that_is_gone_fails_it() {
    let (desk, shelf) = (Desk::new(IdempotencyKind::None).await, Arc::new(Shelf::default()));
    let image = uploaded(&desk).await;
    processed(&desk, image).await;
    let due = due(&desk, image).await;
    *shelf.is_away.lock() = true;
    assert!(matches!(fire(&desk, &shelf, due).await, Fired::NotActed { .. }));
    *shelf.is_away.lock() = false;
    assert!(matches!(fire(&desk, &shelf, due).await, Fired::Done));
    let DeliveryState::Failed { failure, .. } = desk.state(due.0, due.1).await else {
        panic!("it did not fail");
    };
    assert_eq!((failure.class, desk.platform.count()), (FailureClass::BadContent, 0));
    assert!(failure.reason.contains("upload it again"), "{failure:?}");
}
