//! Where the link of an invitation leads: accepted by who is signed in, signs in, or registers.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use annals_commands::{
    bus::Context,
    identity::{LogIn, Register, SignedIn},
};
use annals_domain::{
    identity::{Password, PersonName},
    kernel::{EmailAddress, UserId},
};
use annals_eventstore::{Actor, ActorKind};
use maud::html;

use super::{
    failure::sentence,
    frame::{bare, respond},
    mailed::{token_field, token_of, told},
    theme::Theme,
};
use crate::{
    http::{
        Anonymous, ApiError, ApiResult,
        pages::{FORM_TOKEN_FIELD, Form, PREFIX, PageSession},
    },
    identity::faults::{Faults, presented_password},
    state::AppState,
};

const ACCEPT: &str = "/console/invitations/accept";

pub(super) async fn page(state: web::Data<AppState>, _: Anonymous, request: HttpRequest) -> ApiResult {
    let content = match PageSession::read(&state, &request) {
        Ok(session) => html! {
            p { "Join the organization that has invited you, with the account you are signed in with." }
            form.stack method="post" action={ (PREFIX) "/account/accept" } {
                input type="hidden" name=(FORM_TOKEN_FIELD) value=(session.form_token);
                (token_field("token", ""))
                button.primary type="submit" { "Accept the invitation" }
            }
        },
        Err(_) => return Ok(forms(&request, StatusCode::OK, &Typed::default(), None)),
    };
    Ok(respond(StatusCode::OK, bare(Theme::of(&request), ACCEPT, "You are invited", content)))
}

/// What stays in the forms when they are to be corrected.
#[derive(Default)]
struct Typed {
    token: String,
    email: String,
    name: String,
}

impl Typed {
    fn of(form: &Form) -> Result<Self, ApiError> {
        let text = |field| form.text(field).to_string();
        Ok(Self { token: token_of(form)?, email: text("email"), name: text("name") })
    }
}

/// Signs in and accepts.
pub(super) async fn sign_in(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let typed = Typed::of(&form)?;
    let mut faults = Faults::default();
    let email = faults.check("email", EmailAddress::parse(&typed.email));
    let password = faults.check("password", presented_password(form.raw("password")));
    let (Some(email), Some(password)) = (email, password) else {
        return again(&request, &typed, faults.refused());
    };
    match state.identity.log_in(&caller.context, LogIn { email, password }).await {
        Ok(signed_in) => accept(&state, &caller.context, &request, &typed, signed_in.value).await,
        Err(error) => again(&request, &typed, error.into()),
    }
}

/// Registers and accepts.
pub(super) async fn register(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let typed = Typed::of(&form)?;
    let mut faults = Faults::default();
    let email = faults.check("email", EmailAddress::parse(&typed.email));
    let name = faults.check("name", PersonName::parse(&typed.name));
    let password = email
        .as_ref()
        .and_then(|email| faults.check("password", Password::parse(form.raw("password"), email)));
    let (Some(email), Some(name), Some(password)) = (email, name, password) else {
        return again(&request, &typed, faults.refused());
    };
    let command = Register { email, password, name, organization: None };
    match state.identity.register(&caller.context, command).await {
        Ok(registered) => accept(&state, &caller.context, &request, &typed, registered.value).await,
        Err(error) => again(&request, &typed, error.into()),
    }
}

/// Accepts as whoever has just signed in, and leads to the organization.
async fn accept(
    state: &AppState,
    context: &Context,
    request: &HttpRequest,
    typed: &Typed,
    signed_in: SignedIn,
) -> ApiResult {
    let SignedIn { user_id, session_id, .. } = signed_in;
    let context = acting_as(context, user_id);
    let accepted = match state.identity.accept_invitation(&context, user_id, typed.token.clone()).await {
        Ok(accepted) => accepted.value,
        // They are known now, so that the next try is one of somebody who has an account.
        Err(error) => return again(request, typed, error.into()),
    };
    let switched = state.identity.switch_organization(&context, session_id, accepted.organization_id).await?;
    state.own_writes.record(user_id, switched.position);
    let session = PageSession::new(user_id, session_id, switched.value.organization_id);
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, PREFIX))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .cookie(session.cookie(state)?)
        .finish())
}

fn acting_as(context: &Context, user: UserId) -> Context {
    let actor = Actor { kind: ActorKind::User, id: Some(user.to_string()) };
    Context { actor, idempotency: None, ..context.clone() }
}

fn again(request: &HttpRequest, typed: &Typed, error: ApiError) -> ApiResult {
    if error.status.is_server_error() {
        return Err(error);
    }
    let words = match error.errors.first() {
        Some(fault) => format!("{} {}", fault.field, fault.message),
        None => error.message.clone(),
    };
    Ok(forms(request, error.status, typed, Some(&sentence(&words))))
}

fn forms(request: &HttpRequest, status: StatusCode, typed: &Typed, fault: Option<&str>) -> HttpResponse {
    let content = html! {
        (told(fault))
        p { "Sign in, or make an account, with the address that the invitation was mailed to." }
        form.stack method="post" action={ (ACCEPT) "/sign-in" } {
            h2 { "You have an account" }
            (token_field("token", &typed.token))
            label for="email" { "Mail address" }
            input #email type="email" name="email" value=(typed.email) autocomplete="username" required;
            label for="password" { "Password" }
            input #password type="password" name="password" autocomplete="current-password" required;
            button.primary type="submit" { "Sign in and accept" }
        }
        form.stack method="post" action={ (ACCEPT) "/register" } {
            h2 { "You are new here" }
            (token_field("new-token", &typed.token))
            label for="name" { "Name" }
            input #name name="name" value=(typed.name) autocomplete="name" maxlength="100" required;
            label for="new-email" { "Mail address" }
            input #new-email type="email" name="email" value=(typed.email) autocomplete="email" required;
            label for="new-password" { "Password, 8 characters or more" }
            input #new-password type="password" name="password" autocomplete="new-password" minlength="8"
                maxlength="128" required;
            button.primary type="submit" { "Register and accept" }
        }
    };
    respond(status, bare(Theme::of(request), ACCEPT, "You are invited", content))
}
