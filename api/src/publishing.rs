//! Channels, posts, tags, feeds, the calendar's figures and the timeline over HTTP.

pub(crate) mod activity;
pub(crate) mod channels;
mod check;
mod export;
mod feeds;
pub(crate) mod figures;
pub(crate) mod history;
mod imports;
pub(crate) mod input;
pub(crate) mod media;
pub(crate) mod overview;
mod paging;
pub(crate) mod parts;
mod posting_times;
pub(crate) mod posts;
mod retry;
mod series;
pub(crate) mod slots;
pub(crate) mod social;
mod tags;
pub(crate) mod times;
pub(crate) mod views;
pub(crate) mod warnings;

use actix_web::http::{Method, StatusCode};
use annals_commands::bus::CommandError;
use utoipa::{OpenApi, openapi::OpenApi as Document};

use crate::http::{Access, ApiError, Routes, routes::LimitClass};

pub use media::{DeskLimits, KindLimits, MediaDesk};

/// The write side.
pub fn commands(routes: &mut Routes) {
    let channel = |action| Access::Right("integration", action);
    routes.command(Method::POST, "/integrations/connect", channel("create"), channels::connect);
    routes.command(Method::PUT, "/integrations/{id}", channel("update"), channels::rename);
    routes.command(Method::PUT, "/integrations/{id}/group", channel("update"), channels::group);
    routes.command(Method::POST, "/integrations/{id}/refresh", channel("update"), channels::refresh);
    routes.command(Method::POST, "/integrations/{id}/enable", channel("update"), channels::enable);
    routes.command(Method::POST, "/integrations/{id}/disable", channel("update"), channels::disable);
    routes.command(Method::DELETE, "/integrations/{id}", channel("delete"), channels::disconnect);

    routes.callback("/social/{provider}/callback", social::callback);

    routes
        .command(Method::POST, "/media/upload", Access::Right("media", "create"), media::upload::upload)
        .streams_body();
    routes.command(
        Method::POST,
        "/media/upload-from-url",
        Access::Right("media", "create"),
        media::upload::upload_from_url,
    );
    routes.command(Method::DELETE, "/media/{id}", Access::Right("media", "delete"), media::delete);

    routes.command(Method::POST, "/posts", Access::Right("post", "create"), posts::create);
    routes.command(Method::PUT, "/posts/{id}", Access::Right("post", "update"), posts::revise);
    routes.command(Method::DELETE, "/posts/{id}", Access::Right("post", "delete"), posts::delete);
    let post = |action| Access::Right("post", action);
    routes.command(Method::PUT, "/posts/series/{id}", post("update"), series::change);
    routes.command(Method::POST, "/posts/series/{id}/pause", post("update"), series::pause);
    routes.command(Method::POST, "/posts/series/{id}/resume", post("publish"), series::resume);
    routes.command(Method::DELETE, "/posts/series/{id}", post("delete"), series::end);
    routes.command(Method::POST, "/posts/import", post("create"), imports::import).streams_body();
    routes.command(Method::POST, "/posts/imports/{id}/cancel", post("create"), imports::cancel);
    routes.command(Method::POST, "/posts/check", post("create"), check::check);
    routes.command(Method::POST, "/posts/{id}/comments", Access::Right("post", "update"), posts::comment);
    routes.command(Method::POST, "/posts/{id}/retry", Access::Right("post", "publish"), retry::retry);
    routes.command(Method::POST, "/public/integrations/post", Access::Right("post", "create"), posts::create);
    routes.command(Method::POST, "/posts/tags", Access::Right("tag", "create"), tags::create);

    let times = Access::Right("posting-time", "update");
    routes.command(Method::PUT, "/posting-times", times, posting_times::change);
}

