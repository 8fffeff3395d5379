//! Whole sign-ins at a real and strict OpenID provider.

use annals_tests::{Server, StatusCode, oidc_provider};
use serde_json::json;

use crate::{
    browser::Browser,
    support::{
        acme, appended_with, at_provider, begin, here, server_with, settings, sign_in, signed_in, unique,
    },
};

#[tokio::test]
async fn a_new_person_is_registered_in_one_append_and_comes_back_as_the_same() {
    let Some(issuer) = oidc_provider("a_new_person_is_registered_in_one_append_and_comes_back_as_the_same")
    else {
        return;
    };
    let server = server_with(&[acme(&issuer)]).await;
    let offered = server.api().get("auth/providers").await.expect(StatusCode::OK);
    let expected = json!([{"name": "acme", "label": "Acme", "path": "/api/v1/auth/oidc/acme"}]);
    assert_eq!(offered.at("/data"), &expected);

    let ada = unique("ada");
    let mut browser = Browser::program();
    let url = begin(&server, &mut browser, "auth/oidc/acme", json!({})).await;
    let asked: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["scope"], "openid email profile");
    assert!(asked["nonce"].len() >= 43 && asked["code_challenge"].len() == 43);
    let back = at_provider(&mut browser, &url, &ada).await;
    let first = signed_in(browser.get(&here(&server, &back)).await);

    let api = server.api().with_token(&first.token);
    let me = api.get("auth/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/data/user/email"), &json!(format!("{ada}@example.org")));
    assert_eq!(me.at("/data/user/emailVerified"), &json!(true));
    assert_eq!(me.at("/data/user/name"), &json!(format!("Name of {ada}")));
    assert_eq!(me.at("/data/organization/role"), &json!("owner"));
    let listed = api.get("users/identities").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data/0/provider"), &json!("acme"));
    assert_eq!(listed.at("/data/0/issuer"), &json!(issuer));
    assert_eq!(listed.at("/data/0/email"), &json!(format!("{ada}@example.org")));
    let appended = appended_with(&server, &first.user_id).await;
    for expected in [
        "identity.user.registered",
        "identity.user.email_verified",
        "identity.user.external_identity_linked",
        "identity.user.organization_joined",
        "identity.organization.created",
        "identity.session.opened",
    ] {
        assert!(appended.iter().any(|event| event == expected), "{expected} is not in {appended:?}");
    }

    let again = signed_in(sign_in(&server, &ada).await);
    assert_eq!(again.user_id, first.user_id);
    assert_ne!(again.refresh_token, first.refresh_token);
    let listed = api.get("users/identities").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data").as_array().map(Vec::len), Some(1));
    let sealed: i64 =
        sqlx::query_scalar("select count(*) from events where payload::text like '%' || $1 || '%'")
            .bind(&ada)
            .fetch_one(&server.database().expect("has a database").pool)
            .await
            .expect("reads");
    assert_eq!(sealed, 0, "the subject and the address are sealed");
}

#[tokio::test]
async fn a_state_counts_once_and_only_in_the_browser_that_began() {
    let Some(issuer) = oidc_provider("a_state_counts_once_and_only_in_the_browser_that_began") else {
        return;
    };
    let other =
        json!({"name": "other", "issuer": issuer, "client_id": "annals", "client_secret": "annals-secret"});
    let server = server_with(&[acme(&issuer), other]).await;
    let mut browser = Browser::program();
    let url = begin(&server, &mut browser, "auth/oidc/acme", json!({})).await;
    let back = here(&server, &at_provider(&mut browser, &url, &unique("ada")).await);

    let field = |page: crate::browser::Page, code: &str| {
        let json = page.expect(400).json();
        assert_eq!(json["code"], code, "{json}");
        json["errors"][0]["field"].as_str().unwrap_or_default().to_string()
    };
    // Somebody else is led to the end of it.
    let elsewhere = Browser::program().get(&back).await;
    assert_eq!(field(elsewhere, "AUTHORIZATION_OF_ANOTHER_BROWSER"), "state");
    let mut began_another = Browser::program();
    begin(&server, &mut began_another, "auth/oidc/acme", json!({})).await;
    assert_eq!(field(began_another.get(&back).await, "AUTHORIZATION_OF_ANOTHER_BROWSER"), "state");
    // Made up, cut off, or brought to another's door.
    let forged = back.replace("&state=", "&state=A");
    assert_eq!(field(browser.clone().get(&forged).await, "AUTHORIZATION_INVALID"), "state");
    let door = back.replace("/callback/acme", "/callback/other");
    assert_eq!(field(browser.clone().get(&door).await, "VALIDATION_ERROR"), "state");
    let without = format!("{}/api/v1/auth/callback/acme?code=x", server.url());
    assert_eq!(field(browser.clone().get(&without).await, "VALIDATION_ERROR"), "state");
    assert!(back.contains("&iss="), "the provider says who it is");
    let mixed_up = back.split("&iss=").next().expect("has a part").to_string() + "&iss=https://evil.example";
    assert_eq!(field(browser.clone().get(&mixed_up).await, "VALIDATION_ERROR"), "iss");
    let none = format!("{}/api/v1/auth/oidc/nobody", server.url());
    assert_eq!(browser.clone().post_json(&none, None, json!({})).await.refused(404), "PROVIDER_NOT_FOUND");

    // None of that used it up; coming back does, cookie or not.
    let kept = browser.clone();
    signed_in(browser.get(&back).await);
    assert_eq!(field(browser.get(&back).await, "AUTHORIZATION_OF_ANOTHER_BROWSER"), "state");
    assert_eq!(field(kept.clone().get(&back).await, "AUTHORIZATION_USED"), "state");
    let code_start = back.find("code=").expect("has a code") + 5;
    let code_end = back[code_start..].find('&').expect("more follows") + code_start;
    let other_code = format!("{}another{}", &back[..code_start], &back[code_end..]);
    assert_eq!(field(kept.clone().get(&other_code).await, "AUTHORIZATION_USED"), "state");

    // The code is of no use in another sign-in either.
    let mut third = Browser::program();
    let url = begin(&server, &mut third, "auth/oidc/acme", json!({})).await;
    let asked: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    let code = &back[code_start..code_end];
    let spent = format!("{}/api/v1/auth/callback/acme?code={code}&state={}", server.url(), asked["state"]);
    assert_eq!(field(third.get(&spent).await, "PROVIDER_REFUSED"), "code");
}

