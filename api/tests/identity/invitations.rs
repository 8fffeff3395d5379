//! Invitations: for one address, once, for seven days.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{House, Node, Person, eventually};

async fn invite(node: &Node, by: &Person, email: &str, role: &str) -> Value {
    let path = format!("/agencies/{}/invite", by.organization);
    node.call(by, "POST", &path, json!({"email": email, "role": role})).await.expect(201)["data"].clone()
}

async fn open(node: &Node, who: &Person) -> Vec<Value> {
    let json = node.get(who, &format!("/agencies/{}/invitations", who.organization)).await.expect(200);
    json["data"].as_array().unwrap().clone()
}

fn token(invited: &Value) -> Value {
    json!({"token": invited["token"]})
}

const ACCEPT: &str = "/agencies/invitations/accept";

#[tokio::test]
async fn an_invitation_is_for_its_address_and_works_once() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let invited = invite(&node, &owner, "Ada@example.org", "admin").await;
    let link = invited["acceptUrl"].as_str().unwrap();
    assert!(link.starts_with("http://127.0.0.1:3000/console/invitations/accept#token=inv_"), "{link}");
    let listed = open(&node, &owner).await;
    assert_eq!((listed.len(), &listed[0]["email"]), (1, &json!("Ada@example.org")));
    assert!(listed[0].get("token").is_none());

    let eve = node.register("eve@example.org").await;
    let reply = node.call(&eve, "POST", ACCEPT, token(&invited)).await;
    assert_eq!(reply.refused(403), "INVITATION_FOR_ANOTHER_ADDRESS");
    let ada = node.register("ada@EXAMPLE.org").await;
    let accepted = node.call(&ada, "POST", ACCEPT, token(&invited)).await.expect(200);
    assert_eq!(accepted["data"]["organization"]["role"], "admin");
    assert_eq!(accepted["data"]["organization"]["id"], owner.organization.as_str());
    let reply = node.call(&ada, "POST", ACCEPT, token(&invited)).await;
    assert_eq!(reply.refused(404), "INVITATION_NOT_FOUND");
    assert!(open(&node, &owner).await.is_empty());

    for made_up in ["inv_AAAA", "nonsense", &format!("inv_{}", "A".repeat(86))] {
        let reply = node.call(&eve, "POST", ACCEPT, json!({"token": made_up})).await;
        assert_eq!(reply.refused(404), "INVITATION_NOT_FOUND");
    }
}

#[tokio::test]
async fn an_invitation_is_mailed_and_its_mail_goes_when_it_is_closed() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let invited = invite(&node, &owner, "new@example.org", "user").await;
    let folder = house.mail().join(format!("invitation-{}", invited["id"].as_str().unwrap()));
    let mailed = || {
        let file = std::fs::read_dir(&folder).ok()?.filter_map(Result::ok).next()?;
        std::fs::read_to_string(file.path()).ok()
    };
    eventually("the mail is written", || async { mailed().is_some_and(|text| text.contains("#token=")) })
        .await;
    assert!(mailed().unwrap().contains(invited["token"].as_str().unwrap()));
    let path = format!("/agencies/{}/invitations/{}", owner.organization, invited["id"].as_str().unwrap());
    node.act(&owner, "DELETE", &path).await.expect(200);
    assert_eq!(node.act(&owner, "DELETE", &path).await.refused(404), "INVITATION_NOT_FOUND");
    eventually("the mail is gone", || async { !folder.exists() }).await;
    let new = node.register("new@example.org").await;
    let reply = node.call(&new, "POST", ACCEPT, token(&invited)).await;
    assert_eq!(reply.refused(404), "INVITATION_NOT_FOUND");
}

#[tokio::test]
async fn an_invitation_expires_and_is_then_forgotten() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let invited = invite(&node, &owner, "new@example.org", "user").await;
    let new = node.register("new@example.org").await;
    house.clock.advance(TimeDelta::days(7) + TimeDelta::seconds(1));
    let new = Person::of(
        &node.anonymous("POST", "/auth/refresh", json!({"refreshToken": new.refresh})).await.expect(200),
    );
    let code = node.call(&new, "POST", ACCEPT, token(&invited)).await;
    assert!(matches!(code.status, 409 | 404), "expired, or closed by its timer already: {}", code.json);
    let row = || async {
        let email: Option<Option<String>> = sqlx::query_scalar("select email from read.invitations_v1")
            .fetch_optional(&house.database.pool)
            .await
            .unwrap();
        email
    };
    eventually("its timer closes it", || async { row().await.is_none() }).await;
    // The address can be invited again.
    let owner = Person::of(
        &node.anonymous("POST", "/auth/refresh", json!({"refreshToken": owner.refresh})).await.expect(200),
    );
    invite(&node, &owner, "new@example.org", "user").await;
}

#[tokio::test]
async fn who_may_invite_whom() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let user = node.join(&owner, "user@example.org", "user").await;
    let path = format!("/agencies/{}/invite", owner.organization);
    let body = |email: &str, role: &str| json!({"email": email, "role": role});
    assert_eq!(
        node.call(&user, "POST", &path, body("a@example.org", "viewer")).await.refused(403),
        "FORBIDDEN"
    );
    let invitations = format!("/agencies/{}/invitations", owner.organization);
    assert_eq!(node.get(&user, &invitations).await.refused(403), "FORBIDDEN");
    let as_owner = node.call(&owner, "POST", &path, body("a@example.org", "owner")).await;
    assert_eq!(as_owner.refused(400), "OWNER_ONLY_BY_TRANSFER");
    let member = node.call(&owner, "POST", &path, body("USER@example.org", "viewer")).await;
    assert_eq!(member.refused(409), "ALREADY_MEMBER");
    invite(&node, &owner, "a@example.org", "viewer").await;
    let twice = node.call(&owner, "POST", &path, body("A@example.org", "user")).await;
    assert_eq!(twice.refused(409), "ALREADY_INVITED");
}

#[tokio::test]
async fn an_invitation_is_void_once_who_invited_was_demoted() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let admin = node.join(&owner, "admin@example.org", "admin").await;
    let invited = invite(&node, &admin, "new@example.org", "admin").await;
    let path = format!("/agencies/{}/members/{}", owner.organization, admin.id);
    node.call(&owner, "PATCH", &path, json!({"role": "viewer"})).await.expect(200);
    let new = node.register("new@example.org").await;
    let reply = node.call(&new, "POST", ACCEPT, token(&invited)).await;
    assert_eq!(reply.refused(409), "INVITATION_VOID");
}
