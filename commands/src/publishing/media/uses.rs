//! Which posts show which files: a file that a post still needs can't be deleted.
//!
//! What a post shows is attached in the append that says so, so no post is written with a file that is
//! being deleted. When the post is finished, its files are let go.

use annals_domain::{
    kernel::{MediaId, OrganizationId, PostId},
    publishing::{
        Invalid, InvalidField, MediaAsset, MediaAssetCommand, Post, PostStatus,
        post::{Composition, MediaReference, Part},
    },
};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use sqlx::{Postgres, Transaction};

use crate::{
    bus::{CommandBus, CommandError, Context, Work},
    process::{ProcessManager, ReactError, Start},
};

/// Attaches what a post shows now and did not `before`, and lets go what it shows no longer.
///
/// # Errors
/// [`Invalid`] with every file that is not the organization's, by the names of the HTTP body.
pub(in crate::publishing) async fn attach(
    work: &mut Work,
    organization: OrganizationId,
    post: PostId,
    before: &[MediaId],
    composition: &Composition,
) -> Result<(), CommandError> {
    let (after, now) = (composition.assets(), work.now());
    let mut problems = Vec::new();
    for id in after.iter().filter(|id| !before.contains(id)) {
        let asset = work.load::<MediaAsset>(*id).await?;
        if asset.exists() && asset.organization() == organization {
            work.execute::<MediaAsset>(*id, MediaAssetCommand::Attach { post, now }).await?;
        } else {
            let field = field_of(composition, *id);
            problems.push(InvalidField::new(field, "is no file of this organization's media library"));
        }
    }
    if !problems.is_empty() {
        return Err(CommandError::refused(Invalid(problems)));
    }
    for id in before.iter().filter(|id| !after.contains(id)) {
        detach(work, *id, post).await?;
    }
    Ok(())
}

async fn detach(work: &mut Work, id: MediaId, post: PostId) -> Result<(), CommandError> {
    if work.load::<MediaAsset>(id).await?.exists() {
        let now = work.now();
        work.execute::<MediaAsset>(id, MediaAssetCommand::Detach { post, now }).await?;
    }
    Ok(())
}

/// Where a post first names a file.
fn field_of(composition: &Composition, id: MediaId) -> String {
    let among = |prefix: &str, media: &[MediaReference]| {
        let index = media.iter().position(|media| media.asset_id == id)?;
        Some(format!("{prefix}media[{index}].id"))
    };
    let in_thread = |prefix: &str, thread: &[Part]| {
        let mut parts = thread.iter().enumerate();
        parts.find_map(|(index, part)| among(&format!("{prefix}thread[{index}]."), &part.media))
    };
    among("", composition.media())
        .or_else(|| in_thread("", composition.thread()))
        .or_else(|| {
            composition.targets().iter().enumerate().find_map(|(index, target)| {
                let prefix = format!("integrations[{index}].");
                among(&prefix, target.media.as_deref().unwrap_or_default())
                    .or_else(|| in_thread(&prefix, target.thread.as_deref().unwrap_or_default()))
            })
        })
        .unwrap_or_else(|| "media".to_string())
}

/// The process manager that lets files go when a post is finished. Keeps nothing.
#[derive(Clone)]
pub struct FinishedPosts {
    bus: CommandBus,
}

impl FinishedPosts {
    pub fn new(bus: CommandBus) -> Self {
        Self { bus }
    }
}

/// Whether nothing of it is to be published any more. One that failed can be tried again until it is deleted.
fn is_over(post: &Post) -> bool {
    !post.exists()
        || post.is_archived()
        || matches!(post.status(), PostStatus::Published | PostStatus::Cancelled)
}

#[async_trait]
impl ProcessManager for FinishedPosts {
    const NAME: &'static str = "publishing.finished_posts";

    // What is let go already is not let go again.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        let event_types = [
            "publishing.post.published",
            "publishing.post.cancelled",
            "publishing.post.deleted",
            "publishing.post.archived",
        ];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        _: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let Ok(id) = event.stream.aggregate_id.parse::<PostId>() else { return Ok(()) };
        if self.bus.load::<Post>(id).await?.state.composition().assets().is_empty() {
            return Ok(());
        }
        let context = Context::process(Self::NAME, event, "let_go");
        self.bus
            .transact(&context, "LetMediaGo", move |work| {
                Box::pin(async move {
                    let post = work.load::<Post>(id).await?;
                    if is_over(&post) {
                        for asset in post.composition().assets() {
                            detach(work, asset, id).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}
