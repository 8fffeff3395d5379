//! An issuer of the tests' own: what it signs, and with what, is said by the test. It follows OpenID Connect
//! Core and Discovery as far as a sign-in needs it.

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpServer, web};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

/// The issuer, and what it does next.
#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) issuer: String,
    next: Arc<Mutex<Next>>,
}

struct Next {
    /// What it signs with.
    key: SigningKey,
    key_id: String,
    /// What its keys are, as it says.
    published: Value,
    claims: Value,
    /// In place of a signed token.
    token: Option<String>,
    user: Value,
}

fn new_key() -> SigningKey {
    SigningKey::from_bytes(&rand::random())
}

fn published(key: &SigningKey, id: &str) -> Value {
    let x = BASE64.encode(key.verifying_key().as_bytes());
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": id, "x": x}]})
}

impl Stub {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let issuer = format!("http://{}", listener.local_addr().expect("is bound"));
        let key = new_key();
        let next = Next {
            published: published(&key, "one"),
            key,
            key_id: "one".to_string(),
            claims: Value::Null,
            token: None,
            user: Value::Null,
        };
        let stub = Self { issuer, next: Arc::new(Mutex::new(next)) };
        let data = web::Data::new(stub.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/.well-known/openid-configuration", web::get().to(configuration))
                .route("/keys", web::get().to(keys))
                .route("/token", web::post().to(token))
                .route("/me", web::get().to(me))
        });
        let server = server.workers(1).disable_signals().listen(listener).expect("listens").run();
        tokio::spawn(server);
        stub
    }

    /// What the next token says. Who signs in is verified unless it says otherwise.
    pub(crate) fn says(&self, claims: Value) {
        self.next.lock().expect("is not poisoned").claims = claims;
    }

    pub(crate) fn says_of_the_user(&self, user: Value) {
        self.next.lock().expect("is not poisoned").user = user;
    }

    /// A token as it stands.
    pub(crate) fn gives(&self, token: Option<String>) {
        self.next.lock().expect("is not poisoned").token = token;
    }

    /// From now on another key signs; whether the issuer says which is up to the test.
    pub(crate) fn rotates(&self, id: &str, publishes: bool) {
        let mut next = self.next.lock().expect("is not poisoned");
        next.key = new_key();
        next.key_id = id.to_string();
        if publishes {
            next.published = published(&next.key, id);
        }
    }
}

async fn configuration(stub: web::Data<Stub>) -> web::Json<Value> {
    let at = |path: &str| format!("{}/{path}", stub.issuer);
    web::Json(json!({
        "issuer": stub.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("me"),
        "jwks_uri": at("keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys(stub: web::Data<Stub>) -> web::Json<Value> {
    web::Json(stub.next.lock().expect("is not poisoned").published.clone())
}

async fn token(stub: web::Data<Stub>) -> web::Json<Value> {
    let next = stub.next.lock().expect("is not poisoned");
    let token = next.token.clone().unwrap_or_else(|| {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": next.key_id});
        let signed = format!("{}.{}", encoded(&header), encoded(&next.claims));
        let signature = next.key.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature.to_bytes()))
    });
    web::Json(json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token}))
}

async fn me(stub: web::Data<Stub>) -> web::Json<Value> {
    web::Json(stub.next.lock().expect("is not poisoned").user.clone())
}

/// A token that nobody signed.
pub(crate) fn unsigned(claims: &Value) -> String {
    format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(claims))
}

fn encoded(json: &Value) -> String {
    BASE64.encode(json.to_string())
}
