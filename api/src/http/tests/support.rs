//! An app with routes of its own and a directory that a test fills.

use std::{collections::HashMap, sync::Arc};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceResponse},
    http::Method,
    test,
};
use annals_commands::ports::clock::SystemClock;
use annals_domain::kernel::{ApiKeyId, OrganizationId, Role, SessionId, TierName, UserId};
use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    http::{
        Access, Anonymous, Answer, ApiError, ApiResult, Body, Caller, MaybeBody, Query, Routes,
        caller::{Directory, KeyHolder},
        config::{HttpConfig, RateLimitPolicy},
        pages::{FORM_TOKEN_FIELD, PageSession},
        routes::{LimitClass, Side},
        tokens::{TokenSubject, Tokens},
    },
    rights::Rights,
    server,
    state::Edge,
};

pub(crate) const ORGANIZATION: OrganizationId = OrganizationId::new(Uuid::from_u128(100));
pub(super) const ELSEWHERE: OrganizationId = OrganizationId::new(Uuid::from_u128(200));
pub(crate) const ADA: UserId = UserId::new(Uuid::from_u128(1));
pub(crate) const SESSION: SessionId = SessionId::new(Uuid::from_u128(10));

/// Ada with one living session; members, keys and operators as a test says.
#[derive(Default)]
pub(crate) struct People {
    pub(super) members: HashMap<(OrganizationId, UserId), Role>,
    pub(super) keys: HashMap<String, KeyHolder>,
    pub(super) ended: bool,
    pub(super) operator: bool,
    pub(super) tier: &'static str,
}

impl People {
    pub(crate) fn with(role: Role) -> Self {
        Self { members: [((ORGANIZATION, ADA), role)].into(), ..Self::default() }
    }

    pub(super) fn key(mut self, key: &str, scopes: &[&str]) -> Self {
        let holder = KeyHolder {
            id: ApiKeyId::new(Uuid::from_u128(50)),
            creator: ADA,
            organization_id: ORGANIZATION,
            scopes: scopes.iter().map(ToString::to_string).collect(),
        };
        self.keys.insert(key.to_string(), holder);
        self
    }
}

#[async_trait]
impl Directory for People {
    async fn session_is_alive(&self, session: SessionId, user: UserId) -> Result<bool, ApiError> {
        Ok(!self.ended && session == SESSION && user == ADA)
    }

    async fn membership(&self, organization: OrganizationId, user: UserId) -> Result<Option<Role>, ApiError> {
        Ok(self.members.get(&(organization, user)).copied())
    }

    async fn tier(&self, _: OrganizationId) -> Result<TierName, ApiError> {
        let name = if self.tier.is_empty() { "free" } else { self.tier };
        Ok(TierName::parse(name).expect("is a name"))
    }

    async fn api_key(&self, key: &str) -> Result<Option<KeyHolder>, ApiError> {
        Ok(self.keys.get(key).cloned())
    }

    async fn api_key_is_active(&self, key: ApiKeyId) -> Result<bool, ApiError> {
        Ok(self.keys.values().any(|holder| holder.id == key))
    }

    async fn is_operator(&self, _: UserId) -> Result<bool, ApiError> {
        Ok(self.operator)
    }
}

pub(crate) fn config() -> HttpConfig {
    HttpConfig {
        rate_limits: RateLimitPolicy::off(),
        body_bytes_max: 2048,
        ..HttpConfig::new("http://127.0.0.1:3000".parse().expect("a URL"))
    }
}

pub(super) async fn edge(people: People, config: HttpConfig) -> Arc<Edge> {
    let rights = Rights::built_in().await.expect("the built-in policy is valid");
    let tokens = Tokens::new(&[7; 32], &[]);
    Arc::new(Edge::new(config, rights, tokens, Arc::new(people), Arc::new(SystemClock), None))
}

pub(crate) fn token(edge: &Edge) -> String {
    token_at(edge, chrono::Utc::now())
}

pub(super) fn token_at(edge: &Edge, now: chrono::DateTime<chrono::Utc>) -> String {
    let subject = TokenSubject {
        user_id: ADA,
        session_id: SESSION,
        organization_id: ORGANIZATION,
        email: "ada@example.org".into(),
        role: Role::Owner,
    };
    edge.tokens.issue(subject, now).expect("signs")
}

/// A browser in which Ada is signed in to the pages.
pub(crate) struct Browser {
    pub(super) session: PageSession,
    pub(super) cookie: String,
}

impl Browser {
    pub(crate) fn signed_in(edge: &Edge) -> Self {
        let session = PageSession::new(ADA, SESSION, ORGANIZATION);
        let cookie = session.cookie(edge).expect("signs");
        Self { cookie: format!("{}={}", cookie.name(), cookie.value()), session }
    }

