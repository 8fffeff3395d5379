//! The caller's own: where they are signed in, which organizations they are in, their time zone.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use annals_domain::{
    identity::UserSettings,
    kernel::{OrganizationId, SessionId, TimeZone},
};
use annals_projections::identity::{
    Organizations, Sessions,
    organizations::{self, MembershipRow},
    sessions::{self, SessionRow},
};
use maud::{Markup, html};

use super::{
    frame::{Frame, done},
    identities,
    mailed::token_of,
    parts::{Tone, form_fields, number, pill, scrolling, shortened},
};
use crate::{
    http::{
        ApiError, ApiResult, Caller,
        answer::POSITION_HEADER,
        pages::{Form, PREFIX, PageSession},
    },
    operations::setup,
    state::AppState,
};

const ACCOUNT: &str = "/console/account";

pub(super) async fn page(
    state: web::Data<AppState>,
    caller: Caller,
    session: PageSession,
    request: HttpRequest,
) -> ApiResult {
    let frame = Frame::open(&state, &caller, &session, &request).await?;
    let user = caller.user_id.uuid();
    let reader = state.reader_for::<Sessions>(&caller).await?;
    let alive = sessions::alive(reader, user, state.clock.now()).await?;
    let reader = state.reader_for::<Organizations>(&caller).await?;
    let memberships = organizations::of_user(reader, user).await?;
    let has_no_operator = state.identity.setup_code().await?.is_some();
    let ways_in = identities::section(&state, &caller, &frame).await?;
    let content = html! {
        div.heading { h1 { "Your account" } }
        @if has_no_operator {
            section #setup .card { h2 { "This installation has no operator yet" } (setup_form(&frame)) }
        }
        section.card { h2 { "Organizations" } (organization_table(&frame, &caller, &memberships)) (accept_form(&frame)) }
        section #identities .card { h2 { "Ways to sign in" } (ways_in) }
        section.card { h2 { "Time zone" } (zone_form(&frame)) }
        section.card { h2 { "Where you are signed in" } (session_table(&frame, &caller, &alive)) }
    };
    Ok(frame.page("Your account", content))
}

/// From now on this browser's pages are of another organization.
pub(super) async fn switch(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<OrganizationId>,
) -> ApiResult {
    let session = own_session(&caller)?;
    let switched = state.identity.switch_organization(&caller.context, session, *id).await?;
    let session = PageSession::new(caller.user_id, session, switched.value.organization_id);
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, PREFIX))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((POSITION_HEADER, switched.position.to_string()))
        .cookie(session.cookie(&state)?)
        .finish())
}

/// Accepts an invitation to the address that the caller is signed in with.
pub(super) async fn accept(state: web::Data<AppState>, caller: Caller, form: Form) -> ApiResult {
    let token = token_of(&form)?;
    let accepted = state.identity.accept_invitation(&caller.context, caller.user_id, token).await?;
    Ok(done(ACCOUNT, "You are a member now. Switch to the organization to see it.", accepted.position))
}

/// Makes the caller the operator of an installation that has none yet.
pub(super) async fn enter_setup_code(state: web::Data<AppState>, caller: Caller, form: Form) -> ApiResult {
    let position = setup::enter(&state, &caller, form.text("code")).await?;
    Ok(done(ACCOUNT, "You are the operator of this installation now.", position))
}

pub(super) async fn change_zone(state: web::Data<AppState>, caller: Caller, form: Form) -> ApiResult {
    let zone = TimeZone::parse(form.text("timezone")).map_err(|error| ApiError::field("timezone", error))?;
    let words = format!("Times are of {} now.", zone.as_str());
    let change = move |before: UserSettings| Ok(UserSettings { timezone: zone.clone(), ..before });
    let changed = state.identity.change_settings(&caller.context, caller.user_id, change).await?;
    Ok(done(ACCOUNT, &words, changed.position))
}

/// Ends one of the caller's sessions.
pub(super) async fn end_session(
    state: web::Data<AppState>,
    caller: Caller,
    id: web::Path<SessionId>,
) -> ApiResult {
    let ended = state.identity.revoke_session(&caller.context, caller.user_id, *id).await?;
    Ok(done(ACCOUNT, "That session has ended.", ended.position))
}

