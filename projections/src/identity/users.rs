//! A user as they see themselves, and as fellow members see them.

use annals_domain::{
    identity::{Profile, UserEvent, UserSettings},
    kernel::{EmailAddress, Personal},
};
use annals_eventstore::{Filter, RecordedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{USER_DELETED, events, signed};
use crate::{
    Projection, ProjectionError, ReadError, Reader,
    runtime::{decode, stream_id},
};

#[derive(Clone, Copy, Debug, Default)]
pub struct Users;

#[async_trait]
impl Projection for Users {
    const NAME: &'static str = "users";
    const VERSION: u32 = 1;
    const TABLES: &'static [&'static str] = &["users"];
    // Everything personal may be null: that is what it is once the person is forgotten.
    const CREATE: &'static str = "
        create table users (
            id uuid primary key,
            email text,
            email_verified boolean not null default false,
            pending_email text,
            pending_email_expires_at timestamptz,
            name text,
            company text,
            phone text,
            avatar_url text,
            timezone text,
            locale text,
            preferences jsonb,
            operator boolean not null default false,
            registered_at timestamptz not null,
            updated_at timestamptz not null,
            version bigint not null
        )";

    fn filter(&self) -> Filter {
        events(UserEvent::TYPES.iter().copied())
    }

    fn purges(&self, event: &RecordedEvent) -> bool {
        event.event_type == USER_DELETED
    }

    async fn apply(
        &self,
        events: &[RecordedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        for event in events {
            apply(event, tables).await?;
        }
        Ok(())
    }
}

async fn apply(event: &RecordedEvent, tables: &mut PgConnection) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    match decode::<UserEvent>(event)? {
        UserEvent::Registered { email, profile, settings, .. } => {
            sqlx::query("insert into users (id, registered_at, updated_at, version) values ($1, $2, $2, 1)")
                .bind(id)
                .bind(event.recorded_at)
                .execute(&mut *tables)
                .await?;
            set_email(tables, id, &email).await?;
            set_profile(tables, id, &profile).await?;
            set_settings(tables, id, &settings).await?;
        }
        UserEvent::ProfileChanged { profile } => set_profile(tables, id, &profile).await?,
        UserEvent::SettingsChanged { settings } => set_settings(tables, id, &settings).await?,
        UserEvent::EmailChangeRequested { address, expires_at, .. } => {
            sqlx::query("update users set pending_email = $2, pending_email_expires_at = $3 where id = $1")
                .bind(id)
                .bind(address.get().map(EmailAddress::as_str))
                .bind(expires_at)
                .execute(&mut *tables)
                .await?;
        }
        UserEvent::EmailChanged { email } => {
            set_email(tables, id, &email).await?;
            sqlx::query(
                "update users set email_verified = true, pending_email = null, \
                 pending_email_expires_at = null where id = $1",
            )
            .bind(id)
            .execute(&mut *tables)
            .await?;
        }
        UserEvent::OperatorGranted => set_operator(tables, id, true).await?,
        UserEvent::OperatorRevoked => set_operator(tables, id, false).await?,
        UserEvent::Deleted => {
            sqlx::query("delete from users where id = $1").bind(id).execute(&mut *tables).await?;
        }
        UserEvent::PasswordChanged { .. }
        | UserEvent::SessionsRevoked { .. }
        | UserEvent::OrganizationJoined { .. }
        | UserEvent::OrganizationLeft { .. }
        | UserEvent::ApiKeyAdded { .. }
        | UserEvent::ApiKeyRemoved { .. } => {}
    }
    // Every event counts as a version, so that an ETag is what `If-Match` is compared with.
    sqlx::query("update users set version = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(signed(event.sequence))
        .bind(event.recorded_at)
        .execute(&mut *tables)
        .await?;
    Ok(())
}

async fn set_email(
    tables: &mut PgConnection,
    id: Uuid,
    email: &Personal<EmailAddress>,
) -> Result<(), sqlx::Error> {
    sqlx::query("update users set email = $2 where id = $1")
        .bind(id)
        .bind(email.get().map(EmailAddress::as_str))
        .execute(tables)
        .await?;
    Ok(())
}

async fn set_profile(
    tables: &mut PgConnection,
    id: Uuid,
    profile: &Personal<Profile>,
) -> Result<(), sqlx::Error> {
    let profile = profile.get();
    sqlx::query("update users set name = $2, company = $3, phone = $4, avatar_url = $5 where id = $1")
        .bind(id)
        .bind(profile.map(|profile| profile.name.as_str()))
        .bind(profile.and_then(|profile| profile.company.as_ref()).map(|text| text.as_str()))
        .bind(profile.and_then(|profile| profile.phone.as_ref()).map(|text| text.as_str()))
        .bind(profile.and_then(|profile| profile.avatar_url.as_ref()).map(|text| text.as_str()))
        .execute(tables)
        .await?;
    Ok(())
}

async fn set_settings(
    tables: &mut PgConnection,
    id: Uuid,
    settings: &Personal<UserSettings>,
) -> Result<(), sqlx::Error> {
    let settings = settings.get();
    sqlx::query("update users set timezone = $2, locale = $3, preferences = $4 where id = $1")
        .bind(id)
        .bind(settings.map(|settings| settings.timezone.as_str()))
        .bind(settings.map(|settings| settings.locale.as_str()))
        .bind(settings.map(|settings| Value::Object(settings.preferences.as_object().clone())))
        .execute(tables)
        .await?;
    Ok(())
}

async fn set_operator(tables: &mut PgConnection, id: Uuid, operator: bool) -> Result<(), sqlx::Error> {
    sqlx::query("update users set operator = $2 where id = $1")
        .bind(id)
        .bind(operator)
        .execute(tables)
        .await?;
    Ok(())
}

/// A user's row.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct UserRow {
    pub id: Uuid,
    pub email: Option<String>,
    pub email_verified: bool,
    pub pending_email: Option<String>,
    pub pending_email_expires_at: Option<DateTime<Utc>>,
    pub name: Option<String>,
    pub company: Option<String>,
    pub phone: Option<String>,
    pub avatar_url: Option<String>,
    pub timezone: Option<String>,
    pub locale: Option<String>,
    pub preferences: Option<Value>,
    pub operator: bool,
    pub registered_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

/// One user, unless there is none (any more).
///
/// # Errors
/// If the database does not answer.
pub async fn find(reader: &Reader, id: Uuid) -> Result<Option<UserRow>, ReadError> {
    Ok(sqlx::query_as("select * from read.users_v1 where id = $1")
        .bind(id)
        .fetch_optional(reader.pool())
        .await?)
}
