//! Two nodes on one database: what one writes holds on the other.

use serde_json::json;

use crate::support::{House, PASSWORD, Person, eventually};

/// After this, no node hears of what others write for a moment.
const DEAF: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                    where application_name = 'annals follower' and datname = current_database()";

#[tokio::test]
async fn a_second_node_never_accepts_an_old_password() {
    let house = House::new().await;
    let (one, two) = (house.node().await, house.node().await);
    let mut old = PASSWORD.to_string();
    let ada = one.register("ada@example.org").await;
    for number in 0..5 {
        // The other node has the user in its cache, with the password of now.
        let body = json!({"email": "ada@example.org", "password": old});
        two.anonymous("POST", "/auth/login", body.clone()).await.expect(200);
        let new = format!("another password {number}");
        let change = json!({"currentPassword": old, "newPassword": new});
        one.call(&ada, "POST", "/auth/change-password", change).await.expect(200);
        let reply = two.anonymous("POST", "/auth/login", body).await;
        assert_eq!(reply.refused(401), "INVALID_CREDENTIALS", "at once, in round {number}");
        old = new;
    }
}

#[tokio::test]
async fn a_demotion_and_a_revocation_hold_on_the_other_node() {
    let house = House::new().await;
    let (one, two) = (house.node().await, house.node().await);
    let owner = one.register("owner@example.org").await;
    let admin = one.join(&owner, "admin@example.org", "admin").await;
    let user = one.join(&owner, "user@example.org", "user").await;
    let settings = format!("/agencies/{}/settings", owner.organization);
    two.call(&admin, "PUT", &settings, json!({"name": "Before"})).await.expect(200);
    let member = format!("/agencies/{}/members/{}", owner.organization, admin.id);
    one.call(&owner, "PATCH", &member, json!({"role": "viewer"})).await.expect(200);
    // What changes the organization is decided by its aggregate, at its current version: at once.
    let of_user = format!("/agencies/{}/members/{}", owner.organization, user.id);
    let reply = two.call(&admin, "PATCH", &of_user, json!({"role": "viewer"})).await;
    assert_eq!(reply.refused(403), "FORBIDDEN");
    assert_eq!(two.call(&admin, "PUT", &settings, json!({"name": "After"})).await.refused(403), "FORBIDDEN");

    two.get(&user, "/auth/me").await.expect(200);
    one.act(&user, "POST", "/auth/logout").await.expect(200);
    let started = std::time::Instant::now();
    eventually("the other node refuses", || async { two.get(&user, "/auth/me").await.status == 401 }).await;
    assert!(started.elapsed().as_secs_f64() < 2.0, "within a second, and some for a busy machine");
    let refresh = json!({"refreshToken": user.refresh});
    assert_eq!(two.anonymous("POST", "/auth/refresh", refresh).await.refused(401), "SESSION_ENDED");
}

#[tokio::test]
async fn who_joined_on_one_node_is_let_in_on_the_other_at_once() {
    let house = House::new().await;
    let (one, two) = (house.node().await, house.node().await);
    let owner = one.register("owner@example.org").await;
    let members = format!("/agencies/{}/members", owner.organization);
    for number in 0..5 {
        let (invited, person) = one.invite(&owner, &format!("member{number}@example.org"), "user").await;
        // The other node has the organization in its cache, and hears nothing for a moment.
        two.get(&owner, &members).await.expect(200);
        sqlx::query(DEAF).execute(&house.database.pool).await.unwrap();
        one.call(&person, "POST", "/agencies/invitations/accept", json!({"token": invited}))
            .await
            .expect(200);
        let member = one.switch(&person, &owner.organization).await;
        assert_eq!(two.get(&member, "/users/profile").await.status, 200, "at once, in round {number}");
    }
}

#[tokio::test]
async fn who_signs_in_with_a_new_password_is_let_in_on_the_other_at_once() {
    let house = House::new().await;
    let (one, two) = (house.node().await, house.node().await);
    let ada = one.register("ada@example.org").await;
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another password"});
    // The other node has the user in its cache, and hears nothing for a moment.
    two.get(&ada, "/users/profile").await.expect(200);
    sqlx::query(DEAF).execute(&house.database.pool).await.unwrap();
    one.call(&ada, "POST", "/auth/change-password", change).await.expect(200);
    let body = json!({"email": "ada@example.org", "password": "another password"});
    let ada = Person::of(&one.anonymous("POST", "/auth/login", body).await.expect(200));
    assert_eq!(two.get(&ada, "/users/profile").await.status, 200, "at once");
}

#[tokio::test]
async fn one_address_is_one_account_whoever_asks_where() {
    let house = House::new().await;
    let (one, two) = (house.node().await, house.node().await);
    let body = json!({"email": "ada@example.org", "password": PASSWORD, "name": "Ada"});
    let calls = (0..8).map(|number| {
        let node = if number % 2 == 0 { &one } else { &two };
        node.anonymous("POST", "/auth/register", body.clone())
    });
    let replies = futures::future::join_all(calls).await;
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn an_invitation_is_accepted_once_whoever_is_faster() {
    let house = House::new().await;
    let (one, two) = (house.node().await, house.node().await);
    let owner = one.register("owner@example.org").await;
    let path = format!("/agencies/{}/invite", owner.organization);
    let body = json!({"email": "ada@example.org", "role": "user"});
    let invited = one.call(&owner, "POST", &path, body).await.expect(201);
    let ada = two.register("ada@example.org").await;
    let token = json!({"token": invited["data"]["token"]});
    let accept = "/agencies/invitations/accept";
    let (first, second) = tokio::join!(
        one.call(&ada, "POST", accept, token.clone()),
        two.call(&ada, "POST", accept, token.clone()),
    );
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404], "{} {}", first.json, second.json);
}