    /// The request with the cookie; a form with its token, too.
    pub(crate) fn sends(&self, request: test::TestRequest, side: Side) -> test::TestRequest {
        let request = request.insert_header(("cookie", self.cookie.clone()));
        match side {
            Side::Command => request.set_form([(FORM_TOKEN_FIELD, &self.session.form_token)]),
            Side::Query | Side::System => request,
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Thing {
    name: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Search {
    per_page: Option<u32>,
}

/// One route of each kind.
pub(super) fn routes() -> Routes {
    let mut routes = Routes::new();
    routes.command(Method::POST, "/login", Access::Anonymous, login).limit(LimitClass::Auth);
    routes.command(Method::POST, "/things", Access::Right("post", "create"), create);
    routes.command(Method::DELETE, "/things/{id}", Access::Right("post", "delete"), remove);
    routes.command(Method::POST, "/password", Access::Session, note);
    routes.command(Method::PUT, "/orgs/{id}", Access::RightIn("id", "organization", "update"), note);
    routes.command(Method::POST, "/admin", Access::Right("system", "manage"), note);
    routes.query("/things", Access::Right("post", "read"), list);
    routes.query("/things/{id}", Access::Right("post", "read"), show);
    routes.query("/me", Access::SignedIn, me);
    routes.query("/panic", Access::Anonymous, panics);
    routes.query("/slow", Access::Anonymous, slow);
    routes.root_query("/feeds/{id}", Access::Anonymous, me_not);
    routes
}

async fn login(who: Anonymous, body: Body<Thing>) -> ApiResult {
    let request =
        who.context.idempotency.map(|key| (key.scope, String::from_utf8_lossy(&key.request).into_owned()));
    Answer::ok(serde_json::json!({"name": body.name, "idempotency": request})).respond()
}

async fn create(caller: Caller, body: Body<Thing>) -> ApiResult {
    let context = caller.context;
    let data = serde_json::json!({
        "name": body.name,
        "actor": context.actor,
        "organization": context.organization_id,
        "source": context.source,
        "expected": context.expected_version,
        "requestId": context.request_id,
        "subject": context.client_subject,
        "key": context.idempotency.as_ref().map(|key| &key.key),
        "scope": context.idempotency.as_ref().map(|key| &key.scope),
    });
    Answer::created(data).position(42).version(1).respond()
}

async fn remove(caller: Caller, id: actix_web::web::Path<Uuid>) -> ApiResult {
    caller.require("post", "manage")?;
    Answer::ok(id.to_string()).respond()
}

async fn note(caller: Caller, body: MaybeBody<Thing>) -> ApiResult {
    let data = serde_json::json!({
        "role": caller.role, "organization": caller.organization_id, "name": body.0.map(|thing| thing.name),
    });
    Answer::ok(data).respond()
}

async fn list(_: Caller, search: Query<Search>) -> ApiResult {
    Answer::ok(search.per_page).page(crate::http::Page::of(41, 1, 20)).respond()
}

async fn show(caller: Caller, id: actix_web::web::Path<Uuid>) -> ApiResult {
    use crate::http::own_writes::Reads;
    let after = format!("{:?}", caller.read_after());
    Answer::ok(serde_json::json!({"id": *id, "after": after})).version(7).respond()
}

async fn me(caller: Caller) -> ApiResult {
    Answer::ok(serde_json::json!({"id": caller.user_id, "member": caller.is_member})).respond()
}

async fn me_not(_: Anonymous) -> ApiResult {
    Answer::ok("anyone").respond()
}

#[expect(clippy::panic, reason = "it is what this route is for")]
async fn panics(_: Anonymous) -> ApiResult {
    panic!("on purpose")
}

async fn slow(_: Anonymous) -> ApiResult {
    std::future::pending().await
}

/// A request's answer: status, headers and JSON.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: actix_web::http::header::HeaderMap,
    pub(super) body: Value,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("is text"))
    }

    #[track_caller]
    pub(super) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, &self.body["code"]), (status, &code.into()), "{}", self.body);
        assert_eq!(self.body["success"], false);
        assert_eq!(self.body["statusCode"], status);
        assert!(self.body["timestamp"].is_string());
        assert_eq!(self.body["requestId"], self.header("x-request-id"), "the id of the header");
    }
}

/// Calls an app made of [`routes`].
pub(super) async fn call(edge: &Arc<Edge>, request: test::TestRequest) -> Answered {
    let app = test::init_service(server::app(None, Arc::clone(edge), routes())).await;
    answered(app.call(request.peer_addr("203.0.113.7:4711".parse().expect("an address")).to_request()).await)
        .await
}

async fn answered<B: MessageBody>(result: Result<ServiceResponse<B>, Error>) -> Answered {
    let (status, headers, body) = match result {
        Ok(response) => {
            let (status, headers) = (response.status(), response.headers().clone());
            (status, headers, test::read_body(response).await)
        }
        Err(error) => {
            let response = error.as_response_error().error_response();
            let (status, headers) = (response.status(), response.headers().clone());
            let body =
                actix_web::body::to_bytes::<BoxBody>(response.into_body()).await.expect("a whole body");
            (status, headers, body)
        }
    };
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answered { status: status.as_u16(), headers, body }
}

pub(super) fn get(path: &str) -> test::TestRequest {
    test::TestRequest::get().uri(path)
}

pub(super) fn post(path: &str, body: &Value) -> test::TestRequest {
    test::TestRequest::post().uri(path).set_json(body)
}

/// Adds the header of a signed-in call.
pub(super) fn signed(request: test::TestRequest, credential: &str) -> test::TestRequest {
    request.insert_header(("authorization", format!("Bearer {credential}")))
}
