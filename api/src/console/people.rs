//! Who is in the organization, who is invited, and what the caller may change about it.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use annals_commands::identity::{Invite, links};
use annals_domain::kernel::{EmailAddress, InvitationId, Role, UserId};
use annals_projections::identity::{
    Organizations, Users,
    organizations::{self, InvitationRow, MemberRow},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    failure::sentence,
    frame::{Frame, done},
    parts::{Tone, empty, form_fields, number, pill, scrolling},
};
use crate::{
    http::{
        ApiError, ApiResult, Caller, Query,
        answer::POSITION_HEADER,
        pages::{Form, PageSession},
    },
    identity::faults::Faults,
    state::AppState,
};

const PEOPLE: &str = "/console/people";
const PER_PAGE: i64 = 50;
/// Of an organization, a member can have any but the owner's.
const ROLES: [Role; 4] = [Role::Viewer, Role::Auditor, Role::User, Role::Admin];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeopleQuery {
    /// From 1.
    page: Option<u32>,
}

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    Query(query): Query<PeopleQuery>,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let content = content(&frame, &state, &caller, query.page.unwrap_or(1), html! {}).await?;
    Ok(frame.page("People", content))
}

/// Invites an address and shows the link, which the mail has too.
pub(super) async fn invite(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let mut faults = Faults::default();
    let email = faults.check("email", EmailAddress::parse(form.text("email")));
    let role = faults.check("role", form.text("role").parse::<Role>());
    let invited = match (email, role) {
        (Some(email), Some(role)) => {
            let command = Invite { organization_id: caller.organization_id, by: caller.user_id, email, role };
            state.identity.invite(&caller.context, command).await.map_err(ApiError::from)
        }
        _ => Err(faults.refused()),
    };
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let invited = match invited {
        Ok(invited) => invited,
        Err(error) => return again(&frame, &state, &caller, error).await,
    };
    let caller = caller.having_written(invited.position);
    let link = links::invitation(&state.config.public_url, &invited.value.token);
    let above = html! {
        div.notice.good role="status" {
            p { "Invited " strong { (form.text("email")) } ". The mail has this link; you can also hand it on yourself. "
                "It works once, until " (frame.time(invited.value.expires_at)) "." }
            p { code #invitation-link { (link.as_str()) } " " button type="button" data-copies="invitation-link" { "Copy" } }
        }
    };
    let content = content(&frame, &state, &caller, 1, above).await?;
    let mut response = frame.page("People", content);
    response.headers_mut().insert(POSITION_HEADER, invited.position.into());
    Ok(response)
}

/// Takes an open invitation back.
pub(super) async fn take_back(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    id: web::Path<InvitationId>,
) -> ApiResult {
    let organization = caller.organization_id;
    let identity = &state.identity;
    match identity.revoke_invitation(&caller.context, caller.user_id, organization, *id).await {
        Ok(out) => Ok(done(PEOPLE, "The invitation is taken back.", out.position)),
        Err(error) => {
            let frame = Frame::open(&state, &caller, &session, &request).await?;
            again(&frame, &state, &caller, error.into()).await
        }
    }
}

/// Gives a member another role.
pub(super) async fn change_role(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    user: web::Path<UserId>,
    form: Form,
) -> ApiResult {
    let role = form.text("role").parse::<Role>().map_err(|error| ApiError::field("role", error))?;
    let organization = caller.organization_id;
    let identity = &state.identity;
    match identity.change_role(&caller.context, caller.user_id, organization, *user, role).await {
        Ok(out) => Ok(done(PEOPLE, &format!("The role is now {role}, from this moment on."), out.position)),
        Err(error) => {
            let frame = Frame::open(&state, &caller, &session, &request).await?;
            again(&frame, &state, &caller, error.into()).await
        }
    }
}

/// Takes a member out of the organization.
pub(super) async fn remove(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
    user: web::Path<UserId>,
) -> ApiResult {
    let organization = caller.organization_id;
    match state.identity.remove_member(&caller.context, caller.user_id, organization, *user).await {
        Ok(out) => Ok(done(PEOPLE, "They are no longer a member.", out.position)),
        Err(error) => {
            let frame = Frame::open(&state, &caller, &session, &request).await?;
            again(&frame, &state, &caller, error.into()).await
        }
    }
}

/// The page again, with what was wrong. What is our fault has a page of its own.
async fn again(
    frame: &Frame,
    state: &AppState,
    caller: &Caller,
    error: ApiError,
) -> Result<HttpResponse, ApiError> {
    if error.status.is_server_error() || error.status == StatusCode::UNAUTHORIZED {
        return Err(error);
    }
    let content = content(frame, state, caller, 1, problem(&error)).await?;
    Ok(frame.page_with(error.status, "People", content))
}

/// What was wrong with a form, by field.
pub(super) fn problem(error: &ApiError) -> Markup {
    html! {
        div.notice.bad role="alert" {
            p { (sentence(&error.message)) }
            @if !error.errors.is_empty() {
                ul { @for fault in &error.errors { li { strong { (fault.field) } " " (fault.message) } } }
            }
        }
    }
}

async fn content(
    frame: &Frame,
    state: &AppState,
    caller: &Caller,
    page: u32,
    above: Markup,
) -> Result<Markup, ApiError> {
    state.reader_for::<Users>(caller).await?;
    let reader = state.reader_for::<Organizations>(caller).await?;
    let organization = caller.organization_id.uuid();
    let offset = i64::from(page.saturating_sub(1)) * PER_PAGE;
    let (members, total) = organizations::members(reader, organization, offset, PER_PAGE).await?;
    let invitations = match caller.may("invitation", "read") {
        true => Some(organizations::invitations(reader, organization, state.clock.now()).await?),
        false => None,
    };
    Ok(html! {
        div.heading {
            h1 { "People" }
            p.quiet { (number(total.unsigned_abs())) @if total == 1 { " member" } @else { " members" } }
        }
        (above)
        section.card {
            h2 { "Members" }
            (member_table(frame, caller, &members))
            (pages(page, offset + PER_PAGE < total))
        }
        @if caller.may("invitation", "create") { (invite_form(frame, caller)) }
        @if let Some(invitations) = invitations {
            section.card {
                h2 { "Open invitations" }
                (invitation_table(frame, caller, &invitations))
            }
        }
    })
}

fn pages(page: u32, has_more: bool) -> Markup {
    html! {
        @if page > 1 || has_more {
            nav.ways aria-label="Pages of members" {
                @if page > 1 { a.button href={ (PEOPLE) "?page=" (page - 1) } { "← Before" } }
                @if has_more { a.button href={ (PEOPLE) "?page=" (page + 1) } { "After →" } }
            }
        }
    }
}

fn member_table(frame: &Frame, caller: &Caller, members: &[MemberRow]) -> Markup {
    html! {
        (scrolling("Members", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Name" }
                        th scope="col" { "Role" }
                        th scope="col" { "Joined" }
                        @if caller.may("member", "update") { th.actions scope="col" { "Change" } }
                    }
                }
                tbody {
                    @for member in members {
                        tr {
                            th scope="row" {
                                (member.name.as_deref().unwrap_or("someone who left"))
                                @if member.user_id == caller.user_id.uuid() { span.quiet { "you" } }
                                @if let Some(email) = &member.email { span.quiet { (email) } }
                            }
                            td { (pill(Tone::Plain, &member.role)) }
                            td { (frame.time(member.joined_at)) }
                            @if caller.may("member", "update") { td.actions { (member_actions(frame, caller, member)) } }
                        }
                    }
                }
            }
        }))
    }
}

