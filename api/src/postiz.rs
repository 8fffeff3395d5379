//! Postiz's public API, at `/public/v1`, in the paths and shapes that its own clients expect.
//!
//! Postiz makes a post per channel and calls what was written together a group. Here that is one post
//! with several channels: its id is the group's, and `<post>_<channel>` is the id of what goes to one
//! channel. As with Postiz, what is done to one of a group is done to the group. A call has the same
//! rights, limits and idempotency as one of `/api/v1`; only words and shapes differ.

mod analytics;
mod channels;
mod failure;
mod media;
mod notifications;
mod posts;
mod slots;

use actix_web::http::Method;
use utoipa::{OpenApi, openapi::OpenApi as Document};

use crate::http::{Access, Routes};
use failure::tell;

/// The write side.
pub fn commands(routes: &mut Routes) {
    let post = |action| Access::Right("post", action);
    routes.foreign_command(Method::POST, "/public/v1/posts", post("create"), tell, posts::create);
    routes.foreign_command(Method::DELETE, "/public/v1/posts/{id}", post("delete"), tell, posts::delete);
    let group = "/public/v1/posts/group/{id}";
    routes.foreign_command(Method::DELETE, group, post("delete"), tell, posts::delete);
    routes.foreign_command(Method::PUT, "/public/v1/posts/{id}/status", post("update"), tell, posts::status);
    let media = Access::Right("media", "create");
    routes.foreign_command(Method::POST, "/public/v1/upload", media, tell, media::upload).streams_body();
    let from_url = "/public/v1/upload-from-url";
    routes.foreign_command(Method::POST, from_url, media, tell, media::upload_from_url);
    let trigger = "/public/v1/integration-trigger/{id}";
    let channel = Access::Right("integration", "read");
    routes.foreign_command(Method::POST, trigger, channel, tell, channels::trigger);
}

/// The read side.
pub fn queries(routes: &mut Routes) {
    let channel = Access::Right("integration", "read");
    routes.foreign_query("/public/v1/integrations", channel, tell, channels::list);
    routes.foreign_query("/public/v1/groups", channel, tell, channels::groups);
    routes.foreign_query("/public/v1/is-connected", channel, tell, channels::is_connected);
    routes.foreign_query("/public/v1/integration-settings/{id}", channel, tell, channels::settings);
    let notification = Access::Right("notification", "read");
    routes.foreign_query("/public/v1/notifications", notification, tell, notifications::list);
    let figures = Access::Right("analytics", "read");
    routes.foreign_query("/public/v1/analytics/{id}", figures, tell, analytics::of_channel);
    routes.foreign_query("/public/v1/analytics/post/{id}", figures, tell, analytics::of_post);
    let connect = Access::Right("integration", "create");
    routes.foreign_query("/public/v1/social/{provider}", connect, tell, channels::authorize);
    routes.foreign_query("/public/v1/posts", Access::Right("post", "read"), tell, posts::list);
    routes.foreign_query("/public/v1/find-slot/{id}", Access::Right("post", "read"), tell, slots::find);
}

#[derive(OpenApi)]
#[openapi(
    paths(
        analytics::of_channel,
        analytics::of_post,
        channels::list,
        channels::groups,
        channels::is_connected,
        channels::settings,
        channels::authorize,
        channels::trigger,
        media::upload,
        media::upload_from_url,
        notifications::list,
        posts::create,
        posts::list,
        posts::delete,
        posts::status,
        slots::find,
    ),
    tags((name = "postiz", description = "Postiz's public API, as its clients call it")),
)]
struct Documented;

/// What the handlers say of themselves.
pub fn document() -> Document {
    Documented::openapi()
}
