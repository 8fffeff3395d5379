//! Registration, sign-in, profile, settings, passwords, addresses.

use annals_commands::identity::FirstAccount;
use serde_json::{Value, json};

use crate::support::{House, PASSWORD, Person, bearer};

#[tokio::test]
async fn registration_signs_in_with_an_organization_of_ones_own() {
    let house = House::new().await;
    let node = house.node().await;
    let body =
        json!({"email": "Ada@Example.org", "password": PASSWORD, "name": " Ada ", "organization": "Engines"});
    let reply = node.anonymous("POST", "/auth/register", body.clone()).await;
    assert!(reply.headers.contains_key("annals-position"));
    let cookie = reply.headers["set-cookie"].to_str().unwrap().to_string();
    for part in ["annals_refresh=rt_", "HttpOnly", "SameSite=Strict", "Path=/api/v1/auth"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let json = reply.expect(201);
    let data = &json["data"];
    assert_eq!(data["user"]["email"], "Ada@Example.org");
    assert_eq!(data["user"]["name"], "Ada");
    assert_eq!(data["user"]["emailVerified"], false);
    assert_eq!(data["user"]["timezone"], "UTC");
    assert_eq!(data["organization"]["name"], "Engines");
    assert_eq!(data["organization"]["role"], "owner");
    assert_eq!(data["tokenType"], "Bearer");
    assert_eq!(data["expiresIn"], 3600);

    let ada = Person::of(&json);
    // Without saying after which position: on this node one reads one's own writes.
    let token = bearer(&ada.token);
    let me = node.send("GET", "/auth/me", &[("authorization", &token)], None).await.expect(200);
    assert_eq!(me["data"]["user"]["id"], ada.id.as_str());
    assert_eq!(me["data"]["organization"]["role"], "owner");
    assert!(me["data"]["user"]["createdAt"].is_string());
    let agencies = node.get(&ada, "/agencies").await.expect(200);
    assert_eq!(agencies["data"][0]["memberCount"], 1);
    assert_eq!(agencies["data"][0]["current"], true);

    // Case makes no other address, and `signup` is the same door.
    let again = json!({"email": "ada@example.ORG", "password": PASSWORD, "name": "Eve"});
    let reply = node.anonymous("POST", "/auth/signup", again).await;
    assert_eq!(reply.refused(409), "EMAIL_TAKEN");
}

#[tokio::test]
async fn signing_in_does_not_tell_what_was_wrong() {
    let house = House::new().await;
    let node = house.node().await;
    node.register("ada@example.org").await;
    let signed_in = node.log_in("ADA@example.org").await;
    assert!(signed_in.token.split('.').count() == 3);
    let mut answers = Vec::new();
    for (email, password) in [("ada@example.org", "wrong password"), ("eve@example.org", PASSWORD)] {
        let body = json!({"email": email, "password": password});
        let mut json = node.anonymous("POST", "/auth/login", body).await.expect(401);
        json["requestId"] = Value::Null;
        json["timestamp"] = Value::Null;
        answers.push(json);
    }
    assert_eq!(answers[0]["code"], "INVALID_CREDENTIALS");
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_retried_registration_is_one_account_and_the_same_session() {
    let house = House::new().await;
    let node = house.node().await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD, "name": "Ada"});
    let key = [("idempotency-key", "once")];
    let first = node.send("POST", "/auth/register", &key, Some(&body)).await.expect(201);
    let second = node.send("POST", "/auth/register", &key, Some(&body)).await.expect(201);
    assert_eq!(first["data"]["user"]["id"], second["data"]["user"]["id"]);
    assert_eq!(first["data"]["refreshToken"], second["data"]["refreshToken"]);
    let other = json!({"email": "eve@example.org", "password": PASSWORD, "name": "Eve"});
    let reply = node.send("POST", "/auth/register", &key, Some(&other)).await;
    assert_eq!(reply.refused(422), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn only_the_first_account_of_a_loopback_installation_is_the_operator() {
    let house = House::new().await;
    let node = house.node_of(FirstAccount::Operator).await;
    let first = node.register("first@example.org").await;
    let second = node.register("second@example.org").await;
    let is_operator = |me: Value| me["data"]["user"]["isOperator"].clone();
    assert_eq!(is_operator(node.get(&first, "/auth/me").await.expect(200)), true);
    assert_eq!(is_operator(node.get(&second, "/auth/me").await.expect(200)), false);
}

#[tokio::test]
async fn a_profile_is_replaced_patched_and_guarded_by_its_version() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let whole = json!({"name": "Ada L", "company": "Engines", "phone": "+44 20 123456"});
    let reply = node.call(&ada, "PUT", "/users/profile", whole).await;
    let etag = reply.headers["etag"].to_str().unwrap().to_string();
    assert_eq!(reply.expect(200)["data"]["company"], "Engines");
    let read = node.get(&ada, "/users/profile").await;
    assert_eq!(read.headers["etag"].to_str().unwrap(), etag, "what a command answers is what a query reads");
    assert_eq!(read.expect(200)["data"]["phone"], "+44 20 123456");

    let patch = json!({"phone": null, "avatarUrl": "https://example.org/a.png"});
    let patched = node.call(&ada, "PATCH", "/users/profile", patch).await.expect(200);
    assert_eq!(patched["data"]["phone"], Value::Null);
    assert_eq!(patched["data"]["company"], "Engines", "what is left out stays");

    let token = bearer(&ada.token);
    let stale = [("authorization", token.as_str()), ("if-match", etag.as_str())];
    let reply = node.send("PUT", "/users/profile", &stale, Some(&json!({"name": "Late"}))).await;
    let json = reply.expect(409);
    assert_eq!(json["code"], "VERSION_CONFLICT");
    assert!(json["currentVersion"].is_u64());
    let read = node.get(&ada, "/users/profile").await.expect(200);
    assert_eq!(read["data"]["name"], "Ada L", "a refused change changes nothing");
}

#[tokio::test]
async fn settings_merge_and_a_null_takes_a_preference_away() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let first =
        json!({"timezone": "Europe/Berlin", "locale": "de", "preferences": {"theme": "dark", "a": 1}});
    node.call(&ada, "PATCH", "/users/settings", first).await.expect(200);
    let second = json!({"preferences": {"a": null, "b": [true]}});
    let json = node.call(&ada, "PATCH", "/users/settings", second).await.expect(200);
    assert_eq!(json["data"]["preferences"], json!({"theme": "dark", "b": [true]}));
    let read = node.get(&ada, "/users/settings").await.expect(200);
    assert_eq!(
        read["data"],
        json!({"timezone": "Europe/Berlin", "locale": "de", "preferences": {"theme": "dark", "b": [true]}})
    );
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let house = House::new().await;
    let node = house.node().await;
    let here = node.register("ada@example.org").await;
    let there = node.log_in("ada@example.org").await;
    let wrong = json!({"currentPassword": "not this one", "newPassword": "another long one"});
    assert_eq!(node.call(&here, "POST", "/auth/change-password", wrong).await.refused(400), "WRONG_PASSWORD");
    let right = json!({"currentPassword": PASSWORD, "newPassword": "another long one"});
    node.call(&here, "POST", "/auth/change-password", right).await.expect(200);

    node.get(&here, "/auth/me").await.expect(200);
    assert_eq!(node.get(&there, "/auth/me").await.refused(401), "SESSION_ENDED");
    let refresh = json!({"refreshToken": there.refresh});
    assert_eq!(node.anonymous("POST", "/auth/refresh", refresh).await.refused(401), "SESSION_ENDED");
    let listed = node.get(&here, "/auth/sessions").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let old = json!({"email": "ada@example.org", "password": PASSWORD});
    assert_eq!(node.anonymous("POST", "/auth/login", old).await.refused(401), "INVALID_CREDENTIALS");
    let new = json!({"email": "ada@example.org", "password": "another long one"});
    node.anonymous("POST", "/auth/login", new).await.expect(200);
}

