//! The way to a token, and what a server that is none is told apart by.

use std::collections::HashMap;

use annals_commands::ports::social::{
    AuthorizationGrant, AuthorizationRequest, FailureClass, SocialProvider,
};
use serde_json::{Value, json};
use url::Url;

use crate::server::{REDIRECT, connect, mastodon, server};

#[tokio::test]
async fn an_account_is_connected_by_its_owner_and_the_app_asks_for_little() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let provider = mastodon();
    let platform = provider.oauth2().unwrap();
    let redirect_uri: Url = REDIRECT.parse().unwrap();
    let prepared = platform.prepare(json!({"server": server.url}), &redirect_uri).await.unwrap();
    let request = AuthorizationRequest {
        redirect_uri: redirect_uri.clone(),
        state: "s&s".to_string(),
        code_challenge: "challenge".to_string(),
    };
    let url = platform.authorization_url(&prepared, &request).unwrap();
    let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("state", "s&s"),
        ("code_challenge", "challenge"),
        ("code_challenge_method", "S256"),
        ("scope", "read:accounts read:statuses write:statuses write:media"),
    ];
    for (name, value) in expected {
        assert_eq!(asked[name], value, "{name}");
    }
    let connected = connect(&server, &account, json!({})).await.unwrap();
    assert_eq!(connected.remote_id, format!("{}/{}", server.url, account.id));
    assert_eq!(connected.handle, Some(format!("@{}@127.0.0.1", account.username)));
    assert_eq!(connected.credentials["visibility"], "public");
    // Mastodon's tokens do not end, so nothing has to be refreshed.
    assert_eq!(provider.expires_at(&connected.credentials), None);
}

#[tokio::test]
async fn a_wrong_code_a_server_that_is_none_and_a_private_address_are_told_apart() {
    let Some(server) = server() else { return };
    let provider = mastodon();
    let platform = provider.oauth2().unwrap();
    let redirect_uri: Url = REDIRECT.parse().unwrap();
    let prepared = platform.prepare(json!({"server": server.url}), &redirect_uri).await.unwrap();
    let grant = AuthorizationGrant {
        code: "not a code".to_string(),
        code_verifier: "v".to_string(),
        redirect_uri: redirect_uri.clone(),
    };
    let error = platform.complete(prepared, grant).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent, "{error}");
    assert!(error.message.contains("invalid_grant"), "{error}");

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let refused = async |fields: Value| platform.prepare(fields, &redirect_uri).await.unwrap_err();
    assert_eq!(refused(json!({"server": nobody})).await.class, FailureClass::Retry);
    let private = refused(json!({"server": "https://10.0.0.1"})).await;
    assert_eq!(private.class, FailureClass::BadContent);
    assert!(private.message.contains("private address"), "{private}");
    let seen = refused(json!({"server": server.url, "visibility": "everyone"})).await;
    assert_eq!(seen.message, "visibility must be public, unlisted, private or direct");
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_refresh_keeps_the_refresh_token_that_the_server_does_not_replace() {
    let Some(server) = server() else { return };
    let account = server.account().await;
    let connected = connect(&server, &account, json!({})).await.unwrap();
    let channel = crate::server::channel_of(connected);
    // Without a refresh token there is nothing to do.
    assert_eq!(mastodon().refresh(&channel).await.unwrap(), channel.credentials);

    // The server knows no such refresh token: access is lost, and that is not tried again.
    let mut used_up = channel.clone();
    used_up.credentials["refresh_token"] = json!("used up");
    used_up.credentials["expires_at"] = json!("2026-03-02T09:00:00Z");
    assert_eq!(mastodon().expires_at(&used_up.credentials), Some("2026-03-02T09:00:00Z".parse().unwrap()));
    let error = mastodon().refresh(&used_up).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Disconnected, "{error}");
}
