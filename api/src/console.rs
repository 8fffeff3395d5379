//! The console: pages for people, rendered here and served with everything they need.
//!
//! A page asks the same functions as the API and shows what the caller's role allows; what a form changes
//! goes through the same commands. No page needs a script: the one there is (`assets/console.js`) swaps
//! in what changed, moves sliders and copies keys.
//!
//! | pages | file |
//! |---|---|
//! | sign in and out, light and dark | `sign_in.rs`, `theme.rs` |
//! | overview | `overview.rs`, its plots from `samples.rs` |
//! | calendar, one post | `calendar.rs`, `posts.rs` |
//! | events, one aggregate through time | `events.rs`, `streams.rs` |
//! | people and keys | `people.rs`, `keys.rs`, `account.rs` |
//!
//! Around them: `frame.rs` (navigation, headers), `parts.rs` (times, pills, forms), `plot.rs` (SVG),
//! `failure.rs` (refusals), `assets.rs` (style, script, icon).

mod account;
mod assets;
mod calendar;
mod events;
mod failure;
mod frame;
mod keys;
mod overview;
mod parts;
mod people;
mod plot;
mod posts;
pub mod samples;
mod sign_in;
mod streams;
mod theme;
mod timeline;

use crate::http::{
    Access::{Anonymous, Right, Session, SignedIn},
    Routes,
    routes::LimitClass,
};
use failure::told;

/// What forms are sent to.
pub fn commands(routes: &mut Routes) {
    routes.form("/sign-in", Anonymous, told, sign_in::sign_in).limit(LimitClass::Auth);
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
    routes.form("/account/timezone", Right("profile", "update"), told, account::change_zone);
    routes.form("/account/sessions/{id}/end", Session, told, account::end_session);
    routes.form("/account/sessions/end-others", Session, told, account::end_others);
}

/// The pages.
pub fn queries(routes: &mut Routes) {
    routes.page("/sign-in", Anonymous, told, sign_in::page);
    routes.page("", Right("activity", "read"), told, overview::page);
    routes.page("/posts", Right("post", "read"), told, calendar::page);
    routes.page("/posts/{id}", Right("post", "read"), told, posts::page);
    routes.page("/people", Right("member", "read"), told, people::page);
    routes.page("/keys", Right("api-key", "read"), told, keys::page);
    routes.page("/account", Session, told, account::page);
    routes.page("/events", Right("history", "read"), told, events::list);
    routes.page("/events/{position}", Right("history", "read"), told, events::show);
    routes.page("/streams/{type}/{id}", Right("history", "read"), told, streams::page);
    // The API's stream, for this cookie.
    routes.page("/live", Right("live", "read"), told, crate::live::listen_from_page);
    // Whoever mistypes an address is told so by a page, not in JSON.
    routes.page("/{rest:.*}", SignedIn, told, failure::nothing_here);
    routes.system("/console/assets/{file}", assets::file);
}
