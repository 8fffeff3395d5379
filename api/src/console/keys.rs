//! The caller's API keys in this organization: make one, see it once, revoke it.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, http::StatusCode, web};
use annals_domain::kernel::ApiKeyId;
use annals_projections::identity::{
    ApiKeys,
    api_keys::{self, ApiKeyRow},
};
use maud::{Markup, html};

use super::{
    frame::{Frame, done},
    parts::{Tone, empty, form_fields, pill, scrolling},
    people::problem,
};
use crate::{
    http::{
        ApiError, ApiResult, Caller,
        answer::POSITION_HEADER,
        pages::{Form, PageSession},
    },
    identity,
    state::AppState,
};

const KEYS: &str = "/console/keys";

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let content = content(&frame, &state, &caller, html! {}).await?;
    Ok(frame.page("API keys", content))
}

/// A new key, shown this once.
pub(super) async fn create(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let scopes: Vec<String> = form.all("scope").map(ToString::to_string).collect();
    let created = identity::api_keys::make(&state, &caller, form.text("name"), &scopes).await;
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let created = match created {
        Ok(created) => created,
        Err(error) if error.status.is_server_error() || error.status == StatusCode::UNAUTHORIZED => {
            return Err(error);
        }
        Err(error) => {
            let content = content(&frame, &state, &caller, problem(&error)).await?;
            return Ok(frame.page_with(error.status, "API keys", content));
        }
    };
    let caller = caller.having_written(created.position);
    let above = html! {
        div.notice.good role="status" {
            p { strong { "This is the key. It is shown this once" } ": only its digest is kept." }
            p { code #new-key { (created.value.key) } " " button type="button" data-copies="new-key" { "Copy" } }
        }
    };
    let content = content(&frame, &state, &caller, above).await?;
    let mut response = frame.page("API keys", content);
    response.headers_mut().insert(POSITION_HEADER, created.position.into());
    Ok(response)
}

/// From now on the key is refused.
pub(super) async fn revoke(state: web::Data<AppState>, caller: Caller, id: web::Path<ApiKeyId>) -> ApiResult {
    let identity = &state.identity;
    let revoked =
        identity.revoke_api_key(&caller.context, caller.user_id, caller.organization_id, *id).await?;
    Ok(done(KEYS, "The key is revoked.", revoked.position))
}

async fn content(
    frame: &Frame,
    state: &AppState,
    caller: &Caller,
    above: Markup,
) -> Result<Markup, ApiError> {
    let reader = state.reader_for::<ApiKeys>(caller).await?;
    let keys = api_keys::list(reader, caller.user_id.uuid(), caller.organization_id.uuid()).await?;
    let rights = state.rights.rights();
    let resources: BTreeSet<&str> = rights
        .iter()
        .filter(|right| caller.may(&right.resource, &right.action))
        .map(|right| right.resource.as_str())
        .collect();
    Ok(html! {
        div.heading {
            h1 { "API keys" }
            p.quiet { "A key can do what you can do in this organization, cut to its scopes." }
        }
        (above)
        section.card { h2 { "Your keys" } (table(frame, caller, &keys)) }
        @if caller.may("api-key", "create") {
            section.card {
                h2 { "A new key" }
                form.stack method="post" action=(KEYS) {
                    (form_fields(frame))
                    label for="key-name" { "Name" }
                    input #key-name name="name" required autocomplete="off" aria-describedby="key-name-hint";
                    p #key-name-hint .hint { "What it is for, such as the program that will use it." }
                    fieldset.choices {
                        legend { "Scopes (none: everything that you may do)" }
                        @for resource in resources {
                            label { input type="checkbox" name="scope" value=(resource); (resource) }
                        }
                    }
                    div { button.primary type="submit" { "Make the key" } }
                }
            }
        }
    })
}

fn table(frame: &Frame, caller: &Caller, keys: &[ApiKeyRow]) -> Markup {
    if keys.is_empty() {
        return empty("You have no key yet", "Make one below for a program that calls the API for you.");
    }
    html! {
        (scrolling("Your keys", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Name" }
                        th scope="col" { "State" }
                        th scope="col" { "Scopes" }
                        th scope="col" { "Made" }
                        th scope="col" { "Last used" }
                        th.actions scope="col" { "Change" }
                    }
                }
                tbody {
                    @for key in keys {
                        @let name = key.name.as_deref().unwrap_or("a key without a name");
                        tr {
                            th scope="row" { (name) }
                            td {
                                @if key.is_active { (pill(Tone::Good, "active")) }
                                @else { (pill(Tone::Plain, "revoked")) }
                            }
                            td {
                                @if key.scopes.is_empty() { "everything" }
                                @else { code { (key.scopes.join(", ")) } }
                            }
                            td { (frame.time(key.created_at)) }
                            td {
                                @match key.last_used_at { Some(at) => (frame.time(at)), None => "never" }
                            }
                            td.actions {
                                @if key.is_active && caller.may("api-key", "delete") {
                                    form.inline method="post" action={ (KEYS) "/" (key.id) "/revoke" }
                                        data-ask={ "Revoke " (name) "? Programs that use it are refused at once." } {
                                        (form_fields(frame))
                                        button.danger type="submit" aria-label={ "Revoke " (name) } { "Revoke" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }))
    }
}
