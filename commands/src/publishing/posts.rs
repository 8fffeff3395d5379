//! Writing, scheduling and deleting posts; tags.

use std::sync::Arc;

use annals_domain::{
    kernel::{OrganizationId, PostId, TagId, UserId},
    publishing::{
        Invalid, InvalidField, Post, PostCommand, PostError, PostStatus, TagBook, TagBookCommand,
        post::{Composition, Draft, PartDraft, Plan, TAGS_MAX},
        tags::{Color, Tag, TagName},
    },
};
use serde_json::json;
use uuid::Uuid;

use super::{
    PublishingRefusal, attachments::check_media, channels::channel_of, checks::written, media::attach,
    months::planning, reach::usable,
};
use crate::{
    bus::{CommandBus, CommandError, Context, Outcome, Work},
    ports::social::{OutgoingPart, Platforms, SettingProblem, check_settings},
};

/// Who writes, and whether others' posts are theirs to change too.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub organization: OrganizationId,
    pub user: UserId,
    pub posts: Whose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Own,
    Everybodys,
}

/// A post as it was asked for.
#[derive(Clone, Debug)]
pub struct PostRequest {
    /// What it says and where it goes; its tags are those of `tags`.
    pub draft: Draft,
    pub tags: Vec<TagRef>,
    pub plan: Plan,
}

/// A tag of the organization; one that is named and not there yet is made.
#[derive(Clone, Debug)]
pub enum TagRef {
    Id(TagId),
    Name(TagName),
}

/// Commands on posts and tags.
#[derive(Clone)]
pub struct Posts {
    pub(super) bus: CommandBus,
    pub(super) platforms: Platforms,
}

impl Posts {
    pub fn new(bus: CommandBus, platforms: Platforms) -> Self {
        Self { bus, platforms }
    }

    /// # Errors
    /// [`Invalid`] with every field at fault, [`PostError`], or the bus's own.
    pub async fn create(
        &self,
        context: &Context,
        member: Member,
        request: PostRequest,
    ) -> Result<Outcome<PostId>, CommandError> {
        self.create_as(context, member, PostId::new(Uuid::now_v7()), request).await
    }

    /// The same under an id that follows from what it came of, so that it is written once.
    ///
    /// # Errors
    /// As [`Posts::create`].
    pub(super) async fn create_as(
        &self,
        context: &Context,
        member: Member,
        id: PostId,
        request: PostRequest,
    ) -> Result<Outcome<PostId>, CommandError> {
        let (request, platforms) = (Arc::new(request), self.platforms.clone());
        let mut outcome = self
            .bus
            .transact(context, "CreatePost", move |work| {
                let (request, platforms) = (Arc::clone(&request), platforms.clone());
                Box::pin(async move {
                    written(work, &platforms, member, id, &request).await?;
                    work.result(json!({ "id": id }));
                    Ok(id)
                })
            })
            .await?;
        if outcome.value.is_none() {
            outcome.value = serde_json::from_value(outcome.receipt.result["id"].clone()).ok();
        }
        Ok(outcome)
    }

    /// A draft or scheduled post, as it shall be now.
    ///
    /// # Errors
    /// As [`Posts::create`], and [`PublishingRefusal::NotYours`].
    pub async fn revise(
        &self,
        context: &Context,
        member: Member,
        id: PostId,
        request: PostRequest,
    ) -> Result<Outcome<()>, CommandError> {
        let (request, platforms) = (Arc::new(request), self.platforms.clone());
        self.bus
            .transact(context, "RevisePost", move |work| {
                let (request, platforms) = (Arc::clone(&request), platforms.clone());
                Box::pin(async move {
                    let before = own_post(work, member, id).await?.composition().assets();
                    let (composition, new_tags) = compose(work, &platforms, member, &request).await?;
                    let shown = composition.clone();
                    let plan = request.plan.clone();
                    let command = PostCommand::Revise { composition, plan, now: work.now() };
                    planning(work, id, command).await?;
                    attach(work, member.organization, id, &before, &shown).await?;
                    create_tags(work, member.organization, new_tags).await
                })
            })
            .await
    }

