//! The installation itself: read models, timers, process managers and nodes, for its operator.
//!
//! | routes | file |
//! |---|---|
//! | `admin/projections` | `projections.rs` |
//! | `admin/projections/{name}/rebuild…` | `rebuild.rs` |
//! | `admin/projections/{name}/parked…` | `parked.rs` |
//! | `admin/timers` | `timers.rs` |
//! | `admin/processes`, `admin/nodes` | `nodes.rs` |
//! | `admin/organizations`, `admin/tiers` | `organizations.rs` |
//! | `admin/setup` | `setup.rs` |
//!
//! [`Operations`] is what all of them, the console and the command line call.

mod actions;
pub(crate) mod cursors;
mod desk;
mod input;
mod nodes;
pub(crate) mod organizations;
mod parked;
mod projections;
mod rebuild;
mod refusal;
pub(crate) mod setup;
mod timers;
mod views;

use actix_web::http::Method;
use utoipa::{OpenApi, openapi::OpenApi as Document};

pub use actions::{Acted, Guide};
pub use desk::Operations;
pub use views::{
    LeaderView, NodeView, ParkedEventView, ParkedKeyView, ProcessView, ProjectionState, ProjectionView,
    RebuildState, RebuildView, ReplayedView, SkippedView, TimerDoneView, TimerView,
};

use crate::http::{Access, Routes, routes::LimitClass};

const MANAGE: Access = Access::Right("system", "manage");
const READ: Access = Access::Right("system", "read");

pub fn commands(routes: &mut Routes) {
    let rebuild = "/admin/projections/{name}/rebuild";
    routes.command(Method::POST, rebuild, MANAGE, rebuild::request);
    routes.command(Method::PATCH, rebuild, MANAGE, rebuild::throttle);
    routes.command(Method::POST, &format!("{rebuild}/pause"), MANAGE, rebuild::pause);
    routes.command(Method::POST, &format!("{rebuild}/resume"), MANAGE, rebuild::resume);
    routes.command(Method::POST, &format!("{rebuild}/cancel"), MANAGE, rebuild::cancel);
    routes.command(Method::POST, &format!("{rebuild}/accept"), MANAGE, rebuild::accept);
    let parked = "/admin/projections/{name}/parked";
    routes.command(Method::POST, &format!("{parked}/replay"), MANAGE, parked::replay);
    routes.command(Method::POST, &format!("{parked}/{{key}}/skip"), MANAGE, parked::skip);
    routes.command(Method::POST, "/admin/timers/{id}/retry", MANAGE, timers::retry);
    routes.command(Method::POST, "/admin/timers/{id}/cancel", MANAGE, timers::cancel);
    routes.command(Method::PUT, "/admin/organizations/{id}/tier", MANAGE, organizations::set_tier);
    // Whoever knows the code need have no right yet; guesses are limited by address.
    routes.command(Method::POST, "/admin/setup", Access::Session, setup::redeem).limit(LimitClass::Auth);
}

pub fn queries(routes: &mut Routes) {
    routes.query("/admin/projections", READ, projections::list);
    routes.query("/admin/projections/{name}", READ, projections::show);
    routes.query("/admin/projections/{name}/parked", READ, parked::list);
    routes.query("/admin/projections/{name}/parked/{key}", READ, parked::show);
    routes.query("/admin/timers", READ, timers::list);
    routes.query("/admin/processes", READ, nodes::processes);
    routes.query("/admin/nodes", READ, nodes::nodes);
    routes.query("/admin/organizations", READ, organizations::list);
    routes.query("/admin/organizations/{id}", READ, organizations::show);
    routes.query("/admin/tiers", READ, organizations::tiers);
}

#[derive(OpenApi)]
#[openapi(
    paths(
        projections::list,
        projections::show,
        parked::list,
        parked::show,
        parked::replay,
        parked::skip,
        rebuild::request,
        rebuild::throttle,
        rebuild::pause,
        rebuild::resume,
        rebuild::cancel,
        rebuild::accept,
        setup::redeem,
        timers::list,
        timers::retry,
        timers::cancel,
        nodes::processes,
        nodes::nodes,
        organizations::list,
        organizations::show,
        organizations::set_tier,
        organizations::tiers,
    ),
    tags((name = "admin", description = "The installation itself, for its operator")),
)]
struct Documented;

/// What the handlers say of themselves.
pub fn document() -> Document {
    Documented::openapi()
}
