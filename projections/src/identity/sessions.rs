//! Where a user is signed in.

use annals_domain::identity::{SessionEvent, UserEvent};
use annals_eventstore::{Filter, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{SESSION, USER_DELETED, events};
use crate::{
    Projection, ProjectionError, ReadError, Reader,
    runtime::{CopyRow, Rows, TableRow, decode, give_way, metadata, stream_id},
};

#[derive(Clone, Copy, Debug, Default)]
pub struct Sessions;

#[async_trait]
impl Projection for Sessions {
    const NAME: &'static str = "sessions";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["sessions"];
    // The client's address and program are personal: null once the person is forgotten.
    const CREATE: &'static str = "
        create table sessions (
            id uuid primary key,
            user_id uuid not null,
            organization_id uuid not null,
            ip text,
            user_agent text,
            opened_at timestamptz not null,
            last_used_at timestamptz not null,
            expires_at timestamptz not null,
            revoked_at timestamptz
        )";
    const INDEXES: &'static str = "create index on sessions (user_id) where revoked_at is null";

    fn filter(&self) -> Filter {
        let of_users = ["identity.user.password_changed", "identity.user.sessions_revoked", USER_DELETED];
        events(SessionEvent::TYPES.iter().copied().chain(of_users))
    }

    fn purges(&self, event: &UnparsedEvent) -> bool {
        event.event_type == USER_DELETED
    }

    fn decode_ahead(&self, event: &UnparsedEvent) {
        if is_of_session(event) {
            event.decode_ahead::<SessionEvent>();
        }
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        // What happens to a user changes rows that are not in the batch: it divides it.
        for run in events.chunk_by(|one, next| is_of_session(one) == is_of_session(next)) {
            if run.first().is_some_and(is_of_session) {
                apply_sessions(run, tables).await?;
                continue;
            }
            for event in run {
                apply_user(event, tables).await?;
            }
        }
        Ok(())
    }
}

fn is_of_session(event: &UnparsedEvent) -> bool {
    event.stream.aggregate_type == SESSION
}

async fn apply_sessions(events: &[UnparsedEvent], tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let ids = events.iter().map(stream_id).collect::<Result<_, _>>()?;
    let mut sessions = Rows::<SessionRow>::load(ids, tables).await?;
    for (nth, event) in events.iter().enumerate() {
        apply_session(&mut sessions, event)?;
        give_way(nth).await;
    }
    Ok(sessions.store(tables).await?)
}

fn apply_session(sessions: &mut Rows<SessionRow>, event: &UnparsedEvent) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    let decoded: SessionEvent = decode(event)?;
    if let SessionEvent::Opened { user_id, organization_id, expires_at, .. } = decoded {
        let (ip, user_agent) = client(event)?;
        sessions.put(SessionRow {
            id,
            user_id: user_id.uuid(),
            organization_id: organization_id.uuid(),
            ip,
            user_agent,
            opened_at: event.recorded_at,
            last_used_at: event.recorded_at,
            expires_at,
            revoked_at: None,
        });
        return Ok(());
    }
    let Some(session) = sessions.get_mut(id) else { return Ok(()) };
    match decoded {
        SessionEvent::Opened { .. } => {}
        SessionEvent::Refreshed { expires_at, .. } => {
            session.expires_at = expires_at;
            session.last_used_at = event.recorded_at;
            (session.ip, session.user_agent) = client(event)?;
        }
        SessionEvent::OrganizationSwitched { organization_id } => {
            session.organization_id = organization_id.uuid();
        }
        SessionEvent::Revoked { .. } => session.revoked_at = Some(event.recorded_at),
    }
    Ok(())
}

/// From where, unless that is forgotten.
fn client(event: &UnparsedEvent) -> Result<(Option<String>, Option<String>), ProjectionError> {
    let client = metadata(event)?.client_info();
    Ok(client.map(|client| (client.ip, client.user_agent)).unwrap_or_default())
}

async fn apply_user(event: &UnparsedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let user = stream_id(event)?;
    match decode::<UserEvent>(event)? {
        UserEvent::PasswordChanged { kept_session, .. } | UserEvent::SessionsRevoked { kept_session, .. } => {
            sqlx::query(
                "update sessions set revoked_at = $3 \
                 where user_id = $1 and revoked_at is null and id is distinct from $2",
            )
            .bind(user)
            .bind(kept_session.map(|id| id.uuid()))
            .bind(event.recorded_at)
            .execute(tables)
            .await?;
        }
        UserEvent::Deleted => {
            sqlx::query("delete from sessions where user_id = $1").bind(user).execute(tables).await?;
        }
        _ => {}
    }
    Ok(())
}

/// A session's row.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct SessionRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub organization_id: Uuid,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub opened_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

impl TableRow for SessionRow {
    const TABLE: &'static str = "sessions";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "user_id",
        "organization_id",
        "ip",
        "user_agent",
        "opened_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    ];

    fn id(&self) -> Uuid {
        self.id
    }

    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(self.id)?;
        row.value(self.user_id)?;
        row.value(self.organization_id)?;
        row.value(self.ip.as_deref())?;
        row.value(self.user_agent.as_deref())?;
        row.value(self.opened_at)?;
        row.value(self.last_used_at)?;
        row.value(self.expires_at)?;
        row.value(self.revoked_at)
    }
}

/// How many sessions are listed at most, the last used first.
pub const LISTED_MAX: i64 = 100;

/// A user's sessions that are alive at `now`.
///
/// # Errors
/// If the database does not answer.
pub async fn alive(reader: &Reader, user: Uuid, now: DateTime<Utc>) -> Result<Vec<SessionRow>, ReadError> {
    let rows = sqlx::query_as(
        "select * from read.sessions_v1 where user_id = $1 and revoked_at is null and expires_at > $2 \
         order by last_used_at desc, id limit $3",
    )
    .bind(user)
    .bind(now)
    .bind(LISTED_MAX)
    .fetch_all(reader.pool())
    .await?;
    Ok(rows)
}
