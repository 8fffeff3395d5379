//! Where links in mail lead: verify an address, confirm a new one, set a new password, get no more of it.
//!
//! A link shows a form; only sending it counts, so that programs which open links in mail to look at
//! them use up none. The token stands behind `#`, which browsers keep to themselves: a script takes it
//! into the form, and without one the link is pasted.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use annals_commands::engagement::Notifications;
use annals_domain::kernel::EmailAddress;
use maud::{Markup, html};

use super::{
    failure::sentence,
    frame::{bare, respond},
    theme::Theme,
};
use crate::{
    http::{
        Anonymous, ApiError, ApiResult,
        pages::{Form, PREFIX},
    },
    identity::{
        faults::{presented_password, presented_token},
        recovery,
    },
    state::AppState,
};

const FORGOT: &str = "/console/forgot-password";

/// The token of a link, or of the whole link pasted.
///
/// # Errors
/// 400 for what is none.
pub(super) fn token_of(form: &Form) -> Result<String, ApiError> {
    let pasted = form.text("token");
    let token = pasted.rsplit_once("token=").map_or(pasted, |(_, token)| token);
    presented_token(token).map_err(|error| ApiError::field("token", error))
}

/// The field that a script fills from the link and takes away.
pub(super) fn token_field(id: &str, token: &str) -> Markup {
    html! {
        div.stack data-from-link[token.is_empty()] hidden[!token.is_empty()] {
            label for=(id) { "Paste the link of the mail" }
            input id=(id) name="token" value=(token) required autocomplete="off";
        }
    }
}

/// A form that is sent as it is: the link is all it needs.
struct Confirmation {
    path: &'static str,
    title: &'static str,
    lead: &'static str,
    button: &'static str,
    done: &'static str,
}

const VERIFY: Confirmation = Confirmation {
    path: "/console/verify-email",
    title: "Verify your mail address",
    lead: "Confirm that the address this link was mailed to is yours.",
    button: "Verify the address",
    done: "Your mail address is verified.",
};

const CHANGE: Confirmation = Confirmation {
    path: "/console/confirm-email-change",
    title: "Confirm your new mail address",
    lead: "From then on you sign in with the address that this link was mailed to.",
    button: "Confirm the new address",
    done: "Your new mail address counts. Sign in with it from now on.",
};

const UNSUBSCRIBE: Confirmation = Confirmation {
    path: "/console/unsubscribe",
    title: "No more mail of this kind",
    lead: "You can switch it on again among your notifications.",
    button: "Stop this mail",
    done: "You get no more mail of this kind. What it tells of is still shown in the app.",
};

impl Confirmation {
    fn page(
        &self,
        request: &HttpRequest,
        status: StatusCode,
        token: &str,
        fault: Option<&str>,
    ) -> HttpResponse {
        let content = html! {
            (told(fault))
            p { (self.lead) }
            form.stack method="post" action=(self.path) {
                (token_field("token", token))
                button.primary type="submit" { (self.button) }
            }
        };
        respond(status, bare(Theme::of(request), self.path, self.title, content))
    }

    fn answer<T>(&self, request: &HttpRequest, token: &str, result: Result<T, ApiError>) -> ApiResult {
        match result {
            Ok(_) => Ok(finished(request, self.title, self.done)),
            Err(error) if error.status.is_server_error() => Err(error),
            Err(error) => Ok(self.page(request, error.status, token, Some(&sentence(&error.message)))),
        }
    }
}

pub(super) async fn verify_page(request: HttpRequest, _: Anonymous) -> ApiResult {
    Ok(VERIFY.page(&request, StatusCode::OK, "", None))
}

pub(super) async fn verify(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let token = token_of(&form)?;
    let verified = state.identity.verify_email(&caller.context, token.clone()).await;
    if let Ok(verified) = &verified {
        state.own_writes.record(verified.value, verified.position);
    }
    VERIFY.answer(&request, &token, verified.map_err(ApiError::from))
}

pub(super) async fn change_page(request: HttpRequest, _: Anonymous) -> ApiResult {
    Ok(CHANGE.page(&request, StatusCode::OK, "", None))
}

pub(super) async fn change(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let token = token_of(&form)?;
    let changed = state.identity.confirm_email_change(&caller.context, token.clone()).await;
    if let Ok(changed) = &changed {
        state.own_writes.record(changed.value, changed.position);
    }
    CHANGE.answer(&request, &token, changed.map_err(ApiError::from))
}

