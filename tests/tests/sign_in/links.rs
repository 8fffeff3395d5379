//! Linking accounts at providers to one's own, and unlinking them.

use annals_tests::{Account, Server, StatusCode, oidc_provider};
use serde_json::{Value, json};
use url::Url;

use crate::{
    browser::{Browser, Page},
    support::{acme, at_provider, here, server_with, sign_in, signed_in, unique},
};

/// Begins to link, and signs in at the provider as `who`: where it leads back to.
async fn led_back(server: &Server, browser: &mut Browser, token: &str, who: &str) -> String {
    let begin = format!("{}/api/v1/users/identities", server.url());
    let begun = browser.post_json(&begin, Some(token), json!({"provider": "acme"})).await.expect(200).json();
    let url: Url = begun["data"]["url"].as_str().expect("is told").parse().expect("is a URL");
    here(server, &at_provider(browser, &url, who).await)
}

async fn link(server: &Server, token: &str, who: &str) -> Page {
    let mut browser = Browser::program();
    let back = led_back(server, &mut browser, token, who).await;
    browser.get(&back).await
}

async fn linked(account: &Account) -> Value {
    account.api.get("users/identities").await.expect(StatusCode::OK).at("/data").clone()
}

/// A registered person with their token.
async fn registered(server: &Server, name: &str) -> (Account, String) {
    let account = server.api().register(name).await;
    let refreshed = server.api().post("auth/refresh", json!({"refreshToken": account.refresh_token})).await;
    let token = refreshed.expect(StatusCode::OK).text_at("/data/accessToken");
    (Account { api: server.api().with_token(&token), ..account }, token)
}

#[tokio::test]
async fn an_account_is_linked_to_whoever_began_and_to_nobody_else() {
    let Some(issuer) = oidc_provider("an_account_is_linked_to_whoever_began_and_to_nobody_else") else {
        return;
    };
    let server = server_with(&[acme(&issuer)]).await;
    let (bob, token) = registered(&server, "Bob").await;
    let (eve, eves_token) = registered(&server, "Eve").await;
    // Not verified there, and another address: whoever is signed in here may link it all the same.
    let there = unique("unverified-bob");
    let answer = link(&server, &token, &there).await.expect(201).json();
    let id = answer["data"]["id"].as_str().expect("has an id").to_string();
    assert_eq!(linked(&bob).await[0]["id"], json!(id));
    assert_eq!(signed_in(sign_in(&server, &there).await).user_id, bob.user_id);

    let again = link(&server, &token, &there).await.expect(201).json();
    assert_eq!(again["data"]["id"], json!(id), "linked once, however often");
    assert_eq!(link(&server, &token, &unique("x")).await.refused(409), "IDENTITY_LINKED_DIFFERENTLY");
    assert_eq!(link(&server, &eves_token, &there).await.refused(409), "IDENTITY_LINKED_ELSEWHERE");
    assert_eq!(linked(&eve).await, json!([]));

    // Nobody else's to see or to take away.
    let path = format!("users/identities/{id}");
    eve.api.delete(&path).await.expect(StatusCode::NOT_FOUND);
    server.api().delete(&path).await.expect(StatusCode::UNAUTHORIZED);
    let admin = eve.member("admin").await;
    admin.delete(&path).await.expect(StatusCode::NOT_FOUND);
    let key = bob.api.post("settings/api-keys", json!({"name": "CI"})).await.expect(StatusCode::CREATED);
    let key = server.api().with_token(&key.text_at("/data/key"));
    key.delete(&path).await.expect(StatusCode::FORBIDDEN);
    key.post("users/identities", json!({"provider": "acme"})).await.expect(StatusCode::FORBIDDEN);

    bob.api.delete(&path).await.expect(StatusCode::OK);
    assert_eq!(linked(&bob).await, json!([]));
    assert_eq!(link(&server, &eves_token, &there).await.status.as_u16(), 201, "it is free again");
    assert_eq!(signed_in(sign_in(&server, &there).await).user_id, eve.user_id);
}

#[tokio::test]
async fn who_signed_out_meanwhile_links_nothing_and_nobody_ends_it_for_another() {
    let Some(issuer) = oidc_provider("who_signed_out_meanwhile_links_nothing_and_nobody_ends_it_for_another")
    else {
        return;
    };
    let server = server_with(&[acme(&issuer)]).await;
    let (bob, token) = registered(&server, "Bob").await;
    let mut browser = Browser::program();
    let back = led_back(&server, &mut browser, &token, &unique("bob")).await;
    // The page that leads somebody else to this end finds a browser that began nothing.
    let another = Browser::program().get(&back).await.refused(400);
    assert_eq!(another, "AUTHORIZATION_OF_ANOTHER_BROWSER");
    bob.api.post("auth/logout", json!({})).await.expect(StatusCode::OK);
    assert_eq!(browser.get(&back).await.refused(401), "SESSION_ENDED");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_by_name() {
    let Some(issuer) = oidc_provider("what_is_asked_wrongly_is_refused_by_name") else { return };
    let server = server_with(&[acme(&issuer)]).await;
    let (bob, _) = registered(&server, "Bob").await;
    let post = |body: Value| bob.api.post("users/identities", body);
    post(json!({"provider": "nobody"})).await.expect_field(StatusCode::BAD_REQUEST, "provider");
    post(json!({})).await.expect_field(StatusCode::BAD_REQUEST, "provider");
    let elsewhere = json!({"provider": "acme", "returnTo": "https://evil.example"});
    post(elsewhere).await.expect_field(StatusCode::BAD_REQUEST, "returnTo");
    post(json!({"provider": "acme", "colour": 1})).await.expect_field(StatusCode::BAD_REQUEST, "colour");
    bob.api.delete("users/identities/nonsense").await.expect(StatusCode::NOT_FOUND);
    server.api().get("users/identities").await.expect(StatusCode::UNAUTHORIZED);
}
