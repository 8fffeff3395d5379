//! OAuth 2 without an ID token: GitHub as `emulate` has it.

use std::collections::HashMap;

use annals_tests::{Server, StatusCode, emulated};
use serde_json::{Value, json};
use url::Url;

use crate::{
    browser::{Browser, Page},
    support::{begin, here, settings, signed_in},
};

fn github(url: &str, secret: &str) -> Value {
    json!({
        "name": "github",
        "label": "GitHub",
        "client_id": "annals-github",
        "client_secret": secret,
        "scopes": ["read:user", "user:email"],
        "authorization_url": format!("{url}/login/oauth/authorize"),
        "token_url": format!("{url}/login/oauth/access_token"),
        "user_url": format!("{url}/user"),
        "emails_url": format!("{url}/user/emails"),
    })
}

async fn server(url: &str, secret: &str) -> Server {
    let settings = settings(&[github(url, secret)]).variable("ANNALS_PUBLIC_URL", "http://127.0.0.1:3000");
    Server::start_with(settings).await
}

/// Signs in as this login: the address of ours that it leads back to.
async fn led_back(server: &Server, browser: &mut Browser, login: &str) -> String {
    let url: Url = begin(server, browser, "auth/oidc/github", json!({})).await;
    let page = browser.get(url.as_str()).await.expect(200);
    assert!(page.text.contains(login), "{}", page.text);
    let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
    let mut form = vec![("login", login)];
    for name in ["redirect_uri", "scope", "state", "client_id"] {
        form.push((name, &asked[name]));
    }
    let submit = url.join("/login/oauth/callback").expect("is a URL");
    here(server, &browser.post(submit.as_str(), &form).await.leads_to())
}

async fn sign_in(server: &Server, login: &str) -> Page {
    let mut browser = Browser::program();
    let back = led_back(server, &mut browser, login).await;
    browser.get(&back).await
}

#[tokio::test]
async fn who_it_is_two_endpoints_tell() {
    let Some(parts) = emulated("who_it_is_two_endpoints_tell") else { return };
    let server = server(&parts.github, "annals-github-secret").await;
    let first = signed_in(sign_in(&server, "ada-lovelace").await);
    let api = server.api().with_token(&first.token);
    let me = api.get("auth/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/data/user/email"), &json!("ada@example.org"));
    assert_eq!(me.at("/data/user/emailVerified"), &json!(true));
    assert_eq!(me.at("/data/user/name"), &json!("Ada Lovelace"));
    let listed = api.get("users/identities").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data/0/issuer"), &json!(parts.github));
    assert_eq!(signed_in(sign_in(&server, "ada-lovelace").await).user_id, first.user_id);
    assert_ne!(signed_in(sign_in(&server, "grace-hopper").await).user_id, first.user_id);

    // A refusal with status 200 is one.
    let mut browser = Browser::program();
    let back = led_back(&server, &mut browser, "ada-lovelace").await;
    let wrong = back.replace("?code=", "?code=0");
    assert_eq!(browser.get(&wrong).await.refused(400), "PROVIDER_REFUSED");
}

#[tokio::test]
async fn a_wrong_secret_is_the_operator_s_to_correct() {
    let Some(parts) = emulated("a_wrong_secret_is_the_operator_s_to_correct") else { return };
    let server = server(&parts.github, "hunter2").await;
    let page = sign_in(&server, "ada-lovelace").await;
    assert_eq!(page.refused(503), "PROVIDER_UNAVAILABLE");
    assert!(!server.log().contains("hunter2"));
}
