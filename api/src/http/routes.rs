//! The registry of routes: what there is, on which side, and what it asks of the caller.
//!
//! Each context has two functions, and [`crate::server`] calls both:
//!
//! ```ignore
//! pub fn commands(routes: &mut Routes) {
//!     routes.command(Method::POST, "/auth/login", Access::Anonymous, login).limit(LimitClass::Auth);
//!     routes.command(Method::POST, "/posts", Access::Right("post", "create"), create);
//!     routes.command(Method::PUT, "/agencies/{id}/settings", Access::RightIn("id", "organization", "update"), put);
//! }
//!
//! pub fn queries(routes: &mut Routes) {
//!     routes.query("/auth/me", Access::SignedIn, me);
//!     routes.query("/posts/{id}", Access::Right("post", "read"), show);
//!     routes.root_query("/feeds/{id}/atom.xml", Access::Anonymous, atom); // not under /api/v1
//! }
//! ```
//!
//! - Two names for one thing are two lines. A literal segment wins over `{…}`, in whatever order they stand here.
//! - Several methods of one path may stand in either function: they are merged per path, and another
//!   method is answered 405 with `Allow`.
//! - The access is enforced by [`super::gate`] before the handler runs, from this table; the test
//!   `every_route_names_a_right_that_exists` reads the same table, as does the OpenAPI test.
//! - A handler says what it is with `#[utoipa::path(post, path = "/auth/login", tag = "auth",
//!   request_body = LoginBody, responses((status = 200, body = Success<SessionView>)))]`; the path is that of the
//!   registry, with or without [`PREFIX`]. Security, headers and error answers are added from this table. Each
//!   context collects its handlers in a `#[derive(OpenApi)]` and is listed in [`crate::server::documents`].
//! - Handlers take what they need: `Caller` (or `Anonymous`), `Body<T>`, `MaybeBody<T>`, `Query<T>`,
//!   `web::Path<PostId>` (a text that is no id is 404), `web::Data<AppState>`; and return `ApiResult`.

use std::{collections::BTreeMap, rc::Rc};

use actix_web::{
    FromRequest, Handler, Responder, Route, guard,
    http::Method,
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use super::{
    config::NodeRoles,
    gate,
    pages::{self, Door, Failure},
};

/// Before every path but those of [`Routes::root_query`].
pub const PREFIX: &str = "/api/v1";

/// What a route asks of its caller. Names of rights are those of `policy/policy.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone. The handler takes `Anonymous`.
    Anonymous,
    /// A session or a key without scopes, of whatever organization: what is about the person.
    SignedIn,
    /// A session or a key of the caller's organization, with whatever scopes: what is asked for asks for
    /// its own right.
    Member,
    /// A session: what no key may do (change of password, sessions, deletion of the account).
    Session,
    /// The right (resource, action) in the organization of the caller's token or key. A caller who
    /// is no longer a member is answered 401.
    Right(&'static str, &'static str),
    /// The right (resource, action) in the organization that the path parameter (first) names;
    /// 404 if the caller is no member there. `Caller::organization_id` and `role` are of that one.
    RightIn(&'static str, &'static str, &'static str),
}

impl Access {
    /// Resource and action, if it asks for a right.
    pub fn right(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Right(resource, action) | Self::RightIn(_, resource, action) => Some((resource, action)),
            Self::Anonymous | Self::SignedIn | Self::Member | Self::Session => None,
        }
    }
}

/// The trees of the design: they scale apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Command,
    Query,
    /// Health, metrics, the document: on every node, unlimited.
    System,
}

/// Which limit a route's calls count against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitClass {
    /// By who calls: an address, a user or a key.
    Caller,
    /// By address, strictly and across nodes, beside the other: where guesses could be tried.
    Auth,
    /// Against none.
    None,
}

/// One method of one path.
#[derive(Clone, Debug)]
pub struct RouteInfo {
    pub method: Method,
    /// The whole path: `/api/v1/posts/{id}`.
    pub path: Rc<str>,
    pub side: Side,
    pub access: Access,
    pub door: Door,
    pub limit: LimitClass,
    /// Whether a one-use ticket in the query (`?ticket=`) stands for `Authorization`.
    pub takes_tickets: bool,
    /// Another bound for the body than the configuration's, in bytes.
    pub body_bytes_max: Option<usize>,
    /// Whether the handler takes the body as it comes, bounds it, and adds it to the idempotency key.
    pub streams_body: bool,
    /// Whether another server sends browsers here, with an answer that a command is made of: the one kind of
    /// `GET` that writes, and only for a `state` that we sealed.
    pub is_callback: bool,
    /// The handler's type: two routes of one handler are two names of one thing.
    pub handler: &'static str,
}

/// A route that was just registered, for what few routes need.
pub struct Entry<'r>(&'r mut RouteInfo);

impl Entry<'_> {
    pub fn limit(self, class: LimitClass) -> Self {
        self.0.limit = class;
        self
    }

    /// For what a browser opens without headers: see [`super::tokens::TicketClaims`].
    pub fn takes_tickets(self) -> Self {
        self.0.takes_tickets = true;
        self
    }

    /// For files: the handler reads the body itself.
    pub fn streams_body(self) -> Self {
        self.0.streams_body = true;
        self
    }

    /// Another bound for this route's body.
    pub fn body_bytes_max(self, bytes: usize) -> Self {
        self.0.body_bytes_max = Some(bytes);
        self
    }
}

/// All routes, of all contexts. Built once per worker thread.
#[derive(Default)]
pub struct Routes {
    infos: Vec<RouteInfo>,
    handlers: Vec<Route>,
}

impl Routes {
    pub fn new() -> Self {
        Self::default()
    }

