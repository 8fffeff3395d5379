//! Google as `emulate` has it: both names of the callback, and its settings.

use std::collections::HashMap;

use annals_tests::{Server, Settings, StatusCode, emulated};
use serde_json::json;
use url::Url;

use crate::{
    browser::Browser,
    support::{begin, here, signed_in},
};

fn settings(google: &str) -> Settings {
    // Where Google's console has the callbacks registered.
    Settings::default()
        .variable("ANNALS_PUBLIC_URL", "http://127.0.0.1:3000")
        .variable("GOOGLE_CLIENT_ID", "annals.apps.example")
        .variable("GOOGLE_CLIENT_SECRET", "annals-google-secret")
        .variable("ANNALS_AUTH_GOOGLE_ISSUER", google)
}

/// Chooses an account on Google's page; where that leads back to.
async fn at_google(browser: &mut Browser, url: &Url, email: &str) -> Url {
    let page = browser.get(url.as_str()).await.expect(200);
    assert!(page.text.contains("Sign in to") && page.text.contains(email), "{}", page.text);
    let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
    let mut form = vec![("email", email)];
    for name in
        ["redirect_uri", "scope", "state", "nonce", "client_id", "code_challenge", "code_challenge_method"]
    {
        form.push((name, &asked[name]));
    }
    let submit = url.join("/o/oauth2/v2/auth/callback").expect("is a URL");
    browser.post(submit.as_str(), &form).await.leads_to()
}

#[tokio::test]
async fn people_sign_in_with_google_through_either_callback() {
    let Some(parts) = emulated("people_sign_in_with_google_through_either_callback") else { return };
    let server = Server::start_with(settings(&parts.google)).await;
    let offered = server.api().get("auth/providers").await.expect(StatusCode::OK);
    assert_eq!(offered.at("/data/0/path"), &json!("/api/v1/auth/google"));

    let mut browser = Browser::program();
    let url = begin(&server, &mut browser, "auth/google", json!({})).await;
    let back = at_google(&mut browser, &url, "ada@example.org").await;
    assert_eq!(back.path(), "/api/v1/auth/google/callback");
    let first = signed_in(browser.get(&here(&server, &back)).await);
    let api = server.api().with_token(&first.token);
    let me = api.get("auth/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/data/user/name"), &json!("Ada Lovelace"));
    let listed = api.get("users/identities").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data/0/provider"), &json!("google"));

    // A browser that goes there, and the other name of the callback.
    let mut browser = Browser::program();
    let to = browser.get(&format!("{}/api/v1/auth/google", server.url())).await.expect(303).leads_to();
    let back = at_google(&mut browser, &to, "ada@example.org").await;
    let other_name = here(&server, &back).replace("/auth/google/callback", "/auth/callback/google");
    assert_eq!(signed_in(browser.get(&other_name).await).user_id, first.user_id);

    let mut browser = Browser::program();
    let url = begin(&server, &mut browser, "auth/google", json!({})).await;
    let back = at_google(&mut browser, &url, "unverified@example.org").await;
    assert_eq!(browser.get(&here(&server, &back)).await.refused(403), "EMAIL_NOT_VERIFIED_THERE");
}

#[tokio::test]
async fn without_its_settings_there_is_no_google() {
    let server = Server::start().await;
    let refused = server.api().post("auth/google", json!({})).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(refused.at("/code"), &json!("PROVIDER_NOT_FOUND"));
    let offered = server.api().get("auth/providers").await.expect(StatusCode::OK);
    assert_eq!(offered.at("/data"), &json!([]));
    let page = Browser::new().get(&format!("{}/console/sign-in", server.url())).await.expect(200);
    assert!(!page.text.contains("Sign in with"), "{}", page.text);
}

#[tokio::test]
async fn beginning_is_limited_as_other_guesses_are() {
    let Some(parts) = emulated("beginning_is_limited_as_other_guesses_are") else { return };
    let limited = settings(&parts.google).flag("--set").flag("rate_limits.auth_per_minute=3");
    let flags = limited.flags.iter().filter(|flag| !["--rate-limits", "off"].contains(&flag.as_str()));
    let server = Server::start_with(Settings { flags: flags.cloned().collect(), ..limited.clone() }).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(server.api().post("auth/google", json!({})).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
}
