//! Servers with providers, and what people do at them.

use annals_tests::{Server, Settings};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::browser::{Browser, Page};

/// A name that nobody else in this run has.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", &Uuid::new_v4().simple().to_string()[..12])
}

/// The real OpenID provider under the name `acme`.
pub(crate) fn acme(issuer: &str) -> Value {
    json!({"name": "acme", "label": "Acme", "issuer": issuer, "client_id": "annals", "client_secret": "annals-secret"})
}

/// A server that people can sign in to with these.
pub(crate) async fn server_with(providers: &[Value]) -> Server {
    Server::start_with(settings(providers)).await
}

pub(crate) fn settings(providers: &[Value]) -> Settings {
    Settings::default().variable("ANNALS_AUTH_PROVIDERS", Value::from(providers))
}

/// What comes after the server's address in a URL that may be of its public one.
pub(crate) fn here(server: &Server, url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{}{query}", server.url(), url.path())
}

/// Begins as a program does: where the person is sent.
pub(crate) async fn begin(server: &Server, browser: &mut Browser, path: &str, body: Value) -> Url {
    let begun = browser.post_json(&format!("{}/api/v1/{path}", server.url()), None, body).await.expect(200);
    begun.json()["data"]["url"].as_str().expect("is told").parse().expect("is a URL")
}

/// Signs in on the pages of `oidc-provider`, as whoever one says one is; where it leads back to.
pub(crate) async fn at_provider(browser: &mut Browser, url: &Url, who: &str) -> Url {
    let provider = url.origin();
    let mut page = browser.get(url.as_str()).await;
    for _ in 0..10 {
        let next = page.leads_to();
        if next.origin() != provider {
            return next;
        }
        page = browser.get(next.as_str()).await;
        if page.text.contains("name=\"login\"") {
            let form = [("prompt", "login"), ("login", who), ("password", "any")];
            page = browser.post(next.as_str(), &form).await;
        } else if page.text.contains("value=\"consent\"") {
            page = browser.post(next.as_str(), &[("prompt", "consent")]).await;
        }
    }
    panic!("the provider never leads back");
}

/// A whole sign-in of a program at `acme`, up to the callback's answer.
pub(crate) async fn sign_in(server: &Server, who: &str) -> Page {
    let mut browser = Browser::program();
    let url = begin(server, &mut browser, "auth/oidc/acme", json!({})).await;
    let back = at_provider(&mut browser, &url, who).await;
    browser.get(&here(server, &back)).await
}

/// What an answer that signed somebody in says.
pub(crate) struct SignedIn {
    pub(crate) user_id: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

#[track_caller]
pub(crate) fn signed_in(page: Page) -> SignedIn {
    let data = page.expect(200).json()["data"].take();
    let text = |value: &Value| value.as_str().expect("is a text").to_string();
    SignedIn {
        user_id: text(&data["user"]["id"]),
        token: text(&data["accessToken"]),
        refresh_token: text(&data["refreshToken"]),
    }
}

/// Verifies an account's address with the link that was mailed.
pub(crate) async fn verify(server: &Server, user_id: &str) {
    let token = mailed(server, user_id, "verify-email#token=").await;
    let verified = server.api().post("auth/verify-email", json!({"token": token})).await;
    verified.expect(annals_tests::StatusCode::OK);
}

/// The token in the mail to a user whose link contains this.
pub(crate) async fn mailed(server: &Server, user_id: &str, link: &str) -> String {
    let folder = server.data().join(format!("mail/user-{user_id}"));
    let within = std::time::Duration::from_secs(60);
    annals_tests::eventually("the mail is written", within, || async {
        let files = std::fs::read_dir(&folder).ok()?;
        let texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
        texts.into_iter().find_map(|text| {
            let token = text.split(link).nth(1)?.split_whitespace().next()?;
            Some(token.to_string())
        })
    })
    .await
}

/// The types of the events of one append, by one of its aggregates.
pub(crate) async fn appended_with(server: &Server, aggregate_id: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select event_type from events where metadata->>'correlation_id' = (
             select metadata->>'correlation_id' from events where aggregate_id = $1 order by position limit 1)
         order by position",
    )
    .bind(aggregate_id)
    .fetch_all(&server.database().expect("has a database").pool)
    .await
    .expect("reads")
}
