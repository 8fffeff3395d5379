//! A user as they see themselves, and as fellow members see them.

use annals_domain::{
    identity::{Profile, UserEvent, UserSettings},
    kernel::{EmailAddress, Personal},
};
use annals_eventstore::{Filter, MetadataNeeds, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{USER_DELETED, events, signed};
use crate::{
    Projection, ProjectionError, ReadError, Reader,
    runtime::{CopyRow, Rows, TableRow, decode, give_way, stream_id},
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
        let ids = events.iter().map(stream_id).collect::<Result<_, _>>()?;
        let mut users = Rows::<UserRow>::load(ids, tables).await?;
        for (nth, event) in events.iter().enumerate() {
            apply(&mut users, event)?;
            give_way(nth).await;
        }
        Ok(users.store(tables).await?)
    }
}

fn apply(users: &mut Rows<UserRow>, event: &UnparsedEvent) -> Result<(), ProjectionError> {
    let id = stream_id(event)?;
    let decoded: UserEvent = decode(event)?;
    if let UserEvent::Registered { .. } = &decoded {
        users.put(UserRow::new(id, event.recorded_at));
    }
    // Nothing is left to change of one who was deleted.
    let Some(user) = users.get_mut(id) else { return Ok(()) };
    match decoded {
        UserEvent::Registered { email, profile, settings, .. } => {
            user.set_email(&email);
            user.set_profile(&profile);
            user.set_settings(&settings);
        }
        UserEvent::ProfileChanged { profile } => user.set_profile(&profile),
        UserEvent::SettingsChanged { settings } => user.set_settings(&settings),
        UserEvent::EmailChangeRequested { address, expires_at, .. } => {
            user.pending_email = address.get().map(|address| address.as_str().to_string());
            user.pending_email_expires_at = Some(expires_at);
        }
        UserEvent::EmailChanged { email } => {
            user.set_email(&email);
            user.email_verified = true;
            user.pending_email = None;
            user.pending_email_expires_at = None;
        }
        UserEvent::EmailVerified => user.email_verified = true,
        UserEvent::OperatorGranted => user.operator = true,
        UserEvent::OperatorRevoked => user.operator = false,
        UserEvent::Deleted => {
            users.remove(id);
            return Ok(());
        }
        UserEvent::PasswordChanged { .. }
        | UserEvent::SessionsRevoked { .. }
        | UserEvent::EmailVerificationRequested { .. }
        | UserEvent::PasswordResetRequested { .. }
        | UserEvent::ExternalIdentityLinked { .. }
        | UserEvent::ExternalIdentityUnlinked { .. }
        | UserEvent::OrganizationJoined { .. }
        | UserEvent::OrganizationLeft { .. }
        | UserEvent::ApiKeyAdded { .. }
        | UserEvent::ApiKeyRemoved { .. } => {}
    }
    // Every event counts as a version, so that an ETag is what `If-Match` is compared with.
    user.version = signed(event.sequence);
    user.updated_at = event.recorded_at;
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

impl UserRow {
    fn new(id: Uuid, registered_at: DateTime<Utc>) -> Self {
        Self {
            id,
            email: None,
            email_verified: false,
            pending_email: None,
            pending_email_expires_at: None,
            name: None,
            company: None,
            phone: None,
            avatar_url: None,
            timezone: None,
            locale: None,
            preferences: None,
            operator: false,
            registered_at,
            updated_at: registered_at,
            version: 1,
        }
    }

    fn set_email(&mut self, email: &Personal<EmailAddress>) {
        self.email = email.get().map(|email| email.as_str().to_string());
    }

    fn set_profile(&mut self, profile: &Personal<Profile>) {
        let profile = profile.get();
        self.name = profile.map(|profile| profile.name.as_str().to_string());
        self.company = profile.and_then(|p| p.company.as_ref()).map(|text| text.as_str().to_string());
        self.phone = profile.and_then(|p| p.phone.as_ref()).map(|text| text.as_str().to_string());
        self.avatar_url = profile.and_then(|p| p.avatar_url.as_ref()).map(|text| text.as_str().to_string());
    }

    fn set_settings(&mut self, settings: &Personal<UserSettings>) {
        let settings = settings.get();
        self.timezone = settings.map(|settings| settings.timezone.as_str().to_string());
        self.locale = settings.map(|settings| settings.locale.as_str().to_string());
        self.preferences = settings.map(|settings| Value::Object(settings.preferences.as_object().clone()));
    }
}

impl TableRow for UserRow {
    const TABLE: &'static str = "users";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "email",
        "email_verified",
        "pending_email",
        "pending_email_expires_at",
        "name",
        "company",
        "phone",
        "avatar_url",
        "timezone",
        "locale",
        "preferences",
        "operator",
        "registered_at",
        "updated_at",
        "version",
    ];

    fn id(&self) -> Uuid {
        self.id
    }

    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(self.id)?;
        row.value(self.email.as_deref())?;
        row.value(self.email_verified)?;
        row.value(self.pending_email.as_deref())?;
        row.value(self.pending_email_expires_at)?;
        row.value(self.name.as_deref())?;
        row.value(self.company.as_deref())?;
        row.value(self.phone.as_deref())?;
        row.value(self.avatar_url.as_deref())?;
        row.value(self.timezone.as_deref())?;
        row.value(self.locale.as_deref())?;
        row.jsonb(self.preferences.as_ref())?;
        row.value(self.operator)?;
        row.value(self.registered_at)?;
        row.value(self.updated_at)?;
        row.value(self.version)
    }
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
