//! The installation itself: read models, timers, process managers and nodes, for its operator.
//!
//! | routes | file |
//! |---|---|
//! | `admin/projections` | `projections.rs` |
//! | `admin/projections/{name}/rebuild…` | `rebuild.rs` |
//! | `admin/projections/{name}/parked…` | `parked.rs` |
//! | `admin/timers` | `timers.rs` |
//! | `admin/processes`, `admin/nodes` | `nodes.rs` |
//!
//! [`Operations`] is what all of them, the console and the command line call.

mod cursors;
mod desk;
mod nodes;
mod parked;
mod projections;
mod timers;
mod views;

use utoipa::{OpenApi, openapi::OpenApi as Document};

pub use desk::Operations;
pub use views::{
    NodeView, ParkedEventView, ParkedKeyView, ProcessView, ProjectionState, ProjectionView, RebuildView,
    TimerView,
};

use crate::http::{Access, Routes};

const READ: Access = Access::Right("system", "read");

pub fn queries(routes: &mut Routes) {
    routes.query("/admin/projections", READ, projections::list);
    routes.query("/admin/projections/{name}", READ, projections::show);
    routes.query("/admin/projections/{name}/parked", READ, parked::list);
    routes.query("/admin/projections/{name}/parked/{key}", READ, parked::show);
    routes.query("/admin/timers", READ, timers::list);
    routes.query("/admin/processes", READ, nodes::processes);
    routes.query("/admin/nodes", READ, nodes::nodes);
}

#[derive(OpenApi)]
#[openapi(
    paths(
        projections::list,
        projections::show,
        parked::list,
        parked::show,
        timers::list,
        nodes::processes,
        nodes::nodes,
    ),
    tags((name = "admin", description = "The installation itself, for its operator")),
)]
struct Documented;

/// What the handlers say of themselves.
pub fn document() -> Document {
    Documented::openapi()
}