#[tokio::test]
async fn who_says_no_at_the_provider_is_told_so() {
    let Some(issuer) = oidc_provider("who_says_no_at_the_provider_is_told_so") else { return };
    let server = server_with(&[acme(&issuer)]).await;
    let mut browser = Browser::program();
    let url = begin(&server, &mut browser, "auth/oidc/acme", json!({})).await;
    let asked: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    let denied = format!(
        "{}/api/v1/auth/callback/acme?error=access_denied&error_description=End-User+aborted&state={}",
        server.url(),
        asked["state"]
    );
    assert_eq!(browser.get(&denied).await.refused(400), "AUTHORIZATION_DENIED");
}

#[tokio::test]
async fn the_secret_is_shown_as_the_provider_wants_it_and_to_nobody_else() {
    let Some(issuer) = oidc_provider("the_secret_is_shown_as_the_provider_wants_it_and_to_nobody_else")
    else {
        return;
    };
    let post = json!({"name": "acme", "issuer": issuer, "client_id": "annals-post",
                      "client_secret": "annals-post-secret", "token_auth": "post"});
    let server = server_with(&[post]).await;
    signed_in(sign_in(&server, &unique("ada")).await);

    let wrong = json!({"name": "acme", "label": "Acme", "issuer": issuer, "client_id": "annals",
                       "client_secret": "hunter2-of-acme"});
    let server = server_with(&[wrong]).await;
    let page = sign_in(&server, &unique("ada")).await;
    assert!(page.headers.contains_key("retry-after"));
    let text = page.text.clone();
    assert_eq!(page.refused(503), "PROVIDER_UNAVAILABLE");
    assert!(text.contains("its operator has to correct them"), "{text}");
    assert!(!text.contains("hunter2") && !server.log().contains("hunter2"));
    let shown = server.command().arg("config").output().expect("runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("acme") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_provider_that_is_away_is_a_clear_error_and_keeps_nobody_from_starting() {
    let away = format!("http://127.0.0.1:{}", annals_tests::free_port());
    let away =
        json!({"name": "acme", "label": "Acme", "issuer": away, "client_id": "us", "client_secret": "x"});
    let server = Server::start_with(settings(&[away])).await;
    let url = format!("{}/api/v1/auth/oidc/acme", server.url());
    let page = Browser::program().post_json(&url, None, json!({})).await;
    let text = page.text.clone();
    assert_eq!(page.refused(503), "PROVIDER_UNAVAILABLE");
    assert!(text.contains("Acme can't be reached now"), "{text}");
    let page = Browser::new().get(&format!("{url}?returnTo=/console")).await.expect(503);
    assert!(
        page.text.contains("Acme can&#39;t be reached now")
            || page.text.contains("Acme can't be reached now")
    );
    assert!(page.text.contains("name=\"password\""), "the other way in is at hand");
}

#[tokio::test]
async fn where_it_ends_is_a_page_of_ours() {
    let Some(issuer) = oidc_provider("where_it_ends_is_a_page_of_ours") else { return };
    let server = server_with(&[acme(&issuer)]).await;
    let url = format!("{}/api/v1/auth/oidc/acme", server.url());
    for elsewhere in ["https://evil.example/", "//evil.example", "/api/v1/auth/me", ""] {
        let page = Browser::program().post_json(&url, None, json!({"returnTo": elsewhere})).await;
        let json = page.expect(400).json();
        assert_eq!(json["errors"][0]["field"], "returnTo", "{elsewhere}: {json}");
    }
    let page = Browser::program().post_json(&url, None, json!({"colour": "red"})).await.expect(400).json();
    assert_eq!(page["errors"][0]["field"], "colour");
    let page = Browser::program().get(&format!("{url}?colour=red")).await.expect(400).json();
    assert_eq!(page["errors"][0]["field"], "colour");
}
