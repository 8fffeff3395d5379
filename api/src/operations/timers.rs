//! `admin/timers`: what is to happen when, and what waits for a person.

use actix_web::web;
use annals_commands::timers::{TimerFilter, TimerState};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    cursors,
    input::ReasonBody,
    views::{TimerDoneView, TimerView},
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, FieldError, Query, answer::Success},
    state::AppState,
};

/// Characters of a kind.
const KIND_CHARS_MAX: usize = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct TimersQuery {
    /// `waiting`, `due`, `leased` or `parked`.
    state: Option<String>,
    /// What they are for, such as `publishing.publish`.
    kind: Option<String>,
    /// Those of one organization.
    organization_id: Option<Uuid>,
    /// `meta.nextCursor` of the page before.
    cursor: Option<String>,
    /// At most 200; 50 if it is left out.
    limit: Option<u32>,
}

impl TimersQuery {
    fn filter(&self) -> Result<(TimerFilter, u32), Vec<FieldError>> {
        let mut errors = Vec::new();
        let state = self.state.as_ref().and_then(|text| {
            let state = TimerState::ALL.into_iter().find(|state| state.as_str() == text);
            if state.is_none() {
                errors.push(FieldError::new("state", "must be one of waiting, due, leased, parked"));
            }
            state
        });
        if self.kind.as_ref().is_some_and(|kind| kind.chars().count() > KIND_CHARS_MAX) {
            errors.push(FieldError::new("kind", format!("must have at most {KIND_CHARS_MAX} characters")));
        }
        let after = self.cursor.as_deref().map(cursors::timer).transpose();
        let after = after.unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        match cursors::limit(self.limit) {
            Ok(limit) if errors.is_empty() => {
                let (kind, organization_id) = (self.kind.clone(), self.organization_id);
                Ok((TimerFilter { state, kind, organization_id, after }, limit))
            }
            Ok(_) => Err(errors),
            Err(error) => {
                errors.push(error);
                Err(errors)
            }
        }
    }
}

/// The timers that are set, the soonest due first.
#[utoipa::path(get, path = "/admin/timers", tag = "admin", params(TimersQuery),
    responses((status = 200, description = "A page of timers", body = Success<Vec<TimerView>>)))]
pub(super) async fn list(
    state: web::Data<AppState>,
    _caller: Caller,
    Query(query): Query<TimersQuery>,
) -> ApiResult {
    let (filter, limit) = query.filter().map_err(ApiError::validation)?;
    let timers = state.operations.timers(&filter, limit + 1).await?;
    let (timers, next) = cursors::page(timers, limit, cursors::of_timer);
    Answer::ok(timers).next_cursor(next).respond()
}

/// Makes a parked timer due at once, with fresh attempts.
#[utoipa::path(post, path = "/admin/timers/{id}/retry", tag = "admin", params(("id" = Uuid, Path)),
    request_body = ReasonBody,
    responses((status = 200, description = "It is due", body = Success<TimerDoneView>)))]
pub(super) async fn retry(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<Uuid>,
    Body(body): Body<ReasonBody>,
) -> ApiResult {
    let acted = state.operations.retry_timer(&caller.context, *id, body.parse()?).await?;
    Answer::ok(acted.value).position(acted.position).respond()
}

/// Removes a timer: what it was for does not happen.
#[utoipa::path(post, path = "/admin/timers/{id}/cancel", tag = "admin", params(("id" = Uuid, Path)),
    request_body = ReasonBody,
    responses((status = 200, description = "It is gone", body = Success<TimerDoneView>)))]
pub(super) async fn cancel(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<Uuid>,
    Body(body): Body<ReasonBody>,
) -> ApiResult {
    let acted = state.operations.cancel_timer(&caller.context, *id, body.parse()?).await?;
    Answer::ok(acted.value).position(acted.position).respond()
}