    /// A mutation, at [`PREFIX`] + `path`.
    pub fn command<F, Args>(&mut self, method: Method, path: &str, access: Access, handler: F) -> Entry<'_>
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Side::Command, method, format!("{PREFIX}{path}"), access, handler)
    }

    /// A `GET` at [`PREFIX`] + `path` that ends an authorization at another server. Anyone may come: the
    /// handler takes nothing without a `state` of ours.
    pub fn callback<F, Args>(&mut self, path: &str, handler: F) -> Entry<'_>
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let path = format!("{PREFIX}{path}");
        let entry = self.add(Side::Command, Method::GET, path, Access::Anonymous, handler);
        entry.0.is_callback = true;
        entry
    }

    /// A `GET` (and `HEAD`), at [`PREFIX`] + `path`.
    pub fn query<F, Args>(&mut self, path: &str, access: Access, handler: F) -> Entry<'_>
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Side::Query, Method::GET, format!("{PREFIX}{path}"), access, handler)
    }

    /// A `GET` at `path` itself: what others have agreed on, such as a feed's address.
    pub fn root_query<F, Args>(&mut self, path: &str, access: Access, handler: F) -> Entry<'_>
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Side::Query, Method::GET, path.to_string(), access, handler)
    }

    /// A `GET` of an interface that others have described; `failure` is what a refusal looks like there.
    pub fn foreign_query<F, Args>(&mut self, path: &str, access: Access, failure: Failure, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let entry = self.add(Side::Query, Method::GET, path.to_string(), access, handler);
        entry.0.door = Door::Foreign { failure };
    }

    /// A mutation of an interface that others have described.
    pub fn foreign_command<F, Args>(
        &mut self,
        method: Method,
        path: &str,
        access: Access,
        failure: Failure,
        handler: F,
    ) -> Entry<'_>
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let entry = self.add(Side::Command, method, path.to_string(), access, handler);
        entry.0.door = Door::Foreign { failure };
        entry
    }

    /// A `GET` at `path` itself that anyone may call on any node: health, metrics, the document.
    pub fn system<F, Args>(&mut self, path: &str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Side::System, Method::GET, path.to_string(), Access::Anonymous, handler)
            .limit(LimitClass::None);
    }

    /// A page, at [`pages::PREFIX`] + `path`; `failure` is what a refusal looks like there.
    pub fn page<F, Args>(&mut self, path: &str, access: Access, failure: Failure, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let path = format!("{}{path}", pages::PREFIX);
        self.add(Side::Query, Method::GET, path, access, handler).0.door = Door::Pages { failure };
    }

    /// What a form of a page is sent to, at [`pages::PREFIX`] + `path`.
    pub fn form<F, Args>(&mut self, path: &str, access: Access, failure: Failure, handler: F) -> Entry<'_>
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let path = format!("{}{path}", pages::PREFIX);
        let entry = self.add(Side::Command, Method::POST, path, access, handler);
        entry.0.door = Door::Pages { failure };
        entry
    }

    fn add<F, Args>(
        &mut self,
        side: Side,
        method: Method,
        path: String,
        access: Access,
        handler: F,
    ) -> Entry<'_>
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let info = RouteInfo {
            method,
            path: path.into(),
            side,
            access,
            door: Door::Api,
            limit: LimitClass::Caller,
            takes_tickets: false,
            body_bytes_max: None,
            streams_body: false,
            is_callback: false,
            handler: std::any::type_name::<F>(),
        };
        self.handlers.push(web::route().to(handler));
        self.infos.push(info);
        let last = self.infos.len() - 1;
        Entry(&mut self.infos[last])
    }

    /// The table: for tests and for the OpenAPI document.
    pub fn infos(&self) -> &[RouteInfo] {
        &self.infos
    }

    /// Puts the sides that this node serves into an app.
    pub fn mount(self, roles: NodeRoles, app: &mut ServiceConfig) {
        let mut paths: BTreeMap<PathOrder, Vec<(RouteInfo, Route)>> = BTreeMap::new();
        for (info, handler) in self.infos.into_iter().zip(self.handlers) {
            let is_served = match info.side {
                Side::Command => roles.commands,
                Side::Query => roles.queries,
                Side::System => true,
            };
            if is_served {
                paths.entry(PathOrder::of(&info.path)).or_default().push((info, handler));
            }
        }
        for (path, routes) in paths {
            let (infos, handlers): (Vec<_>, Vec<_>) = routes.into_iter().unzip();
            let table: Rc<[RouteInfo]> = infos.into();
            let mut resource = web::resource(path.text);
            for (info, handler) in table.iter().zip(handlers) {
                resource = resource.route(handler.guard(method_guard(&info.method)));
            }
            app.service(
                resource.wrap(from_fn(move |request, next| gate::pass(table.clone(), request, next))),
            );
        }
    }
}

fn method_guard(method: &Method) -> impl guard::Guard + use<> {
    let guard = guard::Any(guard::Method(method.clone()));
    if *method == Method::GET { guard.or(guard::Head()) } else { guard }
}

/// Orders paths so that actix, which takes the first that matches, prefers literal segments.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PathOrder {
    segments: Vec<(bool, String)>,
    text: String,
}

impl PathOrder {
    fn of(path: &str) -> Self {
        let segments = path.split('/').map(|segment| (segment.contains('{'), segment.to_string())).collect();
        Self { segments, text: path.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_segment_comes_before_a_parameter() {
        let mut paths: Vec<_> =
            ["/posts/{id}", "/posts/{id}/history", "/posts", "/posts/tags"].map(PathOrder::of).into();
        paths.sort();
        let texts: Vec<_> = paths.iter().map(|path| path.text.as_str()).collect();
        assert_eq!(texts, ["/posts", "/posts/tags", "/posts/{id}", "/posts/{id}/history"]);
    }
}
