//! Makes posts of an import's rows, some at a time, and records what became of them.
//!
//! A worker may die anywhere: a row's post has an id and an idempotency key of its own, so the next one that
//! tries it finds what was written, and what was recorded is not tried again.

use std::time::Duration;

use annals_domain::{
    identity::Organization,
    kernel::ImportId,
    publishing::{
        Import, ImportCommand, ImportEvent, InvalidField,
        import::{FailedRow, ImportRow, ImportStatus, Problem, RowContent, RowOutcome, RowPlan, WrittenRow},
        post::{Draft, Due as PostDue, Plan},
        tags::TagName,
    },
};
use annals_eventstore::{Actor, ActorKind, AppendError, LoadError, Opening, Source, StreamId};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use tokio::time::Instant;

use super::{Due, KIND};
use crate::{
    bus::{CommandBus, CommandError, Context, IdempotencyKey},
    publishing::{
        checks::fields,
        posts::{Member, PostRequest, Posts, TagRef, Whose},
    },
    timers::{Fired, Timer, TimerHandler},
};

/// Rows whose outcomes are recorded in one event.
const ROWS_AT_ONCE: usize = 25;
/// Posts that are being written at the same time: they share commits.
const POSTS_AT_ONCE: usize = 8;
/// A call works so long and lets others come; what dies meanwhile is taken up after the lease.
const WORKED_FOR: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(20);

/// Works imports off.
#[derive(Clone)]
pub struct ImportTimer {
    bus: CommandBus,
    posts: Posts,
}

impl ImportTimer {
    pub fn new(posts: Posts) -> Self {
        Self { bus: posts.bus.clone(), posts }
    }

    /// Works until it is done, or long enough. True if there is more.
    async fn work(&self, due: &Due, timer: &Timer) -> Result<bool, CommandError> {
        let began = Instant::now();
        let id = due.import;
        loop {
            let import = self.bus.load::<Import>(id).await?.state;
            if import.status() != ImportStatus::Running {
                return Ok(false);
            }
            let Some(sequence) = import.next_chunk() else { return Ok(false) };
            let author = import.author();
            let organization = self.bus.load::<Organization>(import.organization()).await?.state;
            if organization.role_of(author).is_none() {
                let reason = Some("whoever began it is no member any more".to_string());
                let command = ImportCommand::Cancel { reason, now: self.bus.now() };
                self.bus.execute::<Import>(&self.context(due, timer), "CancelImport", id, command).await?;
                return Ok(false);
            }
            let member = Member { organization: import.organization(), user: author, posts: Whose::Own };
            let mut rows = self.chunk(id, sequence).await?;
            rows.retain(|row| row.number > import.done());
            for some in rows.chunks(ROWS_AT_ONCE) {
                self.work_rows(due, timer, member, some).await?;
                if self.bus.load::<Import>(id).await?.state.status() != ImportStatus::Running {
                    return Ok(false);
                }
                if began.elapsed() > WORKED_FOR {
                    return Ok(true);
                }
            }
        }
    }

    /// The rows of one event.
    async fn chunk(&self, id: ImportId, sequence: u64) -> Result<Vec<ImportRow>, CommandError> {
        let store = self.bus.store();
        let stored = store.read_stream(&StreamId::of::<Import>(id), sequence - 1, 1).await?;
        let mut rows = Vec::new();
        for event in store.open_events(&stored, Opening::Nothing).await? {
            let decoded = event.decode::<ImportEvent>().map_err(|source| {
                CommandError::Load(LoadError::Decode {
                    position: event.position,
                    event_type: event.event_type.clone(),
                    event_version: event.event_version.clone(),
                    source,
                })
            })?;
            if let ImportEvent::RowsReceived { rows: received } = decoded {
                rows.extend(received);
            }
        }
        Ok(rows)
    }

