//! Links that are mailed to the account's own address: to verify it, and to set a new password.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{House, Node, PASSWORD, Person, eventually};

const NEW_PASSWORD: &str = "a whole other horse";

async fn forgot(node: &Node, email: &str) -> Value {
    node.anonymous("POST", "/auth/forgot-password", json!({"email": email})).await.expect(200)
}

fn reset(token: &str) -> Value {
    json!({"token": token, "password": NEW_PASSWORD})
}

/// The token of the newest mail with this subject, once there are so many of them.
async fn newest(house: &House, who: &Person, subject: &str, count: usize, not: &[&str]) -> String {
    let tokens = || -> Vec<String> {
        let line = format!("Subject: {subject}\r\n");
        let mails = house.mails(who).into_iter().filter(|mail| mail.contains(&line));
        mails
            .filter_map(|mail| Some(mail.split("#token=").nth(1)?.split_whitespace().next()?.to_string()))
            .collect()
    };
    eventually("the mail is written", || async { tokens().len() == count }).await;
    tokens().into_iter().find(|token| !not.contains(&token.as_str())).unwrap()
}

#[tokio::test]
async fn a_registration_is_welcomed_and_its_address_verified_once() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let me = node.get(&ada, "/auth/me").await.expect(200);
    assert_eq!(me["data"]["user"]["emailVerified"], false);
    let token = house.mailed(&ada, "Welcome to Annals: verify your mail address", "ada@example.org").await;

    let forged = json!({"token": format!("{}x", &token[..token.len() - 1])});
    let reply = node.anonymous("POST", "/auth/verify-email", forged).await;
    assert_eq!(reply.refused(400), "VERIFICATION_INVALID");
    node.anonymous("POST", "/auth/verify-email", json!({"token": token})).await.expect(200);
    let me = node.get(&ada, "/auth/me").await.expect(200);
    assert_eq!(me["data"]["user"]["emailVerified"], true);
    let again = node.anonymous("POST", "/auth/verify-email", json!({"token": token})).await;
    assert_eq!(again.refused(400), "VERIFICATION_INVALID");
    let again = node.act(&ada, "POST", "/auth/resend-verification").await;
    assert_eq!(again.refused(409), "EMAIL_ALREADY_VERIFIED");
}

#[tokio::test]
async fn another_link_to_verify_makes_the_earlier_one_worthless() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let first = house.mailed(&ada, "Welcome to Annals: verify your mail address", "ada@example.org").await;
    let at_once = node.act(&ada, "POST", "/auth/resend-verification").await;
    assert_eq!(at_once.refused(409), "VERIFICATION_JUST_SENT");
    house.clock.advance(TimeDelta::seconds(61));
    node.act(&ada, "POST", "/auth/resend-verification").await.expect(200);
    let second = newest(&house, &ada, "Verify your mail address", 1, &[]).await;
    let reply = node.anonymous("POST", "/auth/verify-email", json!({"token": first})).await;
    assert_eq!(reply.refused(400), "VERIFICATION_INVALID");
    node.anonymous("POST", "/auth/verify-email", json!({"token": second})).await.expect(200);
}

#[tokio::test]
async fn a_reset_sets_the_password_once_and_ends_every_session() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let elsewhere = node.log_in("ada@example.org").await;
    let asked = forgot(&node, "Ada@Example.org").await;
    assert!(!asked.to_string().contains("pr_"), "the token is in the mail only");
    let token = house.mailed(&ada, "Set a new password", "ada@example.org").await;

    let unfit = json!({"token": token, "password": "short"});
    assert_eq!(node.anonymous("POST", "/auth/reset-password", unfit).await.faults(), ["password"]);
    let forged = format!("{}x", &token[..token.len() - 1]);
    let reply = node.anonymous("POST", "/auth/reset-password", reset(&forged)).await;
    assert_eq!(reply.refused(400), "PASSWORD_RESET_INVALID");
    node.anonymous("POST", "/auth/reset-password", reset(&token)).await.expect(200);
    for session in [&ada, &elsewhere] {
        assert_eq!(node.get(session, "/auth/me").await.refused(401), "SESSION_ENDED");
        let refresh = json!({"refreshToken": session.refresh});
        assert_eq!(node.anonymous("POST", "/auth/refresh", refresh).await.status, 401);
    }
    let again = node.anonymous("POST", "/auth/reset-password", reset(&token)).await;
    assert_eq!(again.refused(400), "PASSWORD_RESET_INVALID");
    let old = json!({"email": "ada@example.org", "password": PASSWORD});
    assert_eq!(node.anonymous("POST", "/auth/login", old).await.refused(401), "INVALID_CREDENTIALS");
    let new = json!({"email": "ada@example.org", "password": NEW_PASSWORD});
    node.anonymous("POST", "/auth/login", new).await.expect(200);
}

#[tokio::test]
async fn a_link_to_reset_ends_with_the_next_one_or_after_an_hour() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    forgot(&node, "ada@example.org").await;
    let first = newest(&house, &ada, "Set a new password", 1, &[]).await;
    // Asked again at once: the first one stays the one.
    forgot(&node, "ada@example.org").await;
    house.clock.advance(TimeDelta::seconds(61));
    forgot(&node, "ada@example.org").await;
    let second = newest(&house, &ada, "Set a new password", 2, &[&first]).await;
    let reply = node.anonymous("POST", "/auth/reset-password", reset(&first)).await;
    assert_eq!(reply.refused(400), "PASSWORD_RESET_INVALID");
    house.clock.advance(TimeDelta::hours(1));
    let reply = node.anonymous("POST", "/auth/reset-password", reset(&second)).await;
    assert_eq!(reply.refused(400), "PASSWORD_RESET_INVALID");
}

#[tokio::test]
async fn who_asks_for_a_reset_does_not_learn_whether_there_is_an_account() {
    let house = House::new().await;
    let node = house.node().await;
    node.register("ada@example.org").await;
    let mut answers = Vec::new();
    for email in ["ada@example.org", "nobody@example.org"] {
        let body = json!({"email": email});
        let started = Instant::now();
        let reply = node.anonymous("POST", "/auth/forgot-password", body).await;
        assert!(started.elapsed() >= Duration::from_millis(300), "both wait for the same moment");
        let mut names: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
        names.sort();
        answers.push((reply.status, names, reply.json));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(
        node.anonymous("POST", "/auth/forgot-password", json!({"email": "x"})).await.faults(),
        ["email"]
    );
}
