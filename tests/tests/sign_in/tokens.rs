//! ID tokens that are not what they have to be let nobody in. The issuer is the tests' own: real ones can't
//! be made to sign such tokens.

use std::collections::HashMap;

use annals_tests::Server;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, Page},
    stub::{Stub, unsigned},
    support::{begin, server_with, signed_in},
};

/// A server that trusts the stub, and a sign-in under way.
struct Visit<'s> {
    server: &'s Server,
    browser: Browser,
    asked: HashMap<String, String>,
}

impl<'s> Visit<'s> {
    async fn new(server: &'s Server) -> Self {
        let mut browser = Browser::program();
        let url = begin(server, &mut browser, "auth/oidc/acme", json!({})).await;
        Self { server, browser, asked: url.query_pairs().into_owned().collect() }
    }

    /// What a right token says, of somebody with a verified address.
    fn claims(&self, stub: &Stub) -> Value {
        let now = chrono::Utc::now().timestamp();
        json!({
            "iss": stub.issuer, "sub": "ada", "aud": "us", "iat": now, "exp": now + 300,
            "nonce": self.asked["nonce"], "email": "ada@example.org", "email_verified": true, "name": "Ada",
        })
    }

    async fn comes_back(&mut self) -> Page {
        let state = &self.asked["state"];
        self.browser
            .get(&format!("{}/api/v1/auth/callback/acme?code=c&state={state}", self.server.url()))
            .await
    }
}

async fn house() -> (Stub, Server) {
    let stub = Stub::start();
    let acme = json!({"name": "acme", "label": "Acme", "issuer": stub.issuer, "client_id": "us", "client_secret": "s"});
    let server = server_with(&[acme]).await;
    (stub, server)
}

#[tokio::test]
async fn a_token_that_is_not_for_us_of_now_and_of_this_sign_in_lets_nobody_in() {
    let (stub, server) = house().await;
    let now = chrono::Utc::now().timestamp();
    for (claim, value, words) in [
        ("aud", json!("somebody-else"), "it is for another client"),
        ("aud", json!(["us", "somebody-else"]), "it is for another client"),
        ("nonce", json!("another"), "it is of another sign-in"),
        ("nonce", Value::Null, "it is of another sign-in"),
        ("exp", json!(now - 3_600), "it has expired"),
        ("iss", json!("https://evil.example"), "it is of another issuer"),
    ] {
        let mut visit = Visit::new(&server).await;
        let mut claims = visit.claims(&stub);
        match value.is_null() {
            true => drop(claims.as_object_mut().expect("is one").remove(claim)),
            false => claims[claim] = value.clone(),
        }
        stub.says(claims);
        let page = visit.comes_back().await;
        assert!(page.text.contains(words), "{claim} {value}: {}", page.text);
        assert_eq!(page.refused(400), "PROVIDER_NOT_TRUSTED");
    }
    let mut visit = Visit::new(&server).await;
    let mut forged = visit.claims(&stub);
    forged["sub"] = json!("root");
    stub.gives(Some(unsigned(&forged)));
    assert_eq!(visit.comes_back().await.refused(400), "PROVIDER_NOT_TRUSTED");
    let log = server.log();
    assert!(log.contains("a sign-in provider's answer is not trusted"), "{log}");
    let users: i64 = sqlx::query_scalar("select count(*) from events")
        .fetch_one(&server.database().expect("has a database").pool)
        .await
        .expect("reads");
    assert_eq!(users, 0, "nothing was recorded");

    stub.gives(None);
    let mut visit = Visit::new(&server).await;
    stub.says(visit.claims(&stub));
    signed_in(visit.comes_back().await);
}

#[tokio::test]
async fn a_key_that_came_since_is_found_and_one_that_nobody_published_is_not() {
    let (stub, server) = house().await;
    let mut visit = Visit::new(&server).await;
    stub.says(visit.claims(&stub));
    signed_in(visit.comes_back().await);
    for id in ["two", "two"] {
        // Another key, once under another name and once under the same.
        stub.rotates(id, true);
        let mut visit = Visit::new(&server).await;
        stub.says(visit.claims(&stub));
        signed_in(visit.comes_back().await);
    }
    stub.rotates("two", false);
    let mut visit = Visit::new(&server).await;
    stub.says(visit.claims(&stub));
    let page = visit.comes_back().await;
    assert!(page.text.contains("its signature does not hold"), "{}", page.text);
    assert_eq!(page.refused(400), "PROVIDER_NOT_TRUSTED");
}

#[tokio::test]
async fn an_address_is_asked_for_where_the_token_has_none_and_of_the_same_account_only() {
    let (stub, server) = house().await;
    let mut visit = Visit::new(&server).await;
    let mut claims = visit.claims(&stub);
    claims.as_object_mut().expect("is one").remove("email");
    stub.says(claims);
    stub.says_of_the_user(
        json!({"sub": "somebody-else", "email": "eve@example.org", "email_verified": true}),
    );
    assert_eq!(visit.comes_back().await.refused(400), "PROVIDER_NOT_TRUSTED");

    let mut visit = Visit::new(&server).await;
    let mut claims = visit.claims(&stub);
    claims.as_object_mut().expect("is one").remove("email");
    stub.says(claims);
    // Some write the truth as a text.
    stub.says_of_the_user(json!({"sub": "ada", "email": "ada@example.org", "email_verified": "true"}));
    signed_in(visit.comes_back().await);
}
