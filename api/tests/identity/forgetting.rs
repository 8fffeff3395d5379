//! A deleted account: what was the person's is gone, everywhere, and live equals rebuilt.

use annals_projections::runtime::request_rebuild;
use serde_json::json;
use sqlx::{PgPool, Row};

use crate::support::{House, PASSWORD, eventually};

/// Every table of every schema that holds one of these texts, in whatever column.
async fn holding(pool: &PgPool, texts: &[&str]) -> Vec<String> {
    let tables = sqlx::query(
        "select table_schema, table_name from information_schema.tables \
         where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let name = format!("\"{}\".\"{}\"", table.get::<String, _>(0), table.get::<String, _>(1));
        for text in texts {
            let query = format!("select count(*) from {name} t where t::text ilike '%' || $1 || '%'");
            let rows = match sqlx::query_scalar::<_, i64>(&query).bind(text).fetch_one(pool).await {
                // A generation of a read model that was let go since.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => continue,
                rows => rows.unwrap(),
            };
            if rows > 0 {
                found.push(format!("{name} holds {text}"));
            }
        }
    }
    found
}

/// The rows of identity's read models, as text, without what differs by design.
async fn rows(pool: &PgPool) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for table in
        ["users", "sessions", "organizations", "members", "invitations", "api_keys", "external_identities"]
    {
        let query = format!("select t::text from read.{table}_v1 t order by 1");
        all.push((table.to_string(), sqlx::query_scalar(&query).fetch_all(pool).await.unwrap()));
    }
    all
}

#[tokio::test]
async fn a_deleted_person_is_gone_and_live_read_models_equal_rebuilt_ones() {
    let house = House::new().await;
    let (one, two) = (house.node().await, house.node().await);
    let pool = &house.database.pool;
    let owner = one.register("owner@example.org").await;
    let ada = one.join(&owner, "ada.lovelace@example.org", "admin").await;
    let profile = json!({"name": "Augusta Byron", "company": "Difference Inc", "phone": "+44 20 7777777"});
    one.call(&ada, "PUT", "/users/profile", profile).await.expect(200);
    let settings = json!({"preferences": {"nickname": "Enchantress"}});
    one.call(&ada, "PATCH", "/users/settings", settings).await.expect(200);
    one.call(&ada, "POST", "/settings/api-keys", json!({"name": "Adas laptop"})).await.expect(201);
    let email = json!({"email": "countess@example.org", "password": PASSWORD});
    one.call(&ada, "POST", "/auth/change-email", email).await.expect(200);
    one.link(&ada, "subject-4711:augusta@elsewhere.example").await.expect(201);
    let ways_in = two.get(&ada, "/users/identities").await.expect(200);
    assert_eq!(ways_in["data"][0]["email"], "augusta@elsewhere.example");
    // Another organization invites them: the address there is theirs, too.
    let other = two.register("other@example.org").await;
    let invite = json!({"email": "ada.lovelace@example.org", "role": "user"});
    two.call(&other, "POST", &format!("/agencies/{}/invite", other.organization), invite).await.expect(201);
    two.get(&ada, "/users/profile").await.expect(200);
    let mail = house.mail().join(format!("user-{}", ada.id));
    eventually("the welcome and both mails are written", || async {
        std::fs::read_dir(&mail).is_ok_and(|files| files.count() == 3)
    })
    .await;
    let texts = [
        "ada.lovelace",
        "Augusta",
        "Difference Inc",
        "7777777",
        "Enchantress",
        "Adas laptop",
        "countess",
        "subject-4711",
    ];
    assert!(!holding(pool, &texts).await.is_empty(), "the search finds what is there");
    let snapshots: i64 = sqlx::query_scalar("select count(*) from snapshots").fetch_one(pool).await.unwrap();
    assert!(snapshots > 0);

    one.act(&ada, "DELETE", "/users/account").await.expect(200);
    let started = std::time::Instant::now();
    assert_eq!(one.get(&ada, "/auth/me").await.refused(401), "SESSION_ENDED", "at once");
    eventually("every table is rid of them", || async { holding(pool, &texts).await.is_empty() }).await;
    eventually("their mail is gone", || async { !mail.exists() }).await;
    eventually("the other node refuses", || async { two.get(&ada, "/auth/me").await.status == 401 }).await;
    assert!(started.elapsed().as_secs() < 60);

    let members = one.get(&owner, &format!("/agencies/{}/members", owner.organization)).await.expect(200);
    assert_eq!(members["data"].as_array().unwrap().len(), 1);
    let open = two.get(&other, &format!("/agencies/{}/invitations", other.organization)).await.expect(200);
    assert_eq!(open["data"][0]["email"], serde_json::Value::Null);
    let body = json!({"email": "ada.lovelace@example.org", "password": PASSWORD});
    assert_eq!(two.anonymous("POST", "/auth/login", body).await.refused(401), "INVALID_CREDENTIALS");

    let live = rows(pool).await;
    for name in ["users", "sessions", "organizations", "api_keys", "external_identities"] {
        let generation = request_rebuild(pool, name).await.unwrap();
        eventually("the rebuilt one took over", || async {
            let applied = one.state.reader.applied().await.unwrap();
            applied.iter().any(|one| one.name == name && one.generation == generation && one.state == "live")
        })
        .await;
    }
    assert_eq!(rows(pool).await, live);
    assert!(live.iter().any(|(_, rows)| !rows.is_empty()));
    assert!(holding(pool, &texts).await.is_empty(), "also not in what was built before");

    // What was linked is free for somebody else, the address for a new person.
    two.link(&owner, "subject-4711:elsewhere@example.org").await.expect(201);
    let again = one.register("ada.lovelace@example.org").await;
    assert_ne!(again.id, ada.id);
}

#[tokio::test]
async fn a_sole_member_s_organization_closes_with_their_account() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let invite = json!({"email": "guest@example.org", "role": "user"});
    let path = format!("/agencies/{}/invite", ada.organization);
    let invited = node.call(&ada, "POST", &path, invite).await.expect(201);
    node.act(&ada, "DELETE", "/users/account").await.expect(200);
    let closed: i64 = sqlx::query_scalar(
        "select count(*) from events where event_type = 'identity.organization.closed' and aggregate_id = $1",
    )
    .bind(&ada.organization)
    .fetch_one(&house.database.pool)
    .await
    .unwrap();
    assert_eq!(closed, 1);
    let guest = node.register("guest@example.org").await;
    let token = json!({"token": invited["data"]["token"]});
    let reply = node.call(&guest, "POST", "/agencies/invitations/accept", token).await;
    assert_eq!(reply.refused(404), "INVITATION_NOT_FOUND");
    let refresh = json!({"refreshToken": ada.refresh});
    assert_eq!(node.anonymous("POST", "/auth/refresh", refresh).await.refused(401), "SESSION_ENDED");
}
