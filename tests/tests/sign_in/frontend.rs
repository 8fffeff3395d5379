//! A frontend of its own address: people are sent back to its page, and it takes the session over.

use annals_tests::{Server, StatusCode, oidc_provider};
use serde_json::json;
use url::Url;

use crate::{
    browser::Browser,
    support::{acme, at_provider, begin, here, settings, signed_in, unique},
};

fn behind_hash(url: &Url, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes());
    pairs.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
}

#[tokio::test]
async fn a_frontend_gets_a_code_and_exchanges_it_once() {
    let Some(issuer) = oidc_provider("a_frontend_gets_a_code_and_exchanges_it_once") else { return };
    let settings =
        settings(&[acme(&issuer)]).variable("ANNALS_AUTH_RETURN_URLS", "https://app.example.org/in");
    let server = Server::start_with(settings).await;
    let body = json!({"returnTo": "https://app.example.org/in?state=mine"});
    let mut browser = Browser::new();
    let url = begin(&server, &mut browser, "auth/oidc/acme", body.clone()).await;
    let back = at_provider(&mut browser, &url, &unique("ada")).await;
    let to = browser.get(&here(&server, &back)).await.expect(303).leads_to();
    assert!(to.as_str().starts_with("https://app.example.org/in?state=mine#code="), "{to}");
    let code = behind_hash(&to, "code").expect("has a code");
    assert!(!code.contains("rt_"), "what stands in an address is sealed");

    let exchange = |code: &str| {
        let code = code.to_string();
        let url = format!("{}/api/v1/auth/exchange", server.url());
        async move { Browser::program().post_json(&url, None, json!({"code": code})).await }
    };
    assert_eq!(exchange("nonsense").await.refused(400), "SIGN_IN_CODE_INVALID");
    assert_eq!(exchange(&format!("{code}A")).await.refused(400), "SIGN_IN_CODE_INVALID");
    assert_eq!(exchange("").await.expect(400).json()["errors"][0]["field"], "code");
    let signed = signed_in(exchange(&code).await);
    let api = server.api().with_token(&signed.token);
    api.get("auth/me").await.expect(StatusCode::OK);
    // Whoever comes second shows that it leaked: the session ends.
    assert_eq!(exchange(&code).await.refused(401), "SESSION_ENDED");
    api.get("auth/me").await.expect(StatusCode::UNAUTHORIZED);

    // What went wrong is told there, too.
    let url = begin(&server, &mut browser, "auth/oidc/acme", body).await;
    let back = at_provider(&mut Browser::new(), &url, &unique("unverified-eve")).await;
    let to = browser.get(&here(&server, &back)).await.expect(303).leads_to();
    assert_eq!(behind_hash(&to, "error").as_deref(), Some("EMAIL_NOT_VERIFIED_THERE"), "{to}");
    assert!(
        behind_hash(&to, "error_description").is_some_and(|words| words.contains("Acme has not verified"))
    );
}
