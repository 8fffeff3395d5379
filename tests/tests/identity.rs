//! Identity on the real program: two nodes, kills, files. The rules themselves, every route and
//! bad input are in `api/tests/identity`, where the clock moves.

use std::time::Duration;

use annals_tests::{Api, Method, PASSWORD, Server, StatusCode, eventually};
use serde_json::json;

#[tokio::test]
async fn an_old_password_is_refused_at_once_on_another_node() {
    let one = Server::start().await;
    let two = one.node().await;
    let ada = one.api().register("Ada").await;
    let old = json!({"email": ada.email, "password": PASSWORD});
    // The other node knows the user with the old password.
    two.api().post("auth/login", old.clone()).await.expect(StatusCode::OK);
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another long password"});
    ada.api.post("auth/change-password", change).await.expect(StatusCode::OK);
    two.api().post("auth/login", old).await.expect(StatusCode::UNAUTHORIZED);
    let new = json!({"email": ada.email, "password": "another long password"});
    two.api().post("auth/login", new).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn sessions_keys_and_invitations_survive_a_kill() {
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let key = json!({"name": "CI", "scopes": ["organization:read"]});
    let created = ada.api.post("settings/api-keys", key).await.expect(StatusCode::CREATED);
    let invite = json!({"email": "guest@example.org", "role": "user"});
    let path = format!("agencies/{}/invite", ada.organization_id);
    let invited = ada.api.post(&path, invite).await.expect(StatusCode::CREATED);
    server.restart().await;
    let ada_there = ada.api.at(&server.url());
    let me = ada_there.get("auth/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/data/user/email"), &json!(ada.email));
    let settings = format!("agencies/{}/settings", ada.organization_id);
    let by_key = server.api().with_token(&created.text_at("/data/key"));
    by_key.get(&settings).await.expect(StatusCode::OK);
    let guest = json!({"email": "guest@example.org", "password": PASSWORD, "name": "Guest"});
    let guest = server.api().post("auth/register", guest).await.expect(StatusCode::CREATED);
    let guest = server.api().with_token(&guest.text_at("/data/accessToken"));
    let token = json!({"token": invited.text_at("/data/token")});
    guest.post("agencies/invitations/accept", token).await.expect(StatusCode::OK);
    // A spent refresh token ends its session, also one from before the kill.
    let refresh = json!({"refreshToken": ada.refresh_token});
    server.api().post("auth/refresh", refresh.clone()).await.expect(StatusCode::OK);
    server.api().post("auth/refresh", refresh).await.expect(StatusCode::UNAUTHORIZED);
    ada_there.get("auth/me").await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_deleted_account_is_gone_on_every_node() {
    let one = Server::start().await;
    let two = one.node().await;
    let ada = one.api().register("Ada").await;
    let there = ada.api.at(&two.url());
    there.get("users/profile").await.expect(StatusCode::OK);
    let deleted = Api::send(ada.api.request(Method::DELETE, "users/account")).await.expect(StatusCode::OK);
    assert!(deleted.position() > 0);
    ada.api.get("auth/me").await.expect(StatusCode::UNAUTHORIZED);
    eventually("the other node refuses", Duration::from_secs(5), || async {
        (there.get("auth/me").await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let again = json!({"email": ada.email, "password": PASSWORD, "name": "Ada"});
    two.api().post("auth/register", again).await.expect(StatusCode::CREATED);
}
