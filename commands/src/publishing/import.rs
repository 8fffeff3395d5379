//! Many posts at once: a file's rows are taken into the log, and a worker makes a post of each.

mod work;

use annals_domain::{
    kernel::{ImportId, OrganizationId, UserId},
    publishing::{Import, ImportCommand, ImportError, import::ImportRow},
};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{
    PublishingRefusal,
    posts::{Member, Whose},
};
use crate::{
    bus::{CommandBus, CommandError, Context, Outcome, Work},
    process::{ProcessManager, ReactError, Start},
    timers::{self, NewTimer},
};

pub use work::{ImportTimer, request};

/// Of the timer that works an import off, and of the process manager that sets it.
const KIND: &str = "publishing.import";

/// Commands on imports.
#[derive(Clone)]
pub struct Imports {
    bus: CommandBus,
}

impl Imports {
    pub fn new(bus: CommandBus) -> Self {
        Self { bus }
    }

    /// The import of a file: the same for the same organization, content and key, so that a file that is sent
    /// again doubles nothing.
    pub fn id_of(organization: OrganizationId, key: &str, sha256: &str) -> ImportId {
        ImportId::new(Uuid::new_v5(&organization.uuid(), format!("import\n{key}\n{sha256}").as_bytes()))
    }

    /// Announces a file with so many rows. One that is there is left as it is.
    ///
    /// # Errors
    /// [`ImportError`], or the bus's own.
    pub async fn open(
        &self,
        context: &Context,
        member: Member,
        id: ImportId,
        rows: u32,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(context, "OpenImport", move |work| {
                Box::pin(async move {
                    let (organization, author, now) = (member.organization, member.user, work.now());
                    work.execute::<Import>(id, ImportCommand::Open { organization, author, rows, now }).await
                })
            })
            .await
    }

    /// Takes in the next rows; those that are there already are passed over.
    ///
    /// # Errors
    /// As [`Imports::open`].
    pub async fn receive(
        &self,
        context: &Context,
        organization: OrganizationId,
        id: ImportId,
        rows: Vec<ImportRow>,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(&once(context), "ReceiveImportRows", move |work| {
                let rows = rows.clone();
                Box::pin(async move {
                    import_of(work, organization, id).await?;
                    work.execute::<Import>(id, ImportCommand::Receive { rows }).await
                })
            })
            .await
    }

    /// All rows are there: from now on they are worked off.
    ///
    /// # Errors
    /// As [`Imports::open`].
    pub async fn start(
        &self,
        context: &Context,
        organization: OrganizationId,
        id: ImportId,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(&once(context), "StartImport", move |work| {
                Box::pin(async move {
                    import_of(work, organization, id).await?;
                    let now = work.now();
                    work.execute::<Import>(id, ImportCommand::Start { now }).await
                })
            })
            .await
    }

    /// Leaves the rows that were not worked off yet; the posts that were written stay.
    ///
    /// # Errors
    /// [`ImportError`], [`PublishingRefusal::NotYours`], or the bus's own.
    pub async fn cancel(
        &self,
        context: &Context,
        member: Member,
        id: ImportId,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(context, "CancelImport", move |work| {
                Box::pin(async move {
                    let author = import_of(work, member.organization, id).await?;
                    if author != member.user && member.posts == Whose::Own {
                        return Err(CommandError::refused(PublishingRefusal::NotYours));
                    }
                    let now = work.now();
                    work.execute::<Import>(id, ImportCommand::Cancel { reason: None, now }).await
                })
            })
            .await
    }
}

/// The import itself sees to it that its rows come in once; a request's key is for the first of its commands.
fn once(context: &Context) -> Context {
    Context { idempotency: None, expected_version: None, ..context.clone() }
}

/// The author of an import of this organization.
async fn import_of(
    work: &mut Work,
    organization: OrganizationId,
    id: ImportId,
) -> Result<UserId, CommandError> {
    let import = work.load::<Import>(id).await?;
    if !import.exists() || import.organization() != organization {
        return Err(CommandError::refused(ImportError::NotFound));
    }
    Ok(import.author())
}

/// What a timer of [`ImportTimer`] is for.
#[derive(Debug, Serialize, Deserialize)]
struct Due {
    import: ImportId,
    /// Of the command that started it, so that the posts can be followed back to it.
    correlation: Uuid,
}

/// Sets a timer for each import that was started, due at once, and removes it when the import is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportClerk;

#[async_trait]
impl ProcessManager for ImportClerk {
    const NAME: &'static str = KIND;

    // Timers are hints: an import that is over finds nothing to do.
    const START: Start = Start::Beginning;

    fn filter(&self) -> Filter {
        let event_types =
            ["publishing.import.started", "publishing.import.completed", "publishing.import.cancelled"];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let Ok(import) = event.stream.aggregate_id.parse::<ImportId>() else { return Ok(()) };
        if event.event_type == "publishing.import.started" {
            let due = Due { import, correlation: event.metadata.correlation_id };
            let timer = NewTimer {
                kind: KIND,
                key: import.to_string(),
                due_at: event.recorded_at,
                payload: serde_json::to_value(due)?,
                caused_by: event.event_id,
                organization_id: event.metadata.organization_id,
            };
            timers::schedule(tx, timer).await?;
        } else {
            timers::cancel(tx, KIND, &import.to_string()).await?;
        }
        Ok(())
    }
}
