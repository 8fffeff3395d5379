//! The console: pages for people, rendered here and served with everything they need.
//!
//! A page asks the same functions as the API and shows what the caller's role allows; what a form changes
//! goes through the same commands. No page needs a script: the one there is (`assets/console.js`) swaps
//! in what changed, moves sliders and copies keys.
//!
//! | pages | file |
//! |---|---|
//! | where links in mail lead | `mailed.rs`, `invitation.rs` |
//! | sign in and out, light and dark | `sign_in.rs`, `theme.rs` |
//! | overview | `overview.rs`, its plots from `samples.rs` |
//! | calendar, one post | `calendar.rs`, `posts.rs` |
//! | what platforms count | `figures.rs`, its plots `day_plot.rs` |
//! | events, one aggregate through time | `events.rs`, `streams.rs` |
//! | checkpoints, proofs | `audit.rs`, `proof.rs` |
//! | read models, timers, nodes | `projections.rs`, `parked.rs`, `timers.rs`, `nodes.rs` |
//! | notifications | `notifications.rs` |
//! | organizations and their tiers | `organizations.rs` |
//! | people and keys | `people.rs`, `keys.rs`, `account.rs`, `identities.rs` |
//!
//! Around them: `frame.rs` (navigation, headers), `parts.rs` (times, pills, forms), `plot.rs` (SVG),
//! `failure.rs` (refusals), `assets.rs` (style, script, icon).

mod account;
mod assets;
mod audit;
mod calendar;
mod day_plot;
mod events;
mod failure;
mod figures;
mod frame;
mod identities;
mod invitation;
mod keys;
mod mailed;
mod nodes;
mod notifications;
mod organizations;
mod overview;
mod parked;
mod parts;
mod people;
mod plot;
mod posts;
mod projections;
mod proof;
pub mod samples;
mod sign_in;
mod streams;
mod theme;
mod timeline;
mod timers;

use crate::http::{
    Access::{Anonymous, Right, Session, SignedIn},
    Routes,
    routes::LimitClass,
};
pub(crate) use failure::told;
pub(crate) use frame::done;
pub(crate) use sign_in::{local_path, refused as sign_in_refused};

/// The page that people see first.
pub(crate) const START: &str = crate::http::pages::PREFIX;

/// What forms are sent to.
pub fn commands(routes: &mut Routes) {
    routes.form("/sign-in", Anonymous, told, sign_in::sign_in).limit(LimitClass::Auth);
    mailed_forms(routes);
    routes.form("/sign-out", Session, told, sign_in::sign_out);
    routes.form("/theme", Anonymous, told, theme::choose);

    routes.form("/people/invite", Right("invitation", "create"), told, people::invite);
    let delete = Right("invitation", "delete");
    routes.form("/people/invitations/{id}/take-back", delete, told, people::take_back);
    routes.form("/people/{user}/role", Right("member", "update"), told, people::change_role);
    routes.form("/people/{user}/remove", Right("member", "delete"), told, people::remove);
    routes.form("/keys", Right("api-key", "create"), told, keys::create);
    routes.form("/keys/{id}/revoke", Right("api-key", "delete"), told, keys::revoke);
    routes.form("/account/organizations/{id}/switch", Session, told, account::switch);
    routes.form("/account/accept", Session, told, account::accept);
    routes.form("/account/setup", Session, told, account::enter_setup_code).limit(LimitClass::Auth);
    routes.form("/account/timezone", Right("profile", "update"), told, account::change_zone);
    routes.form("/account/sessions/{id}/end", Session, told, account::end_session);
    routes.form("/account/sessions/end-others", Session, told, account::end_others);
    let notification = Right("notification", "update");
    routes.form("/notifications/read-all", notification, told, notifications::read_all);
    routes.form("/notifications/preferences", notification, told, notifications::prefer);
    routes.form("/notifications/{id}/read", notification, told, notifications::mark_read);
    routes.form("/notifications/{id}/unread", notification, told, notifications::mark_unread);
    routes.form("/account/identities/link", Session, told, identities::link).limit(LimitClass::Auth);
    routes.form("/account/identities/{id}/unlink", Session, told, identities::unlink);
    office(routes);
}