/// Ends all of the caller's sessions but this one.
pub(super) async fn end_others(state: web::Data<AppState>, caller: Caller) -> ApiResult {
    let keep = own_session(&caller)?;
    let ended = state.identity.revoke_other_sessions(&caller.context, caller.user_id, Some(keep)).await?;
    Ok(done(ACCOUNT, "All your other sessions have ended.", ended.position))
}

fn own_session(caller: &Caller) -> Result<SessionId, ApiError> {
    caller.session_id().ok_or_else(|| ApiError::forbidden("there is no session"))
}

fn organization_table(frame: &Frame, caller: &Caller, memberships: &[MembershipRow]) -> Markup {
    html! {
        (scrolling("Organizations", &html! { table {
            thead {
                tr {
                    th scope="col" { "Name" }
                    th scope="col" { "Your role" }
                    th.number scope="col" { "Members" }
                    th.actions scope="col" { "Change" }
                }
            }
            tbody {
                @for membership in memberships {
                    @let is_here = membership.id == caller.organization_id.uuid();
                    tr {
                        th scope="row" { (membership.name) }
                        td { (membership.role) }
                        td.number { (number(membership.members.unsigned_abs())) }
                        td.actions {
                            @if is_here { (pill(Tone::Good, "you are here")) }
                            @else {
                                form.inline method="post"
                                    action={ (ACCOUNT) "/organizations/" (membership.id) "/switch" } {
                                    (form_fields(frame))
                                    button type="submit" aria-label={ "Switch to " (membership.name) } { "Switch" }
                                }
                            }
                        }
                    }
                }
            }
        } }))
    }
}

fn accept_form(frame: &Frame) -> Markup {
    html! {
        form.row method="post" action={ (ACCOUNT) "/accept" } {
            (form_fields(frame))
            div {
                label for="token" { "You were invited? Paste the link" }
                input #token name="token" required autocomplete="off";
            }
            button type="submit" { "Accept" }
        }
    }
}

fn setup_form(frame: &Frame) -> Markup {
    html! {
        form.row method="post" action={ (ACCOUNT) "/setup" } {
            (form_fields(frame))
            div {
                label for="code" { "The setup code that the server printed at its start" }
                input #code name="code" required autocomplete="off" placeholder="7Q2M-0XKD-9TFA";
            }
            button type="submit" { "Become the operator" }
        }
    }
}

fn zone_form(frame: &Frame) -> Markup {
    html! {
        form.row method="post" action={ (ACCOUNT) "/timezone" } {
            (form_fields(frame))
            div {
                label for="timezone" { "Show times as in" }
                select #timezone name="timezone" {
                    @for zone in chrono_tz::TZ_VARIANTS {
                        option selected[zone == frame.zone] { (zone.name()) }
                    }
                }
            }
            button type="submit" { "Change" }
        }
    }
}

fn session_table(frame: &Frame, caller: &Caller, alive: &[SessionRow]) -> Markup {
    let is_own = |row: &SessionRow| caller.session_id().is_some_and(|own| own.uuid() == row.id);
    html! {
        (scrolling("Sessions", &html! {
            table {
                thead {
                    tr {
                        th scope="col" { "Program" }
                        th scope="col" { "Address" }
                        th scope="col" { "Since" }
                        th scope="col" { "Last refreshed" }
                        th.actions scope="col" { "Change" }
                    }
                }
                tbody {
                    @for row in alive {
                        @let program = row.user_agent.as_deref().unwrap_or("unknown");
                        tr {
                            th scope="row" title=(program) { (shortened(program, 60)) }
                            td { (row.ip.as_deref().unwrap_or("unknown")) }
                            td { (frame.time(row.opened_at)) }
                            td { (frame.time(row.last_used_at)) }
                            td.actions {
                                @if is_own(row) { (pill(Tone::Good, "this one")) }
                                @else {
                                    form.inline method="post" action={ (ACCOUNT) "/sessions/" (row.id) "/end" } {
                                        (form_fields(frame))
                                        button.danger type="submit" { "End" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }))
        @if alive.len() > 1 {
            form method="post" action={ (ACCOUNT) "/sessions/end-others" }
                data-ask="End every session but this one?" {
                (form_fields(frame))
                button.danger type="submit" { "End all others" }
            }
        }
    }
}
