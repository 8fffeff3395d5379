//! Whose account it is: only an address that both sides have verified leads from one to the other.

use annals_tests::{PASSWORD, StatusCode, oidc_provider};
use serde_json::json;

use crate::support::{acme, server_with, sign_in, signed_in, unique, verify};

#[tokio::test]
async fn an_unverified_account_here_is_not_taken_over_and_a_verified_one_is_linked() {
    let Some(issuer) =
        oidc_provider("an_unverified_account_here_is_not_taken_over_and_a_verified_one_is_linked")
    else {
        return;
    };
    let server = server_with(&[acme(&issuer)]).await;
    let ada = unique("ada");
    let body = json!({"email": format!("{ada}@example.org"), "password": PASSWORD, "name": "Somebody"});
    let registered = server.api().post("auth/register", body).await.expect(StatusCode::CREATED);
    let user_id = registered.text_at("/data/user/id");

    let page = sign_in(&server, &ada).await;
    let text = page.text.clone();
    assert_eq!(page.refused(409), "ACCOUNT_NOT_VERIFIED");
    assert!(text.contains("sign in with its password") && text.contains("link Acme there"), "{text}");
    let api = server.api().with_token(&registered.text_at("/data/accessToken"));
    let listed = api.get("users/identities").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data"), &json!([]));

    verify(&server, &user_id).await;
    let linked = signed_in(sign_in(&server, &ada).await);
    assert_eq!(linked.user_id, user_id);
    let me = server.api().with_token(&linked.token).get("auth/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/data/user/name"), &json!("Somebody"), "what they are called here stays");
    server.api().login(&format!("{ada}@example.org"), PASSWORD).await;
}

#[tokio::test]
async fn an_address_that_the_provider_has_not_verified_leads_nowhere() {
    let Some(issuer) = oidc_provider("an_address_that_the_provider_has_not_verified_leads_nowhere") else {
        return;
    };
    let server = server_with(&[acme(&issuer)]).await;
    let eve = unique("unverified-eve");
    assert_eq!(sign_in(&server, &eve).await.refused(403), "EMAIL_NOT_VERIFIED_THERE");
    let body = json!({"email": format!("{eve}@example.org"), "password": PASSWORD, "name": "Eve"});
    let registered = server.api().post("auth/register", body).await.expect(StatusCode::CREATED);
    verify(&server, &registered.text_at("/data/user/id")).await;
    assert_eq!(sign_in(&server, &eve).await.refused(403), "EMAIL_NOT_VERIFIED_THERE");
}

#[tokio::test]
async fn who_arrives_twice_at_the_same_moment_is_one_person() {
    let Some(issuer) = oidc_provider("who_arrives_twice_at_the_same_moment_is_one_person") else { return };
    let server = server_with(&[acme(&issuer)]).await;
    let ada = unique("ada");
    let (one, two) = tokio::join!(sign_in(&server, &ada), sign_in(&server, &ada));
    assert_eq!(signed_in(one).user_id, signed_in(two).user_id);
    let users: i64 =
        sqlx::query_scalar("select count(*) from events where event_type = 'identity.user.registered'")
            .fetch_one(&server.database().expect("has a database").pool)
            .await
            .expect("reads");
    assert_eq!(users, 1);
}
