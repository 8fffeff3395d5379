//! `GET /activity`: who did what, when, through which door.

use actix_web::web;
use annals_projections::{
    identity::Users,
    publishing::{
        Activity,
        activity::{self, ActivityFilter, Cursor, Entry},
        people,
    },
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::times::{self, End};
use crate::{
    http::{Answer, ApiError, ApiResult, Caller, FieldError, Query, answer::Success},
    state::AppState,
};

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;
/// Characters of a filter.
const FILTER_CHARS_MAX: usize = 200;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ActivityQuery {
    /// An event type or its beginning: `publishing.post.scheduled`, `publishing.post`, `identity`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    event_type: Option<String>,
    /// A user's or key's id, or a process' name.
    actor: Option<String>,
    /// The id of what it is about: a post, a channel, a user.
    subject: Option<String>,
    /// A day or a time.
    from: Option<String>,
    /// A day (which is within) or a time.
    to: Option<String>,
    /// Whose days are meant; the user's own if it is left out.
    timezone: Option<String>,
    /// `meta.nextCursor` of the page before.
    cursor: Option<String>,
    /// At most 200; 50 if it is left out.
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActivityView {
    pub position: u64,
    pub event_id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    pub at: DateTime<Utc>,
    pub actor: ActorView,
    /// `WEB`, `API`, `MCP` or `WORKER`.
    pub source: String,
    pub subject: SubjectView,
    /// Plain values of the event.
    #[schema(value_type = Object)]
    pub details: Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActorView {
    /// `user`, `api_key`, `process`, `operator` or `anonymous`.
    #[serde(rename = "type")]
    pub kind: String,
    pub id: Option<String>,
    /// Of a user who was not forgotten.
    pub name: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubjectView {
    /// `publishing.post`, `identity.organization`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub id: String,
}

/// What happened in the organization, the newest first.
#[utoipa::path(
    get, path = "/activity", tag = "analytics", params(ActivityQuery),
    responses((status = 200, description = "A page of the timeline", body = Success<Vec<ActivityView>>)),
)]
pub(super) async fn list(
    state: web::Data<AppState>,
    caller: Caller,
    Query(query): Query<ActivityQuery>,
) -> ApiResult {
    let zone = times::zone(&state, caller.user_id, query.timezone.as_deref()).await?;
    let moment = |field, text: Option<&String>, end| {
        times::moment(field, text.map(String::as_str), &zone, end)
            .map_err(|error| ApiError::validation(vec![error]))
    };
    let filter = ActivityFilter {
        from: moment("from", query.from.as_ref(), End::From)?,
        to: moment("to", query.to.as_ref(), End::To)?,
        ..query.filter().map_err(ApiError::validation)?
    };
    let (lines, next) = timeline(&state, &caller, &filter, query.limit.unwrap_or(LIMIT)).await?;
    Answer::ok(lines).next_cursor(next.map(|cursor| cursor.to_string())).respond()
}

/// What happened in the caller's organization, the newest first, and where the next page begins.
pub(crate) async fn timeline(
    state: &AppState,
    caller: &Caller,
    filter: &ActivityFilter,
    limit: u32,
) -> Result<(Vec<ActivityView>, Option<Cursor>), ApiError> {
    state.reader_for::<Users>(caller).await?;
    let reader = state.reader_for::<Activity>(caller).await?;
    let (entries, next) = activity::list(reader.pool(), caller.organization_id, filter, limit).await?;
    let users: Vec<Uuid> = entries.iter().filter_map(user_of).collect();
    let names = people::names(reader.pool(), &users).await?;
    Ok((entries.into_iter().map(|entry| view(entry, &names)).collect(), next))
}

fn user_of(entry: &Entry) -> Option<Uuid> {
    entry.actor_id.as_ref().filter(|_| entry.actor_type == "user")?.parse().ok()
}

fn view(entry: Entry, names: &BTreeMap<Uuid, String>) -> ActivityView {
    let name = user_of(&entry).and_then(|id| names.get(&id).cloned());
    ActivityView {
        position: entry.position,
        event_id: entry.event_id,
        event_type: entry.event_type,
        at: entry.at,
        actor: ActorView { kind: entry.actor_type, id: entry.actor_id, name },
        source: entry.source,
        subject: SubjectView { kind: entry.subject_type, id: entry.subject_id },
        details: entry.details,
    }
}

impl ActivityQuery {
    fn filter(&self) -> Result<ActivityFilter, Vec<FieldError>> {
        let mut errors = Vec::new();
        for (field, text) in [("type", &self.event_type), ("actor", &self.actor), ("subject", &self.subject)]
        {
            if text.as_ref().is_some_and(|text| text.chars().count() > FILTER_CHARS_MAX) {
                errors
                    .push(FieldError::new(field, format!("must have at most {FILTER_CHARS_MAX} characters")));
            }
        }
        if self.limit.is_some_and(|limit| !(1..=LIMIT_MAX).contains(&limit)) {
            errors.push(FieldError::new("limit", format!("must be between 1 and {LIMIT_MAX}")));
        }
        let after = self.cursor.as_deref().map(str::parse::<Cursor>).transpose().unwrap_or_else(|_| {
            errors.push(FieldError::new("cursor", "must be a nextCursor of this list"));
            None
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(ActivityFilter {
            event_type: self.event_type.clone(),
            actor: self.actor.clone(),
            subject: self.subject.clone(),
            after,
            ..ActivityFilter::default()
        })
    }
}