    async fn work_rows(
        &self,
        due: &Due,
        timer: &Timer,
        member: Member,
        rows: &[ImportRow],
    ) -> Result<(), CommandError> {
        let writing: Vec<BoxFuture<'_, _>> =
            rows.iter().map(|row| self.write(due, timer, member, row).boxed()).collect();
        let outcomes: Vec<RowOutcome> = stream::iter(writing).buffered(POSTS_AT_ONCE).try_collect().await?;
        let command = ImportCommand::Record { outcomes, now: self.bus.now() };
        let context = self.context(due, timer);
        self.bus.execute::<Import>(&context, "RecordImportRows", due.import, command).await?;
        Ok(())
    }

    /// A row's post, or why there is none. An error is one of the log, and the row is tried again.
    async fn write(
        &self,
        due: &Due,
        timer: &Timer,
        member: Member,
        row: &ImportRow,
    ) -> Result<RowOutcome, CommandError> {
        let failed = |problems: Vec<InvalidField>| {
            RowOutcome::Failed(FailedRow { row: row.number, problems: Problem::all(problems) })
        };
        let request = match request(&row.content) {
            Ok(request) => request,
            Err(problems) => return Ok(failed(problems)),
        };
        let id = Import::post_of(due.import, row.number);
        let written = RowOutcome::Written(WrittenRow { row: row.number, post_id: id });
        let mut context = self.context(due, timer);
        context.idempotency = Some(IdempotencyKey {
            scope: format!("process:{KIND}"),
            key: format!("{}:{}", due.import, row.number),
            request: Vec::new(),
        });
        match self.posts.create_as(&context, member, id, request).await {
            Ok(_) => Ok(written),
            Err(CommandError::Refused(refusal)) if refusal.code() == "POST_EXISTS" => Ok(written),
            Err(CommandError::Refused(refusal)) => Ok(failed(fields(&*refusal))),
            Err(CommandError::Append(error @ AppendError::TooLarge { .. })) => {
                Ok(failed(vec![InvalidField::new("row", error)]))
            }
            Err(error) => Err(error),
        }
    }

    fn context(&self, due: &Due, timer: &Timer) -> Context {
        let actor = Actor { kind: ActorKind::Process, id: Some(KIND.to_string()) };
        Context {
            correlation_id: due.correlation,
            causation_id: Some(timer.caused_by),
            ..Context::new(actor, timer.organization_id, Source::Worker)
        }
    }
}

/// What a row asks for.
///
/// # Errors
/// With what is wrong with it.
pub fn request(content: &RowContent) -> Result<PostRequest, Vec<InvalidField>> {
    let (composition, tags, plan) = match content {
        RowContent::Post { composition, tags, plan } => (composition, tags, plan),
        RowContent::Unusable { problems } => {
            let problem = |problem: &Problem| InvalidField::new(&problem.field, &problem.message);
            return Err(problems.iter().map(problem).collect());
        }
    };
    let mut problems = Vec::new();
    let tags = tags.iter().enumerate().filter_map(|(index, text)| {
        let parsed = match text.parse() {
            Ok(id) => Ok(TagRef::Id(id)),
            Err(_) => TagName::parse(text).map(TagRef::Name),
        };
        parsed.map_err(|why| problems.push(InvalidField::new(format!("tags[{index}]"), why))).ok()
    });
    let tags: Vec<TagRef> = tags.collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let plan = match plan {
        RowPlan::Draft { schedule } => Plan::Draft(schedule.clone()),
        RowPlan::Schedule { schedule } => Plan::Publish(PostDue::At(schedule.clone())),
    };
    Ok(PostRequest { draft: Draft::from(composition), tags, plan })
}

#[async_trait]
impl TimerHandler for ImportTimer {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn lease(&self) -> Duration {
        LEASE
    }

    async fn fire(&self, timer: &Timer) -> Fired {
        let due: Due = match serde_json::from_value(timer.payload.clone()) {
            Ok(due) => due,
            Err(error) => return Fired::Park { reason: format!("the timer can't be read: {error}") },
        };
        match self.work(&due, timer).await {
            Ok(false) => Fired::Done,
            Ok(true) => Fired::Later { due_at: self.bus.now() },
            Err(error) => Fired::NotActed { reason: error.to_string(), not_before: None },
        }
    }
}
