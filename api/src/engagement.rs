//! Notifications over HTTP: what a person was told, what they read of it, which they want.

pub(crate) mod notifications;
pub(crate) mod preferences;
mod unsubscribe;

use actix_web::http::Method;
use annals_domain::engagement::InboxId;
use utoipa::{OpenApi, openapi::OpenApi as Document};

use crate::http::{Access, Caller, Routes};

/// The resource of the policy that this is about.
const RESOURCE: &str = "notification";

/// The write side.
pub fn commands(routes: &mut Routes) {
    let update = Access::Right(RESOURCE, "update");
    routes.command(Method::POST, "/notifications/read-all", update, notifications::read_all);
    routes.command(Method::POST, "/notifications/{id}/read", update, notifications::mark_read);
    routes.command(Method::POST, "/notifications/{id}/unread", update, notifications::mark_unread);
    routes.command(Method::PATCH, "/notifications/preferences", update, preferences::change);
    let one_click = "/notifications/unsubscribe/{token}";
    routes.command(Method::POST, one_click, Access::Anonymous, unsubscribe::one_click);
}

/// The read side.
pub fn queries(routes: &mut Routes) {
    let read = Access::Right(RESOURCE, "read");
    routes.query("/notifications", read, notifications::list);
    routes.query("/notifications/unread-count", read, notifications::unread_count);
    routes.query("/notifications/preferences", read, preferences::show);
    routes.query("/notifications/{id}", read, notifications::show);
    routes.query("/notifications/unsubscribe/{token}", Access::Anonymous, unsubscribe::by_hand);
}

/// The caller's own inbox, in the organization that they act for.
pub(crate) fn inbox_of(caller: &Caller) -> InboxId {
    InboxId { organization: caller.organization_id, person: caller.user_id }
}

#[derive(OpenApi)]
#[openapi(
    paths(
        notifications::list,
        notifications::unread_count,
        notifications::show,
        notifications::read_all,
        notifications::mark_read,
        notifications::mark_unread,
        preferences::show,
        preferences::change,
        unsubscribe::one_click,
        unsubscribe::by_hand,
    ),
    tags((name = "notifications", description = "What a person was told, and which they want to be told")),
)]
struct Documented;

/// What the handlers say of themselves.
pub fn document() -> Document {
    Documented::openapi()
}
