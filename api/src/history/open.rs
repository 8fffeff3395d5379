//! `POST /events/{position}/open`: somebody's personal data, for a reason that is recorded first.

use std::collections::BTreeSet;

use actix_web::web;
use annals_domain::{
    kernel::Subject,
    operations::{Disclosure, DisclosureCommand, Reason},
};
use annals_eventstore::{Opening, RecordedEvent};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    events,
    scope::{Scope, organization_of},
    view::EventView,
};
use crate::{
    http::{Answer, ApiError, ApiResult, Body, Caller, answer::Success},
    state::AppState,
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct OpenBody {
    /// Why: 1 to 500 characters, kept for ever. It names no person.
    reason: String,
}

/// The event with its personal data readable. That it was opened, by whom and why, is recorded
/// before, for everyone who reads the history.
#[utoipa::path(
    post, path = "/events/{position}/open", tag = "history", params(("position" = u64, Path)),
    request_body = OpenBody,
    responses((status = 200, description = "The event, opened", body = Success<Vec<EventView>>)),
)]
pub(super) async fn open(
    state: web::Data<AppState>,
    caller: Caller,
    position: web::Path<u64>,
    Body(body): Body<OpenBody>,
) -> ApiResult {
    let reason = Reason::parse(&body.reason).map_err(|why| ApiError::field("reason", why))?;
    let store = state.bus.store();
    let erased = events::at(store, Scope::of(&caller)?, *position).await?;
    let mut context = caller.context.clone();
    // Whose event it is learns of it too, whoever opens it.
    context.organization_id = organization_of(&erased[0]).or(context.organization_id);
    let command = DisclosureCommand::Open { position: *position, subjects: subjects(&erased), reason };
    let receipt =
        state.bus.execute::<Disclosure>(&context, "OpenPersonalData", erased[0].event_id, command).await?;
    let stored = store.read_positions(&[*position]).await?;
    let opened = store.open_events(&stored, Opening::Personal).await?;
    let views = opened.into_iter().map(EventView::from).collect::<Vec<_>>();
    Answer::ok(views).position(receipt.position).respond()
}

/// Whose personal data stands in these events.
fn subjects(events: &[RecordedEvent]) -> Vec<Subject> {
    let mut found = BTreeSet::new();
    for event in events {
        collect(&event.payload, &mut found);
        event.metadata.client.iter().for_each(|client| collect(client, &mut found));
    }
    found.into_iter().collect()
}

fn collect(value: &Value, into: &mut BTreeSet<Subject>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => match fields.get("$personal") {
            Some(personal) => into.extend(serde_json::from_value(personal["subject"].clone()).ok()),
            None => fields.values().for_each(|inner| collect(inner, into)),
        },
        _ => {}
    }
}
