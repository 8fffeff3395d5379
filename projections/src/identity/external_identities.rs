//! With which accounts at other providers a user signs in.

use annals_domain::identity::UserEvent;
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{EXTERNAL_IDENTITY_LINKED, EXTERNAL_IDENTITY_UNLINKED, USER_DELETED, events};
use crate::{
    Projection, ProjectionError, ReadError, Reader,
    runtime::{decode, give_way, stream_id},
};

#[derive(Clone, Copy, Debug, Default)]
pub struct ExternalIdentities;

#[async_trait]
impl Projection for ExternalIdentities {
    const NAME: &'static str = "external_identities";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["external_identities"];
    // What the provider calls the account is nobody's business here: the claim finds it.
    const CREATE: &'static str = "
        create table external_identities (
            id uuid primary key,
            user_id uuid not null,
            provider text not null,
            issuer text not null,
            email text,
            linked_at timestamptz not null
        )";
    const INDEXES: &'static str = "create index on external_identities (user_id)";

    fn filter(&self) -> Filter {
        events([EXTERNAL_IDENTITY_LINKED, EXTERNAL_IDENTITY_UNLINKED, USER_DELETED])
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::Nothing
    }

    fn purges(&self, event: &UnparsedEvent) -> bool {
        event.event_type == USER_DELETED
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        for (nth, event) in events.iter().enumerate() {
            apply(event, tables).await?;
            give_way(nth).await;
        }
        Ok(())
    }
}

/// These are few: a person links an account once in years.
async fn apply(event: &UnparsedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let user_id = stream_id(event)?;
    match decode::<UserEvent>(event)? {
        UserEvent::ExternalIdentityLinked { external_identity_id, provider, issuer, account } => {
            sqlx::query(
                "insert into external_identities (id, user_id, provider, issuer, email, linked_at) \
                 values ($1, $2, $3, $4, $5, $6)",
            )
            .bind(external_identity_id.uuid())
            .bind(user_id)
            .bind(provider.as_str())
            .bind(issuer.as_str())
            .bind(account.get().and_then(|account| account.email.as_ref()).map(|email| email.as_str()))
            .bind(event.recorded_at)
            .execute(tables)
            .await?;
        }
        UserEvent::ExternalIdentityUnlinked { external_identity_id } => {
            sqlx::query("delete from external_identities where id = $1")
                .bind(external_identity_id.uuid())
                .execute(tables)
                .await?;
        }
        UserEvent::Deleted => {
            sqlx::query("delete from external_identities where user_id = $1")
                .bind(user_id)
                .execute(tables)
                .await?;
        }
        _ => {}
    }
    Ok(())
}

/// A linked account's row.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct ExternalIdentityRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub provider: String,
    pub issuer: String,
    pub email: Option<String>,
    pub linked_at: DateTime<Utc>,
}

/// A user's linked accounts, the oldest first; there are never many.
///
/// # Errors
/// If the database does not answer.
pub async fn of_user(reader: &Reader, user: Uuid) -> Result<Vec<ExternalIdentityRow>, ReadError> {
    let rows = sqlx::query_as(
        "select * from read.external_identities_v1 where user_id = $1 order by linked_at, id limit 100",
    )
    .bind(user)
    .fetch_all(reader.pool())
    .await?;
    Ok(rows)
}