    /// One more part at the end of the thread of a draft or scheduled post.
    ///
    /// # Errors
    /// [`Invalid`] with every field at fault, [`PostError`], [`PublishingRefusal::NotYours`], or the bus's own.
    pub async fn reply(
        &self,
        context: &Context,
        member: Member,
        id: PostId,
        reply: PartDraft,
    ) -> Result<Outcome<()>, CommandError> {
        let reply = reply.parse().map_err(CommandError::refused)?;
        let platforms = self.platforms.clone();
        self.bus
            .transact(context, "ReplyToPost", move |work| {
                let (reply, platforms) = (reply.clone(), platforms.clone());
                Box::pin(async move {
                    let before = own_post(work, member, id).await?.composition().assets();
                    work.execute::<Post>(id, PostCommand::Reply { reply }).await?;
                    let post = work.load::<Post>(id).await?;
                    attach(work, member.organization, id, &before, post.composition()).await?;
                    if post.status() == PostStatus::Draft {
                        return Ok(());
                    }
                    check_channels(work, &platforms, member, post.composition(), Checks::ToPublish).await
                })
            })
            .await
    }

    /// Deletes a draft, cancels what is scheduled, takes the rest off the lists.
    ///
    /// # Errors
    /// [`PostError`], [`PublishingRefusal::NotYours`], or the bus's own.
    pub async fn delete(
        &self,
        context: &Context,
        member: Member,
        id: PostId,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(context, "DeletePost", move |work| {
                Box::pin(async move {
                    own_post(work, member, id).await?;
                    let now = work.now();
                    planning(work, id, PostCommand::Delete { now }).await
                })
            })
            .await
    }

    /// # Errors
    /// If the name is taken, there are too many, or the bus's own.
    pub async fn create_tag(
        &self,
        context: &Context,
        organization: OrganizationId,
        name: TagName,
        color: Color,
    ) -> Result<Outcome<TagId>, CommandError> {
        let id = TagId::new(Uuid::now_v7());
        let mut outcome = self
            .bus
            .transact(context, "CreateTag", move |work| {
                let tag = Tag { id, name: name.clone(), color: color.clone() };
                Box::pin(async move {
                    work.execute::<TagBook>(organization, TagBookCommand::Create(tag)).await?;
                    work.result(json!({ "id": id }));
                    Ok(id)
                })
            })
            .await?;
        if outcome.value.is_none() {
            outcome.value = serde_json::from_value(outcome.receipt.result["id"].clone()).ok();
        }
        Ok(outcome)
    }
}

/// A post that the member may change.
pub(super) async fn own_post(work: &mut Work, member: Member, id: PostId) -> Result<Arc<Post>, CommandError> {
    let post = work.load::<Post>(id).await?;
    if !post.exists() || post.organization() != member.organization {
        return Err(CommandError::refused(PostError::NotFound));
    }
    if post.author() != member.user && member.posts == Whose::Own {
        return Err(CommandError::refused(PublishingRefusal::NotYours));
    }
    Ok(post)
}

/// What the request says, checked: its texts, its tags, and its channels with their limits. The
/// tags that have to be made are returned, and made last: `If-Match` is for the post.
pub(super) async fn compose(
    work: &mut Work,
    platforms: &Platforms,
    member: Member,
    request: &PostRequest,
) -> Result<(Composition, Vec<Tag>), CommandError> {
    let (tags, new_tags) = resolve_tags(work, member.organization, &request.tags).await?;
    let draft = Draft { tags, ..request.draft.clone() };
    let composition = Composition::parse(&draft).map_err(CommandError::refused)?;
    let checks = match request.plan {
        Plan::Publish(_) => Checks::ToPublish,
        Plan::Draft(_) => Checks::ToKeep,
    };
    check_channels(work, platforms, member, &composition, checks).await?;
    Ok((composition, new_tags))
}

/// What a post has to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checks {
    ToKeep,
    ToPublish,
}