pub(super) async fn unsubscribe_page(request: HttpRequest, _: Anonymous) -> ApiResult {
    Ok(UNSUBSCRIBE.page(&request, StatusCode::OK, "", None))
}

pub(super) async fn unsubscribe(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let token = token_of(&form)?;
    let commands = Notifications::new(state.bus.clone());
    let stopped = commands.unsubscribe(&caller.context, &token).await;
    let told = stopped.map_err(ApiError::from).map_err(|error| match error.status {
        StatusCode::NOT_FOUND => {
            ApiError { message: "the link is not whole: open it from the mail again".to_string(), ..error }
        }
        _ => error,
    });
    UNSUBSCRIBE.answer(&request, &token, told)
}

pub(super) async fn forgot_page(request: HttpRequest, _: Anonymous) -> ApiResult {
    Ok(forgot_form(&request, StatusCode::OK, None))
}

/// The answer is the same whether or not there is such an account.
pub(super) async fn forgot(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let Ok(email) = EmailAddress::parse(form.text("email")) else {
        return Ok(forgot_form(&request, StatusCode::BAD_REQUEST, Some("That is not a mail address.")));
    };
    recovery::ask(&state, &caller.context, email).await?;
    Ok(finished(&request, "Look into your mail", &sentence(recovery::ASKED)))
}

fn forgot_form(request: &HttpRequest, status: StatusCode, fault: Option<&str>) -> HttpResponse {
    let content = html! {
        (told(fault))
        p { "A link to set a new one is mailed to you." }
        form.stack method="post" action=(FORGOT) {
            label for="email" { "Mail address" }
            input #email type="email" name="email" autocomplete="username" required autofocus;
            button.primary type="submit" { "Mail the link" }
        }
        p.quiet { a href={ (PREFIX) "/sign-in" } { "Back to sign in" } }
    };
    respond(status, bare(Theme::of(request), FORGOT, "Forgot your password?", content))
}

pub(super) async fn reset_page(request: HttpRequest, _: Anonymous) -> ApiResult {
    Ok(reset_form(&request, StatusCode::OK, "", None))
}

pub(super) async fn reset(
    state: web::Data<AppState>,
    caller: Anonymous,
    request: HttpRequest,
    form: Form,
) -> ApiResult {
    let token = token_of(&form)?;
    let password = match presented_password(form.raw("password")) {
        Ok(password) => password,
        Err(fault) => {
            let words = format!("The password {fault}.");
            return Ok(reset_form(&request, StatusCode::BAD_REQUEST, &token, Some(&words)));
        }
    };
    match state
        .identity
        .reset_password(&caller.context, token.clone(), password)
        .await
        .map_err(ApiError::from)
    {
        Ok(_) => {
            let words = "Your new password counts, and you are signed out everywhere. Sign in with it.";
            Ok(finished(&request, "The password is changed", words))
        }
        Err(error) if error.status.is_server_error() => Err(error),
        Err(error) => {
            let about = error.errors.first().filter(|fault| fault.field == "password");
            let words =
                about.map_or(error.message.clone(), |fault| format!("the password {}", fault.message));
            Ok(reset_form(&request, error.status, &token, Some(&sentence(&words))))
        }
    }
}

fn reset_form(request: &HttpRequest, status: StatusCode, token: &str, fault: Option<&str>) -> HttpResponse {
    let content = html! {
        (told(fault))
        form.stack method="post" action={ (PREFIX) "/reset-password" } {
            (token_field("token", token))
            label for="password" { "New password, 8 characters or more" }
            input #password type="password" name="password" autocomplete="new-password" minlength="8"
                maxlength="128" required;
            button.primary type="submit" { "Set the password" }
        }
        p.quiet { "Too late? " a href=(FORGOT) { "Ask for another link" } "." }
    };
    let path = format!("{PREFIX}/reset-password");
    respond(status, bare(Theme::of(request), &path, "Set a new password", content))
}

pub(super) fn told(fault: Option<&str>) -> Markup {
    html! { @if let Some(fault) = fault { p.notice.bad role="alert" { (fault) } } }
}

fn finished(request: &HttpRequest, title: &str, words: &str) -> HttpResponse {
    let content = html! {
        p.notice.good role="status" { (words) }
        p { a.button href=(PREFIX) { "Go on" } }
    };
    respond(StatusCode::OK, bare(Theme::of(request), PREFIX, title, content))
}