/// The read side.
pub fn queries(routes: &mut Routes) {
    routes.query("/integrations", Access::Right("integration", "read"), channels::list);
    routes.query("/integrations/customers", Access::Right("integration", "read"), channels::customers);
    routes.query("/social/{provider}", Access::Right("integration", "create"), social::begin);
    routes.query("/integrations/{id}", Access::Right("integration", "read"), channels::show);

    routes.query("/public/integrations", Access::Right("integration", "read"), channels::list);
    routes.query("/public/integrations/{id}/posts", Access::Right("post", "read"), posts::of_channel);

    routes.query("/posts", Access::Right("post", "read"), posts::list);
    routes.query("/posts/tags", Access::Right("tag", "read"), tags::list);
    routes.query("/posts/series", Access::Right("post", "read"), series::reading::list);
    routes.query("/posts/series/{id}", Access::Right("post", "read"), series::reading::show);
    routes.query("/posts/export", Access::Right("post", "read"), export::export);
    routes.query("/posts/imports", Access::Right("post", "read"), imports::list);
    routes.query("/posts/imports/{id}", Access::Right("post", "read"), imports::show);
    routes.query("/posts/find-slot", Access::Right("post", "read"), slots::find_any);
    routes.query("/posts/find-slot/{id}", Access::Right("post", "read"), slots::find_for_channel);
    routes.query("/posts/{id}", Access::Right("post", "read"), posts::show);
    routes.query("/posts/{id}/history", Access::Right("post", "read"), history::history);

    routes.query("/posting-times", Access::Right("posting-time", "read"), posting_times::show);

    routes.query("/media", Access::Right("media", "read"), media::list);
    routes.query("/media/{id}", Access::Right("media", "read"), media::show);

    figures(routes);
    routes.query("/activity", Access::Right("activity", "read"), activity::list);

    // Pages show dozens at once; who has no token in the address gets nothing.
    routes
        .root_query("/media/{id}/{token}/{file}", Access::Anonymous, media::serve::file)
        .limit(LimitClass::None);
    routes.root_query("/feeds/{feed}", Access::Anonymous, feeds::feed);
    routes.root_query("/feeds/{feed}/items/{item}", Access::Anonymous, feeds::item);
}

/// What platforms count.
fn figures(routes: &mut Routes) {
    let read = Access::Right("analytics", "read");
    routes.query("/posts/{id}/statistics", read, figures::statistics);
    routes.query("/analytics/overview", read, overview::overview);
    routes.query("/analytics/integration/{id}", read, figures::integration);
    routes.query("/analytics/posts", read, figures::posts);
    routes.query("/analytics/engagement", read, figures::engagement);
}

#[derive(OpenApi)]
#[openapi(
    paths(
        channels::connect,
        channels::rename,
        channels::group,
        channels::refresh,
        channels::enable,
        channels::disable,
        channels::disconnect,
        channels::list,
        channels::customers,
        channels::show,
        social::begin,
        social::callback,
        posts::create,
        posts::revise,
        posts::delete,
        posts::comment,
        posts::list,
        posts::of_channel,
        posts::show,
        retry::retry,
        posting_times::change,
        posting_times::show,
        slots::find_any,
        slots::find_for_channel,
        check::check,
        export::export,
        imports::import,
        imports::cancel,
        imports::list,
        imports::show,
        series::reading::list,
        series::reading::show,
        series::change,
        series::pause,
        series::resume,
        series::end,
        history::history,
        media::upload::upload,
        media::upload::upload_from_url,
        media::list,
        media::show,
        media::delete,
        media::serve::file,
        tags::create,
        tags::list,
        overview::overview,
        figures::statistics,
        figures::integration,
        figures::posts,
        figures::engagement,
        activity::list,
        feeds::feed,
        feeds::item,
    ),
    tags(
        (name = "integrations", description = "Channels: accounts on platforms"),
        (name = "posts", description = "Posts, their schedule and what became of them"),
        (name = "media", description = "Files that posts show"),
        (name = "analytics", description = "Figures and the timeline"),
        (name = "feeds", description = "What the built-in platform serves to anyone"),
    ),
)]
struct Documented;

/// What the handlers say of themselves.
pub fn document() -> Document {
    Documented::openapi()
}

/// A command's refusal; a platform that is away is 503, all else as everywhere.
pub(crate) fn failed(error: CommandError) -> ApiError {
    match &error {
        CommandError::Refused(refusal) if refusal.code() == "PLATFORM_UNAVAILABLE" => ApiError {
            code: "PLATFORM_UNAVAILABLE",
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..ApiError::unavailable(refusal.to_string(), 30)
        },
        _ => error.into(),
    }
}
