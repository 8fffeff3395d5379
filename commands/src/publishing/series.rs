//! Posts that recur: a series and its occurrences, written, changed, paused and ended as one.

use std::sync::Arc;

use annals_domain::{
    kernel::{PostId, SeriesId},
    publishing::{
        Invalid, Post, PostCommand, PostStatus, Series, SeriesCommand, SeriesError,
        post::{Composition, Due, Plan, Schedule},
        series::{Occurrence, Recurrence},
    },
};
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    Posts, PublishingRefusal,
    media::attach,
    months::planning,
    posts::{Member, PostRequest, Whose, compose, create_tags},
};
use crate::bus::{CommandError, Context, Outcome, Work};

/// A post as it shall be from now on, and when it recurs.
#[derive(Clone, Debug)]
pub struct SeriesRequest {
    /// Its plan is that of the first occurrence.
    pub post: PostRequest,
    /// RFC 5545: `FREQ=WEEKLY;BYDAY=MO`.
    pub rule: String,
}

impl SeriesRequest {
    /// Its rule, read.
    ///
    /// # Errors
    /// An invalid `recurrence`.
    pub fn recurrence(&self) -> Result<Recurrence, CommandError> {
        let invalid =
            |why: &dyn ToString| CommandError::refused(Invalid::field("recurrence", why.to_string()));
        let Plan::Publish(Due::At(start)) = &self.post.plan else {
            return Err(invalid(&"needs the type schedule, with the time of the first occurrence"));
        };
        Recurrence::parse(&self.rule, start.clone()).map_err(|why| invalid(&why))
    }
}

impl Posts {
    /// Starts a series. Its occurrences are posts, each with its own outcome; the first one's id is returned.
    ///
    /// # Errors
    /// As [`Posts::create`], and an invalid `recurrence`.
    pub async fn start_series(
        &self,
        context: &Context,
        member: Member,
        request: SeriesRequest,
    ) -> Result<Outcome<PostId>, CommandError> {
        let id = SeriesId::new(Uuid::now_v7());
        let recurrence = request.recurrence()?;
        let (request, platforms) = (Arc::new(request), self.platforms.clone());
        let mut outcome = self
            .bus
            .transact(context, "StartSeries", move |work| {
                let (request, platforms) = (Arc::clone(&request), platforms.clone());
                let recurrence = recurrence.clone();
                Box::pin(async move {
                    let (composition, new_tags) = compose(work, &platforms, member, &request.post).await?;
                    let first = Occurrence { series_id: id, number: 1 };
                    let posts = write(work, member, first, recurrence.occurrences(), &composition).await?;
                    let first = posts[0];
                    let (organization, author, now) = (member.organization, member.user, work.now());
                    let command = SeriesCommand::Start { organization, author, recurrence, posts, now };
                    work.execute::<Series>(id, command).await?;
                    create_tags(work, member.organization, new_tags).await?;
                    work.result(json!({ "id": first }));
                    Ok(first)
                })
            })
            .await?;
        if outcome.value.is_none() {
            outcome.value = serde_json::from_value(outcome.receipt.result["id"].clone()).ok();
        }
        Ok(outcome)
    }

    /// Replaces what is not due yet by occurrences of another text, time or rule.
    ///
    /// # Errors
    /// As [`Posts::start_series`], [`SeriesError`] and [`PublishingRefusal::NotYours`].
    pub async fn change_series(
        &self,
        context: &Context,
        member: Member,
        id: SeriesId,
        request: SeriesRequest,
    ) -> Result<Outcome<()>, CommandError> {
        let recurrence = request.recurrence()?;
        let (request, platforms) = (Arc::new(request), self.platforms.clone());
        self.bus
            .transact(context, "ChangeSeries", move |work| {
                let (request, platforms) = (Arc::clone(&request), platforms.clone());
                let recurrence = recurrence.clone();
                Box::pin(async move {
                    let series = own_series(work, member, id).await?;
                    let (composition, new_tags) = compose(work, &platforms, member, &request.post).await?;
                    let author = Member { user: series.author(), ..member };
                    let first = Occurrence { series_id: id, number: series.next_number() };
                    let now = work.now();
                    // First, so that the new ones find their places in the months.
                    for (post, _, _) in ahead(work, &series).await? {
                        planning(work, post, PostCommand::Delete { now }).await?;
                    }
                    let posts = write(work, author, first, recurrence.occurrences(), &composition).await?;
                    work.execute::<Series>(id, SeriesCommand::Change { recurrence, posts, now }).await?;
                    create_tags(work, member.organization, new_tags).await
                })
            })
            .await
    }