async fn check_channels(
    work: &mut Work,
    platforms: &Platforms,
    member: Member,
    composition: &Composition,
    checks: Checks,
) -> Result<(), CommandError> {
    let mut problems = Vec::new();
    for index in 0..composition.targets().len() {
        check_channel(work, platforms, member, checks, (composition, index), &mut problems).await?;
    }
    if problems.is_empty() { Ok(()) } else { Err(CommandError::refused(Invalid(problems))) }
}

/// Whether a channel is there and, for what is to be published, takes the text.
async fn check_channel(
    work: &mut Work,
    platforms: &Platforms,
    member: Member,
    checks: Checks,
    (composition, index): (&Composition, usize),
    problems: &mut Vec<InvalidField>,
) -> Result<(), CommandError> {
    let target = &composition.targets()[index];
    let field = format!("integrations[{index}].id");
    let channel = match channel_of(work, member.organization, target.channel).await {
        Ok(channel) => channel,
        Err(CommandError::Refused(_)) => {
            problems.push(InvalidField::new(field, "is no channel of this organization"));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let provider = platforms.get(channel.platform());
    if let Some(info) = provider.map(|provider| provider.info()) {
        let found = check_settings(info.name, &info.settings, target.settings.as_map());
        problems.extend(found.into_iter().map(|SettingProblem { field, message }| {
            InvalidField::new(format!("integrations[{index}].settings.{field}"), message)
        }));
    }
    if checks == Checks::ToKeep {
        return Ok(());
    }
    if let Err(failure) = usable(&channel) {
        problems.push(InvalidField::new(field, format!("{}: {}", failure.reason, failure.what_to_do)));
        return Ok(());
    }
    let Some(provider) = provider else {
        problems.push(InvalidField::new(field, "is on a platform that this installation no longer has"));
        return Ok(());
    };
    let parts = composition.parts_for(target.channel).unwrap_or_default();
    let limits = provider.limits_on(channel.limits());
    let platform = (provider.info(), limits.media.as_ref());
    problems.extend(check_media(work, platform, (index, target), &parts).await?);
    let parts: Vec<_> = parts.into_iter().map(|part| OutgoingPart::from(part.text.into_string())).collect();
    for problem in provider.check_on(channel.limits(), &parts) {
        let field = match problem.part {
            0 if target.content.is_some() => format!("integrations[{index}].content"),
            0 => "content".to_string(),
            part if target.thread.is_some() => format!("integrations[{index}].thread[{}]", part - 1),
            part => format!("thread[{}]", part - 1),
        };
        problems.push(InvalidField::new(field, problem.message));
    }
    Ok(())
}

async fn resolve_tags(
    work: &mut Work,
    organization: OrganizationId,
    tags: &[TagRef],
) -> Result<(Vec<TagId>, Vec<Tag>), CommandError> {
    if tags.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    if tags.len() > TAGS_MAX {
        let message = format!("must have at most {TAGS_MAX} entries");
        return Err(CommandError::refused(Invalid::field("tags", message)));
    }
    let book = work.load::<TagBook>(organization).await?;
    let (mut ids, mut new_tags) = (Vec::with_capacity(tags.len()), Vec::<Tag>::new());
    for (index, tag) in tags.iter().enumerate() {
        match tag {
            TagRef::Id(id) if book.get(*id).is_some() => ids.push(*id),
            TagRef::Id(_) => {
                let field = format!("tags[{index}]");
                return Err(CommandError::refused(Invalid::field(field, "is no tag of this organization")));
            }
            TagRef::Name(name) => {
                let known = book.named(name).or_else(|| new_tags.iter().find(|tag| tag.name.is_same(name)));
                let id = known.map(|tag| tag.id);
                ids.push(id.unwrap_or_else(|| {
                    let id = TagId::new(work.new_id());
                    new_tags.push(Tag { id, name: name.clone(), color: Color::default() });
                    id
                }));
            }
        }
    }
    Ok((ids, new_tags))
}

pub(super) async fn create_tags(
    work: &mut Work,
    organization: OrganizationId,
    tags: Vec<Tag>,
) -> Result<(), CommandError> {
    for tag in tags {
        work.execute::<TagBook>(organization, TagBookCommand::Create(tag)).await?;
    }
    Ok(())
}