/// What the forms behind the links in mail are sent to.
fn mailed_forms(routes: &mut Routes) {
    let auth = LimitClass::Auth;
    routes.form("/forgot-password", Anonymous, told, mailed::forgot).limit(auth);
    routes.form("/reset-password", Anonymous, told, mailed::reset).limit(auth);
    routes.form("/verify-email", Anonymous, told, mailed::verify).limit(auth);
    routes.form("/confirm-email-change", Anonymous, told, mailed::change).limit(auth);
    routes.form("/unsubscribe", Anonymous, told, mailed::unsubscribe).limit(auth);
    routes.form("/invitations/accept/sign-in", Anonymous, told, invitation::sign_in).limit(auth);
    routes.form("/invitations/accept/register", Anonymous, told, invitation::register).limit(auth);
}

/// What the forms of the operator and the auditor are sent to.
fn office(routes: &mut Routes) {
    let manage = Right("system", "manage");
    routes.form("/projections/{name}/rebuild", manage, told, projections::rebuild);
    routes.form("/projections/{name}/guide", manage, told, projections::guide);
    routes.form("/projections/{name}/parked/replay", manage, told, parked::replay);
    routes.form("/projections/{name}/parked/skip", manage, told, parked::skip);
    routes.form("/timers/{id}/retry", manage, told, timers::retry);
    routes.form("/timers/{id}/cancel", manage, told, timers::cancel);
    routes.form("/organizations/{id}/tier", manage, told, organizations::set_tier);
    routes.form("/audit/sign", Right("audit", "sign"), told, audit::sign);
}

/// The pages.
pub fn queries(routes: &mut Routes) {
    routes.page("/sign-in", Anonymous, told, sign_in::page);
    routes.page("/forgot-password", Anonymous, told, mailed::forgot_page);
    routes.page("/reset-password", Anonymous, told, mailed::reset_page);
    routes.page("/verify-email", Anonymous, told, mailed::verify_page);
    routes.page("/confirm-email-change", Anonymous, told, mailed::change_page);
    routes.page("/unsubscribe", Anonymous, told, mailed::unsubscribe_page);
    routes.page("/invitations/accept", Anonymous, told, invitation::page);
    routes.page("", Right("activity", "read"), told, overview::page);
    routes.page("/posts", Right("post", "read"), told, calendar::page);
    routes.page("/posts/{id}", Right("post", "read"), told, posts::page);
    routes.page("/notifications", Right("notification", "read"), told, notifications::page);
    routes.page("/figures", Right("analytics", "read"), told, figures::page);
    routes.page("/people", Right("member", "read"), told, people::page);
    routes.page("/keys", Right("api-key", "read"), told, keys::page);
    routes.page("/account", Session, told, account::page);
    routes.page("/events", Right("history", "read"), told, events::list);
    routes.page("/events/{position}", Right("history", "read"), told, events::show);
    routes.page("/streams/{type}/{id}", Right("history", "read"), told, streams::page);
    // The API's stream, for this cookie.
    routes.page("/live", Right("live", "read"), told, crate::live::listen_from_page);
    routes.page("/audit", Right("audit", "read"), told, audit::page);
    routes.page("/audit/proof", Right("audit", "read"), told, audit::proof);
    let read = Right("system", "read");
    routes.page("/projections", read, told, projections::list);
    routes.page("/projections/{name}", read, told, projections::show);
    routes.page("/timers", read, told, timers::page);
    routes.page("/nodes", read, told, nodes::page);
    routes.page("/organizations", read, told, organizations::page);
    // Whoever mistypes an address is told so by a page, not in JSON.
    routes.page("/{rest:.*}", SignedIn, told, failure::nothing_here);
    routes.system("/console/assets/{file}", assets::file);
}