    /// Occurrences that are not due yet become drafts, until the series is resumed.
    ///
    /// # Errors
    /// [`SeriesError`], [`PublishingRefusal::NotYours`], or the bus's own.
    pub async fn pause_series(
        &self,
        context: &Context,
        member: Member,
        id: SeriesId,
    ) -> Result<Outcome<()>, CommandError> {
        self.turn(context, "PauseSeries", member, id, |now| SeriesCommand::Pause { now }, Turn::Draft).await
    }

    /// Occurrences that are still ahead are scheduled again; those that were missed stay drafts.
    ///
    /// # Errors
    /// As [`Posts::pause_series`].
    pub async fn resume_series(
        &self,
        context: &Context,
        member: Member,
        id: SeriesId,
    ) -> Result<Outcome<()>, CommandError> {
        self.turn(context, "ResumeSeries", member, id, |now| SeriesCommand::Resume { now }, Turn::Schedule)
            .await
    }

    /// Cancels the occurrences that are not due yet.
    ///
    /// # Errors
    /// As [`Posts::pause_series`].
    pub async fn end_series(
        &self,
        context: &Context,
        member: Member,
        id: SeriesId,
    ) -> Result<Outcome<()>, CommandError> {
        self.turn(context, "EndSeries", member, id, |now| SeriesCommand::End { now }, Turn::Cancel).await
    }

    async fn turn(
        &self,
        context: &Context,
        name: &'static str,
        member: Member,
        id: SeriesId,
        command: fn(DateTime<Utc>) -> SeriesCommand,
        turn: Turn,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(context, name, move |work| {
                Box::pin(async move {
                    let series = own_series(work, member, id).await?;
                    let now = work.now();
                    work.execute::<Series>(id, command(now)).await?;
                    for (id, post, schedule) in ahead(work, &series).await? {
                        if let Some(command) = turn.of(&post, schedule, now) {
                            planning(work, id, command).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// What becomes of the occurrences ahead.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Draft,
    Schedule,
    Cancel,
}

impl Turn {
    fn of(self, post: &Post, schedule: Schedule, now: DateTime<Utc>) -> Option<PostCommand> {
        let plan = match (self, post.status()) {
            (Turn::Draft, PostStatus::Scheduled) => Plan::Draft(Some(schedule)),
            (Turn::Schedule, PostStatus::Draft) => Plan::Publish(Due::At(schedule)),
            (Turn::Cancel, _) => return Some(PostCommand::Delete { now }),
            (Turn::Draft | Turn::Schedule, _) => return None,
        };
        Some(PostCommand::Revise { composition: post.composition().clone(), plan, now })
    }
}

/// A series that the member may change.
async fn own_series(work: &mut Work, member: Member, id: SeriesId) -> Result<Arc<Series>, CommandError> {
    let series = work.load::<Series>(id).await?;
    if series.organization() != member.organization {
        return Err(CommandError::refused(SeriesError::NotFound));
    }
    if series.author() != member.user && member.posts == Whose::Own {
        return Err(CommandError::refused(PublishingRefusal::NotYours));
    }
    Ok(series)
}

/// The posts of these occurrences, the first numbered as `first` says.
async fn write(
    work: &mut Work,
    member: Member,
    first: Occurrence,
    occurrences: Vec<Schedule>,
    composition: &Composition,
) -> Result<Vec<PostId>, CommandError> {
    let mut posts = Vec::with_capacity(occurrences.len());
    for (number, schedule) in (first.number..).zip(occurrences) {
        let id = PostId::new(Uuid::new_v5(&first.series_id.uuid(), &number.to_be_bytes()));
        let command = PostCommand::Create {
            organization: member.organization,
            author: member.user,
            composition: composition.clone(),
            plan: Plan::Publish(Due::At(schedule)),
            occurrence: Some(Occurrence { number, ..first }),
            now: work.now(),
        };
        planning(work, id, command).await?;
        attach(work, member.organization, id, &[], composition).await?;
        posts.push(id);
    }
    Ok(posts)
}

/// Occurrences that are not due yet and that nobody took out.
async fn ahead(work: &mut Work, series: &Series) -> Result<Vec<(PostId, Arc<Post>, Schedule)>, CommandError> {
    let (mut ahead, now) = (Vec::new(), work.now());
    for id in series.posts() {
        let post = work.load::<Post>(*id).await?;
        let is_open = post.exists() && matches!(post.status(), PostStatus::Draft | PostStatus::Scheduled);
        if let Some(schedule) = post.schedule().filter(|schedule| is_open && schedule.at > now).cloned() {
            ahead.push((*id, post, schedule));
        }
    }
    Ok(ahead)
}
