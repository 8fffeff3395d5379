//! Somebody without a password, everywhere where others have one.

use annals_tests::{PASSWORD, StatusCode, oidc_provider};
use serde_json::json;

use crate::support::{acme, mailed, server_with, sign_in, signed_in, unique};

#[tokio::test]
async fn who_has_no_password_sets_one_by_mail_and_can_go_altogether() {
    let Some(issuer) = oidc_provider("who_has_no_password_sets_one_by_mail_and_can_go_altogether") else {
        return;
    };
    let server = server_with(&[acme(&issuer)]).await;
    let ada = unique("ada");
    let email = format!("{ada}@example.org");
    let first = signed_in(sign_in(&server, &ada).await);
    let api = server.api().with_token(&first.token);

    let log_in = json!({"email": email, "password": PASSWORD});
    let refused = server.api().post("auth/login", log_in.clone()).await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(refused.at("/code"), &json!("INVALID_CREDENTIALS"));
    let change = json!({"currentPassword": "whatever", "newPassword": PASSWORD});
    let refused = api.post("auth/change-password", change).await.expect(StatusCode::CONFLICT);
    assert_eq!(refused.at("/code"), &json!("NO_PASSWORD"));
    let change = json!({"email": format!("new-{email}"), "password": "whatever"});
    let refused = api.post("auth/change-email", change).await.expect(StatusCode::CONFLICT);
    assert_eq!(refused.at("/code"), &json!("NO_PASSWORD"));
    let listed = api.get("users/identities").await.expect(StatusCode::OK);
    let unlink = format!("users/identities/{}", listed.text_at("/data/0/id"));
    let refused = api.delete(&unlink).await.expect(StatusCode::CONFLICT);
    assert_eq!(refused.at("/code"), &json!("ONLY_WAY_IN"));

    server.api().post("auth/forgot-password", json!({"email": email})).await.expect(StatusCode::OK);
    let token = mailed(&server, &first.user_id, "reset-password#token=").await;
    let reset = json!({"token": token, "password": PASSWORD});
    server.api().post("auth/reset-password", reset).await.expect(StatusCode::OK);
    assert_eq!(api.get("auth/me").await.status, StatusCode::UNAUTHORIZED, "every session ends");
    let account = server.api().login(&email, PASSWORD).await;
    assert_eq!(account.user_id, first.user_id);
    let again = signed_in(sign_in(&server, &ada).await);
    assert_eq!(again.user_id, first.user_id, "the other way in stays");
    account.api.delete(&unlink).await.expect(StatusCode::OK);
    account.api.delete(&unlink).await.expect(StatusCode::NOT_FOUND);

    // Gone: the account at the provider and the address are free for somebody new.
    account.api.delete("users/account").await.expect(StatusCode::OK);
    let new = signed_in(sign_in(&server, &ada).await);
    assert_ne!(new.user_id, first.user_id);
    server.api().with_token(&new.token).delete("users/account").await.expect(StatusCode::OK);
    let newer = signed_in(sign_in(&server, &ada).await);
    assert_ne!(newer.user_id, new.user_id, "a link goes with its person");
    let claims = server.command().arg("doctor").arg("--data").arg(server.data()).output().expect("runs");
    let said = String::from_utf8_lossy(&claims.stdout).into_owned();
    assert!(said.contains("claims"), "{said}{}", String::from_utf8_lossy(&claims.stderr));
    assert!(claims.status.success() && !said.contains("identity.external:"), "{said}");
}