#[tokio::test]
async fn a_new_address_counts_once_its_mail_was_answered() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    node.register("eve@example.org").await;
    let ask = |email: &str| json!({"email": email, "password": PASSWORD});
    let taken = node.call(&ada, "POST", "/auth/change-email", ask("eve@example.org")).await;
    assert_eq!(taken.refused(409), "EMAIL_TAKEN");
    let asked = node.call(&ada, "POST", "/auth/change-email", ask("ada@new.example.org")).await.expect(200);
    assert_eq!(asked["data"]["pendingEmail"], "ada@new.example.org");
    assert_eq!(asked["data"]["email"], "ada@example.org");
    assert!(!asked.to_string().contains("ec_"), "the token is in the mail only");

    let token = house.mailed(&ada, "Confirm your new mail address", "ada@new.example.org").await;

    let forged = json!({"token": format!("{}x", &token[..token.len() - 1])});
    let reply = node.anonymous("POST", "/auth/confirm-email-change", forged).await;
    assert_eq!(reply.refused(400), "EMAIL_CHANGE_INVALID");
    let confirm = json!({"token": token});
    node.anonymous("POST", "/auth/confirm-email-change", confirm.clone()).await.expect(200);
    let again = node.anonymous("POST", "/auth/confirm-email-change", confirm).await;
    assert_eq!(again.refused(400), "EMAIL_CHANGE_INVALID");

    let me = node.get(&ada, "/auth/me").await.expect(200);
    assert_eq!(me["data"]["user"]["email"], "ada@new.example.org");
    assert_eq!(me["data"]["user"]["emailVerified"], true);
    node.log_in("ada@new.example.org").await;
    // The old address is free.
    node.register("ada@example.org").await;
}
