//! With what the caller signs in: a password, and accounts at other providers.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, web};
use annals_commands::identity::external::ReturnTo;
use annals_domain::{identity::User, kernel::ExternalIdentityId};
use annals_projections::identity::{
    ExternalIdentities,
    external_identities::{self, ExternalIdentityRow},
};
use maud::{Markup, html};

use super::{
    frame::{Frame, bare, done, respond},
    parts::{form_fields, scrolling},
    theme::Theme,
};
use crate::{
    http::{
        ApiError, ApiResult, Caller,
        pages::{Form, PREFIX},
    },
    identity::external::{begin, linking},
    state::AppState,
};

const ACCOUNT: &str = "/console/account";

/// The part of the account's page.
pub(super) async fn section(state: &AppState, caller: &Caller, frame: &Frame) -> Result<Markup, ApiError> {
    let has_password = state.bus.load::<User>(caller.user_id).await?.state.has_password();
    let reader = state.reader_for::<ExternalIdentities>(caller).await?;
    let linked = external_identities::of_user(reader, caller.user_id.uuid()).await?;
    let is_linked = |name: &str| linked.iter().any(|row| row.provider == name);
    let offers: Vec<_> = state.config.sign_in.iter().filter(|offer| !is_linked(&offer.name)).collect();
    Ok(html! {
        @if has_password { p { "You have a password." } }
        @else {
            p { "You have no password. " a href={ (PREFIX) "/forgot-password" } { "Set one by mail" } "." }
        }
        @if !linked.is_empty() { (table(state, frame, &linked)) }
        @for offer in offers {
            form.inline method="post" action={ (ACCOUNT) "/identities/link" } {
                (form_fields(frame))
                input type="hidden" name="provider" value=(offer.name);
                button type="submit" { "Link " (offer.label) }
            }
        }
    })
}

/// Leads to the provider. By a page, not a redirect: browsers let no form of ours lead to another site.
pub(super) async fn link(
    state: web::Data<AppState>,
    caller: Caller,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let provider = form.text("provider");
    let return_to = ReturnTo::Console(ACCOUNT.to_string());
    let (begun, cookie) = begin::begin(&state, provider, linking(&caller)?, return_to).await?;
    let url = begun.url.as_str();
    let content = html! {
        p { a.button href=(url) { "Go on" } }
        p.quiet { a href=(ACCOUNT) { "Back to your account" } }
    };
    let title = format!("Sign in at {}", label(&state, provider));
    let mut response = respond(StatusCode::OK, bare(Theme::of(&request), ACCOUNT, &title, content));
    if let Ok(refresh) = header::HeaderValue::from_str(&format!("0; url={url}")) {
        response.headers_mut().insert(header::REFRESH, refresh);
    }
    with(response, &cookie)
}

fn with(
    mut response: HttpResponse,
    cookie: &actix_web::cookie::Cookie<'_>,
) -> Result<HttpResponse, ApiError> {
    let added = response.add_cookie(cookie);
    added.map_err(|error| ApiError::internal(&std::io::Error::other(error.to_string())))?;
    Ok(response)
}

pub(super) async fn unlink(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<ExternalIdentityId>,
) -> ApiResult {
    let unlinked = state.identity.unlink_external_identity(&caller.context, caller.user_id, *id).await?;
    Ok(done(ACCOUNT, "That account does not lead in any more.", unlinked.position))
}

fn label(state: &AppState, name: &str) -> String {
    let offer = state.config.sign_in.iter().find(|offer| offer.name == name);
    offer.map_or_else(|| name.to_string(), |offer| offer.label.clone())
}

fn table(state: &AppState, frame: &Frame, linked: &[ExternalIdentityRow]) -> Markup {
    scrolling(
        "Linked accounts",
        &html! { table {
            thead {
                tr {
                    th scope="col" { "Provider" }
                    th scope="col" { "Account" }
                    th scope="col" { "Since" }
                    th.actions scope="col" { "Change" }
                }
            }
            tbody {
                @for row in linked {
                    @let label = label(state, &row.provider);
                    tr {
                        th scope="row" { (label) }
                        td { (row.email.as_deref().unwrap_or("unknown")) }
                        td { (frame.time(row.linked_at)) }
                        td.actions {
                            form.inline method="post" action={ (ACCOUNT) "/identities/" (row.id) "/unlink" } {
                                (form_fields(frame))
                                button.danger type="submit" aria-label={ "Unlink " (label) } { "Unlink" }
                            }
                        }
                    }
                }
            }
        } },
    )
}
