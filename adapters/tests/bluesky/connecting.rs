//! Signing in, staying signed in, and being shut out.

use annals_adapters::{
    net::{HttpClient, OutboundPolicy},
    social::bluesky::Bluesky,
};
use annals_commands::ports::social::{ConnectRequest, FailureClass, SocialProvider};
use annals_domain::kernel::IntegrationId;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::pds::{PASSWORD, bluesky, channel, connect, handle, pds, post};

#[tokio::test]
async fn an_account_is_connected_by_its_handle_and_password() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let at_handle = format!("@{}", account.handle);
    let connected = connect(&pds.url, &at_handle, PASSWORD).await.unwrap();
    assert_eq!(connected.remote_id, account.did);
    assert_eq!(connected.name, account.handle);
    assert_eq!(connected.handle, Some(at_handle));
    assert_eq!(connected.url, Some(format!("at://{}", account.did)));
    let mut fields: Vec<_> = connected.credentials.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(
        fields,
        ["accessJwt", "did", "handle", "identifier", "password", "pds", "refreshJwt", "service"]
    );
}

#[tokio::test]
async fn the_profile_s_name_is_shown() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let record = json!({"$type": "app.bsky.actor.profile", "displayName": "Ada Lovelace"});
    let body = json!({"repo": account.did, "collection": "app.bsky.actor.profile", "rkey": "self", "record": record});
    pds.post("com.atproto.repo.putRecord", &account.token, body).await;
    let connected = connect(&pds.url, &account.handle, PASSWORD).await.unwrap();
    assert_eq!(connected.name, "Ada Lovelace");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_says_so() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    for (identifier, password) in [(account.handle.as_str(), "wrong"), ("nobody.test", PASSWORD)] {
        let error = connect(&pds.url, identifier, password).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Disconnected);
        assert!(error.message.contains("identifier or password is wrong"), "{error}");
        assert!(!error.message.contains(PASSWORD));
    }
}

#[tokio::test]
async fn what_is_no_pds_gets_no_password() {
    let Some(pds) = pds() else { return };
    let elsewhere = crate::proxy::Proxy::start(&pds.url, |_| crate::proxy::Verdict::Answer(404, "{}")).await;
    let error = connect(&elsewhere.url, "a.test", PASSWORD).await.unwrap_err();
    assert_eq!(error.class, FailureClass::BadContent);
    assert!(error.message.contains("service must be an AT Protocol server"), "{error}");
    assert_eq!(elsewhere.seen(), ["com.atproto.server.describeServer"]);
}

#[tokio::test]
async fn malformed_credentials_name_the_field() {
    for (credentials, word) in [
        (json!({"identifier": "a.test"}), "password"),
        (json!({"identifier": "a.test", "password": "x", "token": "y"}), "token"),
        (json!({"identifier": " ", "password": "x"}), "identifier"),
        (json!({"identifier": "a.test", "password": ""}), "password"),
        (json!({"service": "https://a.example/path", "identifier": "a.test", "password": "x"}), "service"),
        (json!(null), "null"),
    ] {
        let channel = IntegrationId::new(Uuid::new_v4());
        let request = ConnectRequest { channel, name: None, credentials };
        let error = bluesky().authenticate(request).await.unwrap_err();
        assert_eq!(error.class, FailureClass::BadContent);
        assert!(error.message.contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_private_service_is_not_reached_unless_configured() {
    let Some(pds) = pds() else { return };
    let guarded = Bluesky::new(HttpClient::new(OutboundPolicy::public_only()).unwrap());
    let port = pds.url.rsplit(':').next().unwrap();
    for service in [
        pds.url.clone(),
        format!("https://127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
        format!("https://2130706433:{port}"),
    ] {
        let credentials = json!({"service": service, "identifier": "a.test", "password": PASSWORD});
        let channel = IntegrationId::new(Uuid::new_v4());
        let error =
            guarded.authenticate(ConnectRequest { channel, name: None, credentials }).await.unwrap_err();
        assert!(matches!(error.class, FailureClass::BadContent | FailureClass::Disconnected), "{error}");
        assert!(error.message.contains("must not lead to a private") || error.message.contains("https://"));
    }
}

/// A token whose signature nobody made, ending `seconds` from now.
fn forged(seconds: i64) -> String {
    let claims = json!({"exp": chrono::Utc::now().timestamp() + seconds}).to_string();
    format!("eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn a_token_that_is_refused_or_expiring_is_refreshed() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let mut channel = channel(&pds.url, &account).await;
    for token in [forged(3600), forged(5)] {
        channel.credentials["accessJwt"] = Value::String(token);
        let error = bluesky().publish(&channel, handle(&channel), &post(&["hello"])).await.unwrap_err();
        assert_eq!(error.class, FailureClass::RefreshToken, "{error}");
        assert!(pds.posts(&account.did).await.is_empty());
    }
    channel.credentials = bluesky().refresh(&channel).await.unwrap();
    bluesky().publish(&channel, handle(&channel), &post(&["hello"])).await.unwrap();
    assert_eq!(pds.posts(&account.did).await.len(), 1);
}

#[tokio::test]
async fn a_revoked_refresh_token_is_replaced_by_signing_in_again() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let mut channel = channel(&pds.url, &account).await;
    let refresh = format!("Bearer {}", channel.credentials["refreshJwt"].as_str().unwrap());
    pds.post("com.atproto.server.deleteSession", &refresh, Value::Null).await;
    channel.credentials = bluesky().refresh(&channel).await.unwrap();
    bluesky().publish(&channel, handle(&channel), &post(&["still here"])).await.unwrap();
}

#[tokio::test]
async fn a_revoked_app_password_disconnects() {
    let Some(pds) = pds() else { return };
    let account = pds.account().await;
    let body = json!({"name": "annals"});
    let made = pds.post("com.atproto.server.createAppPassword", &account.token, body.clone()).await;
    let mut channel = channel(&pds.url, &account).await;
    let with_app = connect(&pds.url, &account.handle, made["password"].as_str().unwrap()).await.unwrap();
    channel.credentials = with_app.credentials;
    bluesky().publish(&channel, handle(&channel), &post(&["by app password"])).await.unwrap();
    pds.post("com.atproto.server.revokeAppPassword", &account.token, body).await;
    let error = bluesky().refresh(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Disconnected, "{error}");
    assert!(error.message.contains("app password was revoked"), "{error}");
}

#[tokio::test]
async fn accounts_that_are_gone_disconnect() {
    let Some(pds) = pds() else { return };
    for fate in ["taken down", "deactivated", "deleted"] {
        let account = pds.account().await;
        let channel = channel(&pds.url, &account).await;
        match fate {
            "taken down" => {
                let subject = json!({"$type": "com.atproto.admin.defs#repoRef", "did": account.did});
                let body = json!({"subject": subject, "takedown": {"applied": true, "ref": "test"}});
                pds.admin("com.atproto.admin.updateSubjectStatus", body).await;
            }
            "deactivated" => {
                pds.post("com.atproto.server.deactivateAccount", &account.token, json!({})).await;
            }
            _ => {
                pds.admin("com.atproto.admin.deleteAccount", json!({"did": account.did})).await;
            }
        }
        // As the worker does: publish, and with a fresh token if that is what the server wants.
        let mut error = bluesky().publish(&channel, handle(&channel), &post(&["hello"])).await.unwrap_err();
        if error.class == FailureClass::RefreshToken {
            error = bluesky().refresh(&channel).await.unwrap_err();
        }
        assert_eq!(error.class, FailureClass::Disconnected, "{fate}: {error}");
    }
}