fn member_actions(frame: &Frame, caller: &Caller, member: &MemberRow) -> Markup {
    let is_changeable = member.role != Role::Owner.as_str() && member.user_id != caller.user_id.uuid();
    let name = member.name.as_deref().unwrap_or("this member");
    html! {
        @if is_changeable {
            form.inline method="post" action={ (PEOPLE) "/" (member.user_id) "/role" } {
                (form_fields(frame))
                select name="role" aria-label={ "Role of " (name) } {
                    (role_options(caller, &member.role))
                }
                button type="submit" { "Change" }
            }
            @if caller.may("member", "delete") {
                form.inline method="post" action={ (PEOPLE) "/" (member.user_id) "/remove" }
                    data-ask={ "Take " (name) " out of the organization?" } {
                    (form_fields(frame))
                    button.danger type="submit" aria-label={ "Remove " (name) } { "Remove" }
                }
            }
        }
    }
}

/// Those that the caller can give: nobody gives more than they have.
fn role_options(caller: &Caller, selected: &str) -> Markup {
    html! {
        @for role in ROLES.into_iter().filter(|role| *role <= caller.role) {
            option value=(role.as_str()) selected[role.as_str() == selected] { (role.as_str()) }
        }
    }
}

fn invite_form(frame: &Frame, caller: &Caller) -> Markup {
    html! {
        section.card {
            h2 { "Invite somebody" }
            form.row method="post" action={ (PEOPLE) "/invite" } {
                (form_fields(frame))
                div {
                    label for="invite-email" { "Mail address" }
                    input #invite-email type="email" name="email" required autocomplete="off";
                }
                div {
                    label for="invite-role" { "Role" }
                    select #invite-role name="role" { (role_options(caller, Role::User.as_str())) }
                }
                button.primary type="submit" { "Invite" }
            }
        }
    }
}

fn invitation_table(frame: &Frame, caller: &Caller, invitations: &[InvitationRow]) -> Markup {
    if invitations.is_empty() {
        return empty(
            "No invitation is open",
            "Those you send stand here until they are accepted or expire.",
        );
    }
    html! {
        (scrolling("Open invitations", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Mail address" }
                        th scope="col" { "Role" }
                        th scope="col" { "Sent" }
                        th scope="col" { "Expires" }
                        th.actions scope="col" { "Change" }
                    }
                }
                tbody {
                    @for invitation in invitations {
                        @let address = invitation.email.as_deref().unwrap_or("an address that was forgotten");
                        tr {
                            th scope="row" { (address) }
                            td { (pill(Tone::Plain, &invitation.role)) }
                            td { (frame.time(invitation.invited_at)) }
                            td { (frame.time(invitation.expires_at)) }
                            td.actions {
                                @if caller.may("invitation", "delete") {
                                    form.inline method="post"
                                        action={ (PEOPLE) "/invitations/" (invitation.id) "/take-back" } {
                                        (form_fields(frame))
                                        button.danger type="submit"
                                            aria-label={ "Take back the invitation of " (address) } { "Take back" }
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
